"""Where the packages are: in the interpreter that is running, or in `.venv`, made and filled when needed.

    status = enter("needed", ["lab"])    # None: the packages are here, go on; else the command has run there

Standard library only: this runs before there are any packages. Every foreseen obstacle ends in SystemExit
with a sentence that says what to do.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from workshop import OLDEST
from workshop.folders import CHECKOUT

from . import installation
from .installation import REQUIREMENTS, say

VENV = CHECKOUT / ".venv"
STAMP = VENV / "made-by-workshop.json"  # its presence is the permission to delete .venv
DISTRIBUTION = "django-sqs-lambda-workshop"


@dataclass(frozen=True)
class Condition:
    """How `.venv` is. `reason` is a sentence for every state but ready and absent.

    ready: use it. outdated: install into it. broken: ours, to be rebuilt. foreign: not ours, left alone.
    """

    state: Literal["absent", "ready", "outdated", "broken", "foreign"]
    reason: str = ""


def enter(packages: Literal["needed", "if installed", "not needed"], arguments: list[str]) -> int | None:
    """Make sure that `python -m workshop ARGUMENTS` runs where the packages are.

    Returns None if that is here (or nowhere, and they are not needed). Otherwise runs the command in `.venv`:
    on Windows that returns its exit status; elsewhere this process becomes the command.
    """
    if packages == "not needed" or ready_here():
        return None
    try:
        if packages == "if installed":
            if running_in_venv() or examine().state != "ready":
                return None
        else:
            _prepare(arguments)
    except OSError as error:
        raise SystemExit(installation.explain(error)) from error
    return _become(venv_python(), arguments)


def running_in_venv() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def ready_here() -> bool:
    """Has the running interpreter all that the workshop needs?"""
    if running_in_venv() and STAMP.exists():
        return _stamp() == _complete_stamp(_version())
    return not differences()


def differences(site_packages: str | None = None) -> list[str]:
    """What is missing, or has another version than requirements.txt says, among the direct dependencies.

    Looks in the running interpreter, or in the folder `site_packages` of another one.
    """
    where = {} if site_packages is None else {"path": [site_packages]}
    found = []
    for name, wanted in _direct_dependencies().items():
        distribution = next(iter(Distribution.discover(name=name, **where)), None)
        if distribution is None:
            found.append(f"{name} is missing")
        elif wanted and distribution.version != wanted:
            found.append(f"{name} is {distribution.version}, not {wanted}")
    workshop = next(iter(Distribution.discover(name=DISTRIBUTION, **where)), None)
    if workshop is None or _source(workshop) != CHECKOUT:
        found.append(f"this checkout ({CHECKOUT}) is not installed")
    return found


def _direct_dependencies() -> dict[str, str | None]:
    """Name -> version in requirements.txt, of the dependencies in pyproject.toml that this system needs."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", REQUIREMENTS.read_text(encoding="utf-8")))
    names = {}
    for dependency in project["dependencies"]:
        other_system = re.search(r"sys_platform == '(\w+)'", dependency)
        if not other_system or other_system[1] == sys.platform:
            name = re.match(r"[\w.-]+", dependency)[0]
            names[name] = locked.get(name)
    return names


def _source(distribution: Distribution) -> Path | None:
    """The folder that an editable installation leads to (PEP 610)."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin["url"]).path)).resolve()


# The condition of .venv


def venv_python() -> Path:
    return VENV / "Scripts" / "python.exe" if os.name == "nt" else VENV / "bin" / "python"


def examine() -> Condition:
    """Look at `.venv` without changing anything."""
    if VENV.is_dir() and not VENV.is_symlink() and not any(VENV.iterdir()):
        return Condition("absent")
    if not VENV.is_symlink() and not VENV.exists():
        return Condition("absent")
    if STAMP.exists() and not VENV.is_symlink():
        return _examine_ours(_stamp())
    return _examine_foreign()


def _examine_ours(stamp: dict) -> Condition:
    if not stamp.get("complete"):
        return Condition("broken", "An earlier installation was not finished.")
    if stamp.get("checkout") != str(CHECKOUT):
        return Condition("broken", f"This folder was moved or copied: .venv belongs to {stamp.get('checkout')}.")
    probe = _probe()
    if probe is None:
        return Condition("broken", "The Python that .venv was made with is gone.")
    if probe[0] != stamp.get("python"):
        return Condition("broken", f"The Python of .venv was {stamp.get('python')} and is {probe[0]} now.")
    if stamp != _complete_stamp(probe[0]):
        return Condition("outdated", "requirements.txt has changed.")
    return Condition("ready")


def _examine_foreign() -> Condition:
    """A `.venv` that a person made: used, installed into, and never deleted."""
    if not (VENV / "pyvenv.cfg").exists():
        return Condition("foreign", f"{VENV} is there, but it is not a virtual environment.")
    probe = _probe()
    if probe is None:
        return Condition("foreign", f"{VENV} does not work, and it was not made by the workshop.")
    version, site_packages = probe
    if tuple(map(int, version.split("."))) < OLDEST:
        return Condition("foreign", f"{VENV} has Python {version}, and the workshop needs 3.11 or newer.")
    different = differences(site_packages)
    if different:
        return Condition("outdated", f"{VENV} is not complete: {different[0]}.")
    return Condition("ready")


def _probe() -> tuple[str, str] | None:
    """The version and the site-packages of the interpreter in `.venv`; None if it does not run."""
    question = "import sys, sysconfig; print(*sys.version_info[:2], sep='.'); print(sysconfig.get_path('purelib'))"
    try:
        answer = subprocess.run(
            [venv_python(), "-I", "-c", question], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version, site_packages = answer.stdout.splitlines()
    return version, site_packages


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _complete_stamp(python: str) -> dict:
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    return {"checkout": str(CHECKOUT), "python": python, "requirements": digest, "complete": True}


def _stamp() -> dict:
    try:
        return json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _write_stamp(stamp: dict) -> None:
    STAMP.write_text(json.dumps(stamp, indent=1), encoding="utf-8")


# Making it ready


def _prepare(arguments: list[str]) -> None:
    """Leave `.venv` ready. Several starts at once: one does it, the others wait for it."""
    if examine().state == "ready":
        return
    with installation.one_at_a_time():
        condition = examine()
        if condition.state == "ready":
            return
        if condition.state == "foreign":
            raise SystemExit(
                f"{condition.reason} The workshop installs its packages there, and deletes nothing that it "
                "did not make. Move it away or delete it yourself, then run this again."
            )
        if condition.reason:
            say(condition.reason)
        if condition.state in ("absent", "broken"):
            if running_in_venv():
                # This interpreter lives in what is to be rebuilt. The one it was made from does the work.
                sys.exit(_become(Path(sys._base_executable), arguments))
            installation.require_venv_module()
            _make()
        _install()


def _make() -> None:
    if STAMP.exists():
        say("Rebuilding .venv.")
        installation.delete(VENV)
    else:
        say(f"Making .venv with Python {sys.version.split()[0]}. This happens once.")
    VENV.mkdir(exist_ok=True)
    _write_stamp({"complete": False})
    installation.make(VENV)


def _install() -> None:
    made_here = STAMP.exists()
    if made_here:
        _write_stamp({"complete": False})
    version, site_packages = _probe()
    installation.install(venv_python(), Path(site_packages))
    if made_here:
        _write_stamp(_complete_stamp(version))
    elif different := differences(site_packages):
        raise SystemExit(f"{VENV} is still not complete: {different[0]}. Move it away, then run this again.")


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
