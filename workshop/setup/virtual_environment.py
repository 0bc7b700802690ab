"""Where the packages are: in the interpreter that is running, or in `.venv`, made and filled when needed.

    status = enter("needed", ["lab"])    # None: the packages are here, go on; else the command has run there

Standard library only: this runs before there are any packages. Every foreseen obstacle ends in SystemExit
with a sentence that says what to do.
"""

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from workshop import OLDEST
from workshop.folders import CHECKOUT, HOME

from . import installation, wheelhouse
from .installation import Purpose, packages_for, say

VENV = CHECKOUT / ".venv"
STAMP = VENV / "made-by-workshop.json"  # what is installed in .venv; and, if it says so, that we may delete it
DISTRIBUTION = "django-sqs-lambda-workshop"

Need = Literal["needed", "needed for tests", "if installed", "not needed"]
# ready: go there. incomplete: install into it. unusable: ours, or none, to be made. foreign: unusable and not ours.
State = Literal["ready", "incomplete", "unusable", "foreign"]


def enter(need: Need, arguments: list[str], given: str | None = None) -> int | None:
    """Make sure that `python -m workshop ARGUMENTS` runs where the packages are.

    Returns None if that is here (or nowhere, and they are not needed). Otherwise runs the command in `.venv`:
    on Windows that returns its exit status; elsewhere this process becomes the command. `given` is the
    wheelhouse that a person named for this start.
    """
    purpose: Purpose = "tests" if need == "needed for tests" else "learner"
    if need == "not needed":
        return None
    try:
        if need.startswith("needed"):
            _require_a_folder_to_work_in()
        if ready_here(purpose):
            return None
        if need == "if installed":
            if running_in_venv() or examine(purpose)[0] != "ready":
                return None
        else:
            _prepare(purpose, arguments, given)
    except OSError as error:
        raise SystemExit(installation.explain(error)) from error
    return _become(venv_python(), arguments)


