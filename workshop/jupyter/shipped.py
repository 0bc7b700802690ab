"""Chapters and exercises as they were shipped, and what becomes of those bytes when a learner goes on from them.

is_untouched(path)   # the learner has not saved anything of their own into it
keep(path)           # before the first save: the shipped bytes go to .workshop/shipped
put_back(path)       # -> where the learner's version is now, or None if there was nothing to put back

Standard library only: `python3 -m workshop reset` needs no packages.
"""

import os
import subprocess
import time
from pathlib import Path

from workshop.folders import CHECKOUT, HOME, WORK_FOLDER

FOLDERS = ("notebooks", "exercises")  # what a learner works in
SHIPPED_FOLDER = WORK_FOLDER / "shipped"
KEPT_FOLDER = WORK_FOLDER / "kept"


def is_shipped(path: Path) -> bool:
    """Whether `path` is one of the workshop's own chapters or exercises."""
    return path.suffix == ".ipynb" and path.parent in [HOME / folder for folder in FOLDERS]


def is_untouched(path: Path) -> bool:
    """Whether the file's bytes are the shipped ones.

    Once a learner has saved, the kept bytes tell. Before that git does, for another editor may have been at work.
    Without git nothing does, and a file is taken for untouched: it is shown without outputs, and nothing is lost.
    """
    kept = copy_of(path)
    if kept.exists():
        return kept.read_bytes() == path.read_bytes()
    if HOME != CHECKOUT:
        return False
    status = _git("status", "--porcelain", "--", str(path)).stdout
    return status.strip() == b"" or status.startswith(b"??")  # untracked: a download, unpacked in another repository


def keep(path: Path) -> None:
    """Put the shipped bytes aside. Call it before the first save of the learner's own."""
    write(copy_of(path), path.read_bytes())


def put_back(path: Path) -> Path | None:
    """Restore the shipped bytes; the learner's version is moved to .workshop/kept, with date and time in its name."""
    if path.exists() and is_untouched(path):
        return None
    shipped = copy_of(path)
    if HOME != CHECKOUT:  # the newest is there
        original = (CHECKOUT / path.relative_to(HOME)).read_bytes()
    else:
        original = shipped.read_bytes() if shipped.exists() else _committed(path)
    mine = KEPT_FOLDER / f"{path.parent.name}-{path.stem}-{time.strftime('%Y-%m-%d-%H%M%S')}.ipynb"
    if path.exists():
        write(mine, path.read_bytes())
    write(path, original)
    if HOME != CHECKOUT:
        write(shipped, original)
    else:
        shipped.unlink(missing_ok=True)
    return mine


def _committed(path: Path) -> bytes:
    shown = _git("show", f"HEAD:./{path.relative_to(CHECKOUT).as_posix()}")
    if shown.returncode:
        raise FileNotFoundError(f"{path} was never opened with `workshop lab`, and git does not have it either.")
    return shown.stdout


def copy_of(path: Path) -> Path:
    """Where the shipped bytes of `path` are kept, if they are."""
    return SHIPPED_FOLDER / path.parent.name / path.name


def _git(*arguments: str) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, check=False)
    except OSError:  # no git on this machine
        return subprocess.CompletedProcess(arguments, 128, b"", b"")


def write(path: Path, content: bytes) -> None:
    """All of it or nothing: a full disk must not leave half a notebook."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half_written = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        half_written.write_bytes(content)
        half_written.replace(path)
    finally:
        half_written.unlink(missing_ok=True)
