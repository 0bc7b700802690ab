"""Make the exercise notebooks from the solution notebooks, and run them as a learner first sees them.

A cell of a solution that answers question 2 has the tag q2 and its answer between ### BEGIN SOLUTION and
### END SOLUTION; a raw cell before it with the tag starting-point holds what the learner gets instead.

An exercise that somebody has worked in is left as it is, and named, unless --overwrite is given.
"""

import sys
from pathlib import Path

from workshop.names import PROGRAM

HELP = "makes the exercise notebooks anew from the solutions"


def add_arguments(parser):
    parser.add_argument("chapters", nargs="*", metavar="NN", help="only these, for example 03 (default: all)")
    parser.add_argument("--overwrite", action="store_true", help="replace exercises that were changed, too")
    parser.add_argument("--check", action="store_true", help="write nothing; say which are stale (exit status 1)")


def run(args) -> int:
    from workshop.exercises import notebook
    from workshop.jupyter.shipped import is_untouched

    unknown = [number for number in args.chapters if not _chosen(notebook.chapters(), [number])]
    if unknown:
        args.parser.error(f"there is no solution notebook {unknown[0]!r} in {notebook.SOLUTIONS}")
    chosen = _chosen(notebook.chapters(), args.chapters)
    if args.check:
        stale = [chapter for chapter in chosen if not notebook.is_fresh(chapter)]
        for chapter in stale:
            print(f"stale: exercises/{chapter}.ipynb")
        return 1 if stale else 0
    paths = [notebook.path_of_exercise(chapter) for chapter in chosen]
    changed = [path.name for path in paths if path.exists() and not is_untouched(path)]
    if changed and not args.overwrite:
        print(
            f"Somebody has worked in {', '.join(changed)}: nothing was made. As a learner, open the exercises in "
            f"`{PROGRAM} lab`; `{PROGRAM} reset NN --exercise` puts one back and keeps yours. As their author, add "
            "--overwrite.",
            file=sys.stderr,
        )
        return 1
    for chapter in chosen:
        print(f"exercises/{chapter}.ipynb", end=" ", flush=True)
        _make(chapter)
        print("made")
    return 0


def _chosen(chapters: list[str], numbers: list[str]) -> list[str]:
    return [chapter for chapter in chapters if not numbers or chapter[:2] in {number.zfill(2) for number in numbers}]


def _make(chapter: str) -> None:
    import json
    import os
    import tempfile

    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    from workshop.exercises import notebook

    path = notebook.path_of_exercise(chapter)
    made = nbformat.reads(json.dumps(notebook.exercise(chapter)), as_version=4)
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # The author's own progress is not what a learner first sees.
        environment = os.environ | {"WORKSHOP_PROGRESS_FILE": str(Path(folder) / "progress.json")}
        client = NotebookClient(made, timeout=120, resources={"metadata": {"path": str(path.parent)}})
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            sys.exit(f"\n{path} does not run as a learner gets it:\n{error}")
    made.metadata.language_info = {"name": "python"}  # not the version of whoever made it
    for cell in made.cells:
        cell.metadata.pop("execution", None)
    nbformat.write(made, path)
