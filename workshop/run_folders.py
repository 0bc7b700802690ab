"""A folder in `.workshop/runs` for each process that opens a lab, locked as long as that process runs.

    folder = run_folder()        # this process's own
    in_use(folder)               # does its owner run? Of any folder, asked by any process
    wait_for_owner()             # in a process that the owner started: returns when the owner has ended

The lock is the one sign of life: processes that an owner starts wait for it, and the folders whose lock is free are
swept. Standard library only, for `clean` and `doctor` ask before the packages are installed.
"""

import atexit
import os
import secrets
import shutil
from functools import cache
from pathlib import Path

from .folders import RUNS_FOLDER
from .locks import lock

LOCK = "in-use.lock"
RUN_FOLDER = "WORKSHOP_RUN_FOLDER"  # the environment variable with the run folder of the process that starts another


@cache
def run_folder() -> Path:
    """This process's own folder, removed when the process ends, or by the next one. It may hold keys: 0700.

    Raises OSError where it cannot be made.
    """
    RUNS_FOLDER.mkdir(parents=True, exist_ok=True)
    with (RUNS_FOLDER / ".lock").open("a+b") as gate:  # nobody sweeps between the making of a folder and its locking
        lock(gate)
        remove_unused_run_folders()
        folder = RUNS_FOLDER / f"{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        held = (folder / LOCK).open("a+b")
        lock(held)
    os.environ[RUN_FOLDER] = str(folder)  # what this process starts waits for its lock
    atexit.register(_remove, folder, held)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _let_go(held))
    return folder


def _let_go(held) -> None:
    """In a process that was forked: the lock and the folder are its parent's, also when that ends first."""
    held.close()
    atexit.unregister(_remove)
    run_folder.cache_clear()


def _remove(folder: Path, held) -> None:
    held.close()  # or Windows would not let it be removed
    shutil.rmtree(folder, ignore_errors=True)


def wait_for_owner() -> None:
    """Return when the owner of the run folder that the environment names has ended."""
    try:
        with Path(os.environ[RUN_FOLDER], LOCK).open("r+b") as file:
            lock(file, shared=True)
    except FileNotFoundError:
        pass  # it has ended, and tidied up


def in_use(folder: Path) -> bool:
    """Does the owner run, or a process that it started and that is ending just now?"""
    try:
        with (folder / LOCK).open("r+b") as file:
            return not lock(file, wait=False)
    except (FileNotFoundError, NotADirectoryError):
        return False


def owner(folder: Path) -> int:
    """The number of the process that made the folder."""
    return int(folder.name.partition("-")[0])


def run_folders() -> list[Path]:
    if not RUNS_FOLDER.is_dir() or RUNS_FOLDER.is_symlink():
        return []
    return sorted(path for path in RUNS_FOLDER.iterdir() if path.is_dir() and not path.is_symlink())


def used_run_folders() -> list[Path]:
    return [folder for folder in run_folders() if in_use(folder)]


def unused_run_folders() -> list[Path]:
    return [folder for folder in run_folders() if not in_use(folder)]


def remove_unused_run_folders() -> None:
    """What kernels left that were killed, and so could not tidy up themselves."""
    for folder in unused_run_folders():
        shutil.rmtree(folder, ignore_errors=True)