def _require_a_folder_to_work_in() -> None:
    """OSError where this person may not write to their folder: it is somebody else's checkout."""
    existing = next(folder for folder in (HOME, *HOME.parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(existing))


def running_in_venv() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def ready_here(purpose: Purpose = "learner") -> bool:
    """Has the running interpreter all that is needed, and is it this checkout that is installed there?"""
    if running_in_venv() and STAMP.exists():
        return _stamp_fits(_stamp(), _version(), purpose)
    workshop = next(iter(Distribution.discover(name=DISTRIBUTION)), None)
    return workshop is not None and _source(workshop) == CHECKOUT and not differences(purpose)


def differences(purpose: Purpose) -> list[str]:
    """The direct dependencies that the running interpreter lacks, or has in another version than the locked one."""
    try:
        from packaging.requirements import Requirement  # one of them
    except ImportError:
        return ["packaging"]
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + (project["optional-dependencies"]["tests"] if purpose == "tests" else [])
    locked = dict(re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", packages_for(purpose).read_text(encoding="utf-8")))
    names = [each.name for each in map(Requirement, wanted) if not each.marker or each.marker.evaluate()]
    found = {name: next(iter(Distribution.discover(name=name)), None) for name in names}
    return [name for name in names if not found[name] or found[name].version != locked.get(name, found[name].version)]


def _source(distribution: Distribution) -> Path | None:
    """The folder that an editable installation leads to (PEP 610)."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin["url"]).path)).resolve()


# How .venv is


def venv_python() -> Path:
    return VENV / "Scripts" / "python.exe" if os.name == "nt" else VENV / "bin" / "python"


def examine(purpose: Purpose = "learner") -> tuple[State, str]:
    """Look at `.venv` without changing anything: how it is, and why it is not ready (nothing, if there is none)."""
    if not VENV.is_symlink() and (not VENV.exists() or (VENV.is_dir() and not any(VENV.iterdir()))):
        return "unusable", ""
    stamp, version = _stamp(), _probe()[0]
    if _stamp_fits(stamp, version, purpose):
        return "ready", ""
    problem = ""
    if not version:
        problem = "its Python does not run"
    elif tuple(map(int, version.split("."))) < OLDEST:
        problem = f"it has Python {version}, and the workshop needs {'.'.join(map(str, OLDEST))} or newer"
    elif is_ours() and not stamp.get("packages"):
        problem = "an earlier installation was not finished"
    elif is_ours() and stamp.get("checkout") != str(CHECKOUT):
        problem = f"this folder was moved or copied from {stamp.get('checkout')}"
    elif is_ours() and stamp.get("python") != version:
        problem = f"its Python was {stamp.get('python')} and is {version} now"
    if problem:
        return "unusable" if is_ours() else "foreign", f"{VENV} cannot be used: {problem}."
    return "incomplete", f"{VENV} has not the packages that are needed now."


def is_ours() -> bool:
    """May it be deleted? Not what a person made, nor what a person's link leads to."""
    return STAMP.exists() and not VENV.is_symlink() and _stamp().get("made_by_workshop", True)


def _probe() -> tuple[str, str]:
    """The version and the site-packages of the interpreter in `.venv`; empty if it does not run."""
    question = "import sys, sysconfig; print(*sys.version_info[:2], sep='.'); print(sysconfig.get_path('purelib'))"
    command = [venv_python(), "-I", "-c", question]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        version, site_packages = answer.stdout.splitlines()
    except (OSError, subprocess.SubprocessError, ValueError):
        return "", ""
    return version, site_packages


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _stamp_fits(stamp: dict, python: str, purpose: Purpose) -> bool:
    """Is the stamp the one of a finished installation? (What the tests need is enough for a learner, too.)"""
    enough: list[Purpose] = ["tests"] if purpose == "tests" else ["learner", "tests"]
    return any(stamp | _complete_stamp(python, each) == stamp for each in enough)


def _complete_stamp(python: str, purpose: Purpose) -> dict:
    digest = hashlib.sha256(packages_for(purpose).read_bytes()).hexdigest()
    return {"checkout": str(CHECKOUT), "python": python, "packages": digest}


def _stamp() -> dict:
    try:
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _write_stamp(stamp: dict) -> None:
    STAMP.write_text(json.dumps(stamp, indent=1), encoding="utf-8")


# Making it ready


def _prepare(purpose: Purpose, arguments: list[str], given: str | None) -> None:
    """Leave `.venv` ready. Several starts at once: one does it, the others wait for it."""
    if examine(purpose)[0] == "ready":
        return
    with installation.one_at_a_time():
        state, reason = examine(purpose)
        if state == "ready":
            return
        if state == "foreign":
            raise SystemExit(
                f"{reason} The workshop deletes nothing that it did not make: move it away or delete it yourself, "
                "then run this again."
            )
        if reason:
            say(reason)
        stick = wheelhouse.find(given) if purpose == "learner" else None
        if state == "unusable":
            if running_in_venv():
                # This interpreter lives in what is to be rebuilt. The one it was made from does the work.
                sys.exit(_become(Path(sys._base_executable), arguments))
            installation.require_venv_module()
            _make()
        _install(purpose, stick)


def _make() -> None:
    if STAMP.exists():
        say("Rebuilding .venv.")
        installation.delete(VENV)
    else:
        say(f"Making .venv with Python {sys.version.split()[0]}. This happens once.")
    VENV.mkdir(exist_ok=True)
    _write_stamp({"made_by_workshop": True})
    installation.make(VENV)


def _install(purpose: Purpose, stick: Path | None) -> None:
    before, (version, site_packages) = _stamp(), _probe()
    ours = is_ours()
    _write_stamp({"made_by_workshop": ours})
    try:
        installation.install(packages_for(purpose), venv_python(), Path(site_packages), stick)
        if stick:
            wheelhouse.bring_lambda_wheels(stick)
    except SystemExit:  # the installer gave up, and so had not begun to replace what was there
        _write_stamp(before | {"made_by_workshop": ours})
        raise
    _write_stamp({"made_by_workshop": ours} | _complete_stamp(version, purpose))


# Going there


def _become(python: Path, arguments: list[str]) -> int:
    """Run the command with another interpreter. POSIX: in place of this process. Windows: as its child."""
    command = [str(python), "-m", "workshop", *arguments]
    environment = dict(os.environ)
    for name in ("__PYVENV_LAUNCHER__", "PYTHONHOME"):  # they would lead it back to the interpreter left
        environment.pop(name, None)
    if python == venv_python():  # as activating it would: jupyter, aws, python in a terminal are its own
        environment["VIRTUAL_ENV"] = str(VENV)
        environment["PATH"] = str(python.parent) + os.pathsep + environment.get("PATH", "")
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execve(python, command, environment)  # noqa: S606
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C reached the child, too: it ends by itself
