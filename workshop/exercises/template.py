"""A CloudFormation template that a learner wrote: read, and looked at as CloudFormation would.

template = read(text)                    # raises Wrong where CloudFormation would refuse it
template.of_type("AWS::SQS::Queue")      # {"Queue": {...its properties...}}
template.queue_of(properties["EventSourceArn"])     # "Queue", however the ARN is written

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
LONGEST_VISIBILITY_TIMEOUT = 43200  # seconds, 12 hours: Amazon SQS API Reference, SetQueueAttributes


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

    def value(self, node: object) -> object:
        """The value, and of a parameter its default."""
        if isinstance(node, dict) and node.get("Ref") in self.parameters:
            return self.parameters[node["Ref"]].get("Default")
        return node

    def number(self, properties: dict, name: str, default: int) -> int:
        return int(self.value(properties.get(name, default)))

    def queue_of(self, arn: object) -> str | None:
        """The logical id of the queue that an ARN leads to; None for an ARN of none of this template's queues."""
        if name := self.reference(arn):
            return name
        written, _, last = self.text(arn).rpartition(":")
        names = {self.text(properties.get("QueueName")): name for name, properties in self.of_type(QUEUE).items()}
        return names.get(last) if last and written.startswith("arn:") else None

    def reference(self, arn: object) -> str | None:
        """The logical id in `!GetAtt Queue.Arn`, or in a `!Sub` with it: from these CloudFormation knows the order."""
        if isinstance(arn, dict) and "Fn::GetAtt" in arn:
            target = arn["Fn::GetAtt"]
            return target.partition(".")[0] if isinstance(target, str) else target[0]
        found = re.fullmatch(r"\$\{(\w+)\.Arn\}", self.text(arn))
        return found[1] if found else None

    def text(self, node: object) -> str:
        """What is written, with the defaults of parameters put in, and `${AWS::Region}` and the like left standing."""
        node = self.value(node)
        if isinstance(node, dict) and "Fn::Join" in node:
            separator, parts = node["Fn::Join"]
            return separator.join(self.text({"Fn::Sub": f"${{{p['Ref']}}}"} if _is_ref(p) else p) for p in parts)
        if isinstance(node, dict) and "Fn::Sub" in node:
            written = node["Fn::Sub"]
            text, given = (written, {}) if isinstance(written, str) else written
            known = {name: self.value({"Ref": name}) for name in self.parameters} | given
            known |= {
                name: p["QueueName"] for name, p in self.of_type(QUEUE).items() if f"${{{name}.QueueName}}" in text
            }
            return re.sub(r"\$\{(\w+)(?:\.QueueName)?\}", lambda found: str(known.get(found[1], found[0])), text)
        return node if isinstance(node, str) else ""


def _is_ref(node: object) -> bool:
    return isinstance(node, dict) and "Ref" in node


def read(text: object) -> Template:
    """The template in `text`. Raises Wrong where it is none, or where cfn-lint finds an error in it."""
    if not isinstance(text, str):
        raise Wrong(f"a template is a text, and this is {kind(text)}")
    try:
        template = yaml.load(text, Loader=_Loader)  # noqa: S506  its base is the safe one # nosec B506
    except yaml.MarkedYAMLError as error:
        raise Wrong(f"this is not YAML, line {error.problem_mark.line + 1}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise Wrong(f"this is not YAML: {error}") from None
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise Wrong("there is no section 'Resources:' with the resources in it")
    for name, resource in template["Resources"].items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise Wrong(f"the resource {name} has no 'Type:'. Look at the spaces at the beginning of its lines")
    _look(template["Resources"])
    errors = _errors(text) if find_spec("cfnlint") else []
    if errors:
        first = min(errors, key=lambda match: match.linenumber)
        raise Wrong(f"CloudFormation would refuse it, line {first.linenumber}: {_plain(first.message)}")
    return Template(template["Resources"], template.get("Parameters") or {})


def _look(resources: dict) -> None:
    """What CloudFormation would refuse, of what the exercises touch."""
    for name, resource in resources.items():
        properties = resource.get("Properties") or {}
        alone = properties.get("FunctionResponseTypes", [])
        if not isinstance(alone, list):
            raise Wrong(f"{alone!r} stands there alone, and a list belongs there: [{alone}]")
        timeout = str(properties.get("VisibilityTimeout", ""))
        if timeout.isdigit() and int(timeout) > LONGEST_VISIBILITY_TIMEOUT:
            longest = LONGEST_VISIBILITY_TIMEOUT
            raise Wrong(f"{name}'s VisibilityTimeout of {timeout} is greater than the maximum of {longest} seconds")
    try:
        TopologicalSorter(
            {name: _referred(resource) & set(resources) for name, resource in resources.items()}
        ).prepare()
    except CycleError:
        raise Wrong(
            "CloudFormation would refuse it: two resources refer to each other, so neither can be made first. Write "
            "one of the two ARNs out, with !Sub, as infra/template.yaml does"
        ) from None


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


def _plain(message: str) -> str:
    """cfn-lint's sentence, where it helps; said better, where it does not."""
    if unknown := re.fullmatch(r"'(\w+)' is not one of \[.*'AWS::Region'.*\]", message):
        return f"there is no parameter and no resource {unknown[1]!r} in this template"
    if unknown := re.fullmatch(r"Additional properties are not allowed \('(\w+)' was unexpected\)", message):
        if unknown[1] == "ReportBatchItemFailures":
            return "ReportBatchItemFailures is no property of its own; it is an entry of the list FunctionResponseTypes"
        return f"this resource has no property {unknown[1]!r}; has it another name, or does it belong to another one"
    return message.strip().rstrip(".")
