"""What holds for the checkout as a whole."""

import ast
import json
import re
import subprocess
import sys

import pytest

from workshop.exercises import notebook
from workshop.folders import CHECKOUT

NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted(notebook.SOLUTIONS.glob("*.ipynb"))
PRODUCT = [CHECKOUT / "lambda_function.py", *sorted((CHECKOUT / "workshop_django").rglob("*.py"))]


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_is_clean(command):
    ruff = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=CHECKOUT, capture_output=True, text=True)
    assert ruff.returncode == 0, ruff.stdout + ruff.stderr


def test_bandit_has_nothing_to_say():
    places = ["-c", "pyproject.toml", "-r", "lambda_function.py", "workshop", "workshop_django"]
    bandit = subprocess.run(
        [sys.executable, "-m", "bandit", "-q", *places], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert bandit.returncode == 0, bandit.stdout + bandit.stderr


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_the_product_never_imports_the_kit(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    assert not {name for name in imported if name.split(".")[0] == "workshop"}


def test_lambda_function_needs_aiohttp_alone():
    tree = ast.parse((CHECKOUT / "lambda_function.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    others = {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    assert others == {"aiohttp", "yarl"}  # yarl is aiohttp's own URL type, installed with it


def test_env_example_explains_every_variable_that_is_read():
    code = "".join(path.read_text(encoding="utf-8") for path in PRODUCT if "settings" in path.name)
    code += (CHECKOUT / "workshop" / "cloud" / "choices.py").read_text(encoding="utf-8")
    read = set(re.findall(r'(?:text|flag|words|url|required|values\.get)\("([A-Z_]+)"', code))
    assert {"APP_KEY", "WORKSHOP_AWS", "NGROK_AUTHTOKEN"} <= read
    example = (CHECKOUT / ".env.example").read_text(encoding="utf-8")
    explained = set(re.findall(r"^#?([A-Z_]+)=", example, flags=re.MULTILINE))
    assert read <= explained, f"not in .env.example: {read - explained}"


def code_cells(path):
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_at_most_one_cell_in_five_ignores_its_output_and_says_why(path):
    cells = code_cells(path)
    ignored = [cell for cell in cells if "nbval-ignore-output" in cell["metadata"].get("tags", [])]
    assert len(ignored) * 5 <= len(cells)
    assert all("# not compared: " in cell_text(cell) or "# not compared " in cell_text(cell) for cell in ignored)
    assert not [
        cell for cell in cells if "NBVAL" in cell_text(cell) or "nbval-skip" in cell["metadata"].get("tags", [])
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_was_run_none_is_longer_than_a_screen_and_none_minds_where_it_is_started(path):
    for cell in code_cells(path):
        assert cell["execution_count"], cell_text(cell)
        assert not re.search(r"[\"']\.\./", cell_text(cell)), cell_text(cell)
        assert len(cell_text(cell).splitlines()) <= 16, cell_text(cell)


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_cell_of_a_solution_was_run(path):
    assert all(cell["execution_count"] for cell in code_cells(path))


@pytest.mark.parametrize(
    "path",
    [
        *NOTEBOOKS,
        *SOLUTIONS,
        *sorted((CHECKOUT / "instructor").glob("*.md")),
        *sorted((CHECKOUT / "hosting").rglob("*.md")),
        *[
            CHECKOUT / "README.md",
            CHECKOUT / "CONTRIBUTING.md",
            CHECKOUT / "SECURITY.md",
            CHECKOUT / "infra" / "README.md",
            CHECKOUT / "notebooks" / "glossary.md",
        ],
    ],
    ids=lambda path: path.relative_to(CHECKOUT).as_posix(),
)
def test_links_lead_to_files_that_are_there(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join(cell_text(cell) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    for target, place in re.findall(r"\]\(([^)#\s]+)(?:#([^)\s]+))?[^)]*\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
            if place and target.endswith("glossary.md"):
                assert f'id="{place}"' in (path.parent / target).read_text(encoding="utf-8"), f"no {place} in {target}"


def cell_text(cell):
    return "".join(cell["source"])
