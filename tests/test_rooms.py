"""The rooms of the house, drawn from the imports: arrows lead down, and none leads in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from workshop.folders import CHECKOUT

# From the ground up: a room may use those before it, never those after it.
KIT = [
    "names",
    "folders",
    "foreseen",
    "lazy",
    "locks",
    "run_folders",
    "cloud",
    "functions",
    "lab",
    "faults",
    "jupyter",
    "setup",
    "figures",
    "display",
    "board",
    "exercises",
    "demo",
    "commands",
    "__main__",
]
LIFTED = {"sqs", "inbox"}


def modules(*folders: str) -> dict[str, Path]:
    """The dotted name of each module below these folders of the checkout, with its file."""
    found = {}
    for path in sorted(path for folder in folders for path in (CHECKOUT / folder).rglob("*.py")):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def arrows(known: dict[str, Path]) -> dict[str, set[str]]:
    """Which of the known modules each of them imports, at its top or inside a function."""
    drawn = {name: set() for name in known}
    for name, path in known.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                source = ".".join([*up, *filter(None, [node.module])])
                imported = [f"{source}.{alias.name}" for alias in node.names] + [source]
                imported = [target for target in imported if target in known][:1] if source in known else imported
            else:
                continue
            drawn[name] |= {target for target in imported if target in known and target != package} - {name}
    return drawn


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def test_no_arrow_of_the_kit_leads_up():
    upwards = [
        f"{name} imports {target}"
        for name, targets in arrows(modules("workshop")).items()
        for target in targets
        if name != "workshop" and target != "workshop" and KIT.index(room(target)) > KIT.index(room(name))
    ]
    assert not upwards


@pytest.mark.parametrize("folder", ["workshop", "workshop_django"])
def test_no_imports_lead_in_a_circle(folder):
    try:
        TopologicalSorter(arrows(modules(folder))).prepare()
    except CycleError as error:
        pytest.fail("a circle: " + " -> ".join(error.args[1]))


def test_an_app_that_lifts_out_imports_no_other_app_of_the_project():
    inward = [
        f"{name} imports {target}"
        for name, targets in arrows(modules("workshop_django")).items()
        for target in targets
        if room(name) in LIFTED and room(target) != room(name)
    ]
    assert not inward
