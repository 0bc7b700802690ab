"""Stop what earlier runs left running, and remove what they created.

Removed from the folder .workshop: run folders, logs, JupyterLab's own files. Kept: your progress, and
downloaded packages of the Lambda function. With --all everything in .workshop goes, and the .venv that
the workshop made. What a running notebook or JupyterLab uses is left alone, and named.
"""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from workshop.folders import WORK_FOLDER
from workshop.setup import installation, virtual_environment

HELP = "stops what was left running and removes what was created"
PACKAGES = "not needed"  # it removes them; to look at processes it asks the Python in .venv

KEPT = {"progress.json", "progress.lock", "wheels", "install.lock"}  # unless --all


def add_arguments(parser):
    parser.add_argument("--all", action="store_true", help="remove .venv and your progress, too")
    parser.add_argument("--yes", action="store_true", help="with --all: do not ask")
    parser.add_argument("--force", action="store_true", help="stop what is in use, too")
    parser.add_argument("--only-stop", action="store_true", help="stop processes, remove nothing")


def run(args) -> int:
    if args.all and not args.yes and not _confirmed():
        print("Nothing was removed.")
        return 1
    if not WORK_FOLDER.exists() and not (args.all and virtual_environment.VENV.exists()):
        print("Nothing to clean.")
        return 0
    try:
        if not _stop_processes(args):
            return 1
        if args.only_stop:
            return 0
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


def _stop_processes(args) -> bool:
    """False if something is in use and stays."""
    if importlib.util.find_spec("psutil"):
        return _stop_here(args)
    if not any(WORK_FOLDER.rglob("*.pid")) and not any(WORK_FOLDER.glob("runs/*")):
        return True
    if virtual_environment.examine().state in ("ready", "outdated"):
        command = [virtual_environment.venv_python(), "-m", "workshop", "clean", "--only-stop"]
        return subprocess.run([*command, *(["--force"] if args.force else [])], check=False).returncode == 0
    if args.force:
        return True
    print(
        "There are records of processes, but without the packages the workshop cannot tell whether they still "
        "run. Close every notebook, then add --force.",
        file=sys.stderr,
    )
    return False


def _stop_here(args) -> bool:
    from workshop.lab import leftovers

    in_use = []
    for process in leftovers.processes():
        if process.in_use and not args.force:
            in_use.append(process)
            continue
        leftovers.stop(process)
        print(f"Stopped {process.name} (process {process.pid}).")
    for process in in_use:
        print(f"In use: {process.name} (process {process.pid}), started by process {process.parent}.")
    for folder in leftovers.unused_run_folders():
        if not args.only_stop and folder not in {process.folder for process in in_use}:
            _remove(folder)
    if in_use:
        print(
            "These were left alone. Close the notebook or press Ctrl-C in its terminal, or add --force.",
            file=sys.stderr,
        )
    return not in_use


def _remove_files(everything: bool) -> None:
    for path in sorted(WORK_FOLDER.iterdir()) if WORK_FOLDER.exists() else []:
        if everything or path.name not in KEPT:
            _remove(path)
    if everything and WORK_FOLDER.is_symlink():
        WORK_FOLDER.unlink()
    elif everything and WORK_FOLDER.exists():
        WORK_FOLDER.rmdir()


def _remove_venv() -> None:
    venv = virtual_environment.VENV
    if not venv.exists() and not venv.is_symlink():
        return
    if not virtual_environment.STAMP.exists() or venv.is_symlink():
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
