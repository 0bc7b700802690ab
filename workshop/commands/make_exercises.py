"""Make the exercise notebooks from the solution notebooks, and run them as a learner first sees them.

A cell of a solution that answers question 2 has the tag q2 and its answer between ### BEGIN SOLUTION and
### END SOLUTION; a raw cell before it with the tag starting-point holds what the learner gets instead.
A file whose cells were changed since it was made is somebody's answers: it is named, and never written over.
"""

import sys
from pathlib import Path

HELP = "makes the exercise notebooks from the solution notebooks"


def add_arguments(parser):
    parser.add_argument("chapters", nargs="*", metavar="NN", help="only these, for example 03 (default: all)")


def run(args) -> int:
    from workshop.exercises import notebook

    chosen = [notebook.named(number) or args.parser.error(_unknown(number)) for number in args.chapters]
    chosen = chosen or notebook.chapters()
    answered = [chapter for chapter in chosen if notebook.is_changed(chapter)]
    for chapter in chosen:
        if chapter not in answered:
            print(f"exercises/{chapter}.ipynb", end=" ", flush=True)
            _make(chapter)
            print("made")
    for chapter in answered:
        print(f"Not made: exercises/{chapter}.ipynb, because its cells were changed. Move it away to make it anew.")
    return 1 if answered else 0


def _unknown(number: str) -> str:
    return f"there is no exercise {number!r}. Write the number of a chapter, for example 03."


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
