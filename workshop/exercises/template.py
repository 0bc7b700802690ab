"""A CloudFormation template that a learner wrote: read, and looked at as CloudFormation would.

template = read(text)                      # raises Wrong where CloudFormation would refuse it
template.of_type("AWS::SQS::Queue")        # {"Queue": {...its properties...}}
template.text(arn, {"AWS::Region": ...})   # what an ARN is there, however it is written

What CloudFormation takes is known by cfn-lint, which needs no network. It comes with the tests' packages; without it
only what these exercises ask for is looked at.
"""

import re
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec

import yaml

from .calling import kind
from .question import Wrong

QUEUE = "AWS::SQS::Queue"


@dataclass(frozen=True)
class Template:
    resources: dict
    parameters: dict

    def of_type(self, resource_type: str) -> dict[str, dict]:
        """The properties of each resource of that type, by its logical id."""
        return {
            name: resource.get("Properties") or {}
            for name, resource in self.resources.items()
            if resource["Type"] == resource_type
        }

    def one(self, resource_type: str) -> dict:
        """The properties of the one resource of that type. Raises Wrong where there is not one."""
        found = list(self.of_type(resource_type).values())
        if len(found) != 1:
            raise Wrong("resources", f"there are {len(found)} resources of the type {resource_type}, and not one")
        return found[0]

    def number(self, properties: dict, name: str, default: int) -> int:
        return int(self.text(properties.get(name, default)))

    def reference(self, arn: object) -> str | None:
        """The logical id in `!GetAtt Queue.Arn`, or in a `!Sub` with it: from these CloudFormation knows the order."""
        if isinstance(arn, dict) and "Fn::GetAtt" in arn:
            target = arn["Fn::GetAtt"]
            return target.partition(".")[0] if isinstance(target, str) else target[0]
        found = re.fullmatch(r"\$\{(\w+)\.Arn\}", self.text(arn))
        return found[1] if found else None

    def text(self, node: object, pseudo: dict[str, str] | None = None) -> str:
        """What is written, with the defaults of parameters put in, and values for `AWS::Region` and the like."""
        known = {name: parameter.get("Default") for name, parameter in self.parameters.items()} | (pseudo or {})
        match node:
            case {"Ref": name}:
                return str(known.get(name, f"${{{name}}}"))
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self.text(part, pseudo) for part in parts)
            case {"Fn::Sub": [text, given]}:
                known |= given
            case {"Fn::Sub": text}:
                pass
            case _:
                return str(node)
        return re.sub(r"\$\{([\w:]+)\}", lambda found: str(known.get(found[1], found[0])), text)


def read(text: object) -> Template:
    """The template in `text`. Raises Wrong where it is none, or where cfn-lint finds an error in it."""
    if not isinstance(text, str):
        raise Wrong("no template", f"a template is a text, and this is {kind(text)}")
    try:
        template = yaml.load(text, Loader=_Loader)  # noqa: S506  its base is the safe one # nosec B506
    except yaml.YAMLError as error:
        raise Wrong("no template", f"this is not YAML: {' '.join(str(error).split())}") from None
    resources = template.get("Resources") if isinstance(template, dict) else None
    if not isinstance(resources, dict) or not all(isinstance(r, dict) and "Type" in r for r in resources.values()):
        raise Wrong("no template", "there are no 'Resources:' with a 'Type:' each. Look at the spaces before the lines")
    try:
        TopologicalSorter(
            {name: _referred(resource) & set(resources) for name, resource in resources.items()}
        ).prepare()
    except CycleError:
        raise Wrong("circle", "two resources refer to each other, so CloudFormation can make neither first") from None
    errors = _errors(text) if find_spec("cfnlint") else []
    if errors:
        first = min(errors, key=lambda match: match.linenumber)
        raise Wrong("refused", f"CloudFormation would refuse it, line {first.linenumber}: {first.message.rstrip('. ')}")
    return Template(resources, template.get("Parameters") or {})


def _referred(node: object) -> set[str]:
    """The logical ids that stand in Ref, GetAtt, Sub and DependsOn, anywhere in `node`."""
    if isinstance(node, list):
        return set().union(*map(_referred, node))
    if not isinstance(node, dict):
        return set()
    found = set()
    for key, value in node.items():
        first = value[0] if isinstance(value, list) and value else value
        if key in ("Ref", "Fn::GetAtt") and isinstance(first, str):
            found.add(first.partition(".")[0])
        elif key == "Fn::Sub" and isinstance(first, str):
            found |= set(re.findall(r"\$\{(\w+)", first))
        elif key == "DependsOn":
            found |= {value} if isinstance(value, str) else set(value)
        found |= _referred(value)
    return found


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Sub text` is {"Fn::Sub": "text"}."""


def _long_form(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        value = value.split(".", 1) if name == "GetAtt" else value
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _long_form)


def _errors(text: str) -> list:
    """What CloudFormation would refuse, as cfn-lint's matches."""
    from cfnlint.api import ManualArgs, lint

    matches = lint(text, rules=_rules(), config=ManualArgs(regions=["us-east-1"]))
    return [match for match in matches if match.rule.severity == "error"]


@cache
def _rules():
    """cfn-lint's rules; to read them takes much longer than to apply them."""
    from cfnlint.core import get_rules

    return get_rules([], [], [])
