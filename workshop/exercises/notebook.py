"""The notebooks of the exercises: what a question begins with and how it is solved, and how the one makes the other.

`solutions/NN_name.ipynb` is the source. A code cell that answers question 2 has the tag `q2` and a region

    ### BEGIN SOLUTION
    ...
    ### END SOLUTION

and a raw cell with the tag `starting-point` right before it may hold what the learner gets instead of the whole cell.
Without one, the region becomes `...` and a comment. The exercise is the same notebook with this done.
"""

import hashlib
import json
import re
from copy import deepcopy
from functools import cache
from pathlib import Path

from workshop.folders import HOME

SOLUTIONS = HOME / "solutions"
EXERCISES = HOME / "exercises"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
REGION = re.compile(rf"^(?P<indent> *){BEGIN}\n.*?^ *{END} *$\n?", re.DOTALL | re.MULTILINE)
PLACEHOLDER = r"\g<indent># Write your code here.\n\g<indent>...\n"


def chapters() -> list[str]:
    """The names of all exercises, in order."""
    return sorted(path.stem for path in SOLUTIONS.glob("[0-9][0-9]_*.ipynb"))


def named(number: str) -> str | None:
    """The exercise of a chapter that somebody typed: 3, 03 or its whole name."""
    return next((name for name in chapters() if number == name or number.zfill(2) == name[:2]), None)


@cache
def read(chapter: str) -> dict:
    return _load(SOLUTIONS / f"{chapter}.ipynb")


def questions(chapter: str) -> list[str]:
    """The names of the questions that the solution notebook answers: q1, q2, ..."""
    names = {tag for cell in read(chapter)["cells"] for tag in _tags(cell) if re.fullmatch(r"q\d+", tag)}
    return sorted(names, key=lambda name: int(name[1:]))


def starting_point(chapter: str, name: str) -> str:
    """The code that the learner begins with, of all cells of that question."""
    return "\n".join(_source(cell) for cell in exercise(chapter)["cells"] if name in _tags(cell))


def solution(chapter: str, name: str) -> str:
    """The code of the solution, of all cells of that question, without the marks."""
    code = "\n\n".join(
        _source(cell) for cell in read(chapter)["cells"] if name in _tags(cell) and cell["cell_type"] == "code"
    )
    return re.sub(r"^ *### (BEGIN|END) SOLUTION *\n?", "", code, flags=re.MULTILINE).rstrip()


def exercise(chapter: str) -> dict:
    """The exercise notebook, made from the solution notebook; it was not run, so it has no outputs."""
    made = deepcopy(read(chapter))
    cells = []
    start = None
    for cell in made["cells"]:
        if "starting-point" in _tags(cell):
            start = _source(cell)
            continue
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
            if start is not None:
                cell["source"] = start.splitlines(keepends=True)
            else:
                cell["source"] = REGION.sub(PLACEHOLDER, _source(cell)).rstrip().splitlines(keepends=True)
            start = None
        cells.append(cell)
    made["cells"] = cells
    made["metadata"]["workshop"] = {"made": _fingerprint(made)}
    return made


def path_of_exercise(chapter: str) -> Path:
    return EXERCISES / f"{chapter}.ipynb"


def is_fresh(chapter: str) -> bool:
    """Does the exercise notebook have the cells that its solution makes, whatever their outputs?"""
    path = path_of_exercise(chapter)
    return path.exists() and _fingerprint(_load(path)) == _fingerprint(exercise(chapter))


def is_changed(chapter: str) -> bool:
    """Has somebody changed the exercise notebook since it was made? It keeps the fingerprint that it had then."""
    path = path_of_exercise(chapter)
    if not path.exists():
        return False
    there = _load(path)
    return there["metadata"].get("workshop", {}).get("made") != _fingerprint(there)


def _load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _fingerprint(notebook: dict) -> str:
    """Of the cells, whatever their outputs."""
    cells = [(cell["cell_type"], _source(cell), _tags(cell)) for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def _source(cell: dict) -> str:
    return "".join(cell["source"])


def _tags(cell: dict) -> list[str]:
    return cell.get("metadata", {}).get("tags", [])
