"""What earlier runs left: records of processes (`*.pid`) and run folders, and which of them are still in use.

for process in leftovers.processes():
    print(process.name, process.pid, process.in_use)
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from workshop.folders import RUNS_FOLDER, WORK_FOLDER

from .processes import end_family, has_ended


@dataclass(frozen=True)
class LeftRunning:
    """A process that the workshop started and that still runs. `in_use`: so does the one that started it."""

    name: str
    pid: int
    folder: Path
    parent: int
    in_use: bool


def processes() -> list[LeftRunning]:
    """The recorded processes that run. A pid counts only with its create time: numbers are used again."""
    found = []
    for record_path in sorted(WORK_FOLDER.rglob("*.pid")):
        try:
            record = json.loads(record_path.read_text(encoding="utf-8"))
            runs = _runs(record["pid"], record["create_time"])
            in_use = _runs(record["parent"], record["parent_create_time"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # removed meanwhile, or half written by a process that was killed
        if runs:
            found.append(LeftRunning(record["name"], record["pid"], record_path.parent, record["parent"], in_use))
    return found


def _runs(pid: int, create_time: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - create_time) < 1 and not has_ended(process)
    except psutil.Error:
        return False


def stop(left: LeftRunning) -> None:
    """End the process and everything that it started."""
    try:
        process = psutil.Process(left.pid)
    except psutil.NoSuchProcess:
        return
    end_family(process)


def unused_run_folders() -> list[Path]:
    """The folders in `.workshop/runs` whose process (its pid begins the folder's name) has ended."""
    if not RUNS_FOLDER.is_dir() or RUNS_FOLDER.is_symlink():
        return []
    return [folder for folder in sorted(RUNS_FOLDER.iterdir()) if not _owner_runs(folder)]


def remove_unused_run_folders() -> None:
    """What kernels left that were killed, and so could not tidy up themselves."""
    for folder in unused_run_folders():
        shutil.rmtree(folder, ignore_errors=True)


def _owner_runs(folder: Path) -> bool:
    try:
        owner = psutil.Process(int(folder.name.split("-")[0]))
        # A process that is younger than the folder got the number later.
        return owner.create_time() <= folder.stat().st_mtime and not has_ended(owner)
    except (psutil.Error, ValueError, OSError):
        return False
