"""Remove what earlier runs created.

Removed from the folder .workshop: run folders, logs, JupyterLab's own files. Kept: your progress, and
downloaded packages of the Lambda function, and what `reset` needs. With --all your progress goes, too, and
the .venv that the workshop made. What a running notebook or JupyterLab uses is left alone, and named.
"""

import importlib.util
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from workshop.folders import WORK_FOLDER
from workshop.run_folders import owner, unused_run_folders, used_run_folders
from workshop.setup import installation, virtual_environment

HELP = "removes what was created"
PACKAGES = "not needed"  # it removes them

KEPT = {"progress.json", "progress.lock", "board", "wheels", "install.lock"}  # unless --all
ALWAYS_KEPT = {"shipped", "kept"}  # what `reset` puts back, and what it put aside: a learner's work is never removed


def add_arguments(parser):
    parser.add_argument("--all", action="store_true", help="remove .venv and your progress, too")
    parser.add_argument("--yes", action="store_true", help="with --all: do not ask")
    parser.add_argument("--force", action="store_true", help="stop the notebooks and commands that use something, too")


def run(args) -> int:
    if args.all and not args.yes and not _confirmed():
        print("Nothing was removed.")
        return 1
    if not WORK_FOLDER.exists() and not (args.all and virtual_environment.VENV.exists()):
        print("Nothing to clean.")
        return 0
    try:
        if not _sweep(args):
            return 1
        if args.all:
            _remove_venv()
        _remove_files(everything=args.all)
    except OSError as error:
        raise SystemExit(installation.explain(error)) from None
    return 0


def _confirmed() -> bool:
    print(f"This removes {WORK_FOLDER} with your progress, and {virtual_environment.VENV}.")
    try:
        return input("Type yes to go on: ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _sweep(args) -> bool:
    """False if something is in use and stays."""
    if args.force and used_run_folders():
        _end_owners()
    for folder in unused_run_folders():
        _remove(folder)
    in_use = used_run_folders()
    for folder in in_use:
        print(f"In use: {folder}, by process {owner(folder)}.")
    if in_use:
        print(
            "These were left alone. Close the notebook or press Ctrl-C in its terminal, or add --force.",
            file=sys.stderr,
        )
    return not in_use


def _end_owners() -> None:
    """The notebooks' kernels and the commands; what they started ends with them."""
    if not importlib.util.find_spec("psutil"):
        print("Without the packages the workshop cannot stop what is in use.", file=sys.stderr)
        return
    import psutil

    from workshop.lab.processes import end_family

    for folder in used_run_folders():
        with suppress(psutil.NoSuchProcess):
            end_family(psutil.Process(owner(folder)))
        print(f"Stopped process {owner(folder)}.")


def _remove_files(everything: bool) -> None:
    for path in sorted(WORK_FOLDER.iterdir()) if WORK_FOLDER.exists() else []:
        if path.name not in (ALWAYS_KEPT if everything else KEPT | ALWAYS_KEPT):
            _remove(path)
    if everything and WORK_FOLDER.is_symlink():
        WORK_FOLDER.unlink()
    elif everything and WORK_FOLDER.exists() and not any(WORK_FOLDER.iterdir()):
        WORK_FOLDER.rmdir()


def _remove_venv() -> None:
    venv = virtual_environment.VENV
    if not venv.exists() and not venv.is_symlink():
        return
    if not virtual_environment.is_ours():
        print(f"{venv} was not made by the workshop: it stays.")
        return
    with installation.one_at_a_time():
        installation.delete(venv)
    print(f"Removed {venv}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    print(f"Removed {path}")
