"""A folder with everything that an installation downloads: for a room without a network, on a stick.

    make(Path("/media/stick/wheelhouse"), [this_machine(), Target.named("windows-3.13")])
    wheelhouse = find()                     # in the checkout or beside it
    install(packages_for("learner"), python, site_packages, wheelhouse)

`made-for.json` says for which machines it was made, and for which version of the packages. Making one needs the
packages (`packaging` reads the markers); finding and using one is standard library only.
"""

import hashlib
import json
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from workshop import OLDEST
from workshop.folders import CHECKOUT, LAMBDA_WHEELS

from . import installation
from .installation import entries, packages_for, say

RECORD = "made-for.json"
LAMBDA = "lambda"  # the wheels of the Lambda package, a folder for each architecture

# What the Python of each system says of itself in markers, and the tags of wheels that run there.
# Linux: glibc 2.28 and newer (Debian 10, Ubuntu 20.04, RHEL 8). macOS: 14 and newer, and Apple's own processors: for
# Intel's, cryptography (moto needs it) has no wheels any more.
SYSTEMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}
PROCESSORS = {
    ("linux", "x86_64"): [*(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)), "manylinux2014_x86_64"],
    ("linux", "arm64"): [*(f"manylinux_2_{minor}_aarch64" for minor in range(28, 16, -1)), "manylinux2014_aarch64"],
    ("macos", "arm64"): ["macosx_14_0_arm64"],  # pip adds the older ones itself
    ("windows", "x86_64"): ["win_amd64"],
}
USUAL = {"linux": "x86_64", "macos": "arm64", "windows": "x86_64"}  # where no processor is named


@dataclass(frozen=True)
class Target:
    """A kind of machine, as `macos-arm64-3.12` names it."""

    system: str
    processor: str
    python: str

    def __str__(self) -> str:
        return f"{self.system}-{self.processor}-{self.python}"

    @classmethod
    def named(cls, text: str) -> "Target":
        """From SYSTEM-3.N or SYSTEM-PROCESSOR-3.N. ValueError says which there are."""
        found = re.fullmatch(r"([a-z]+)(?:-(\w+))?-(3\.\d+)", text)
        system, processor, python = found.groups() if found else ("", "", "")
        processor = processor or USUAL.get(system, "")
        oldest = ".".join(map(str, OLDEST))
        if (system, processor) not in PROCESSORS or tuple(map(int, python.split("."))) < OLDEST:
            known = ", ".join("-".join(pair) for pair in PROCESSORS)
            raise ValueError(
                f"{text!r} names no machine that the workshop knows. Say the system, the processor and Python's "
                f"version ({oldest} or newer), as in windows-3.13 or macos-arm64-3.12. There are: {known}."
            )
        return cls(system, processor, python)


def this_machine() -> Target:
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    processor = {"amd64": "x86_64", "aarch64": "arm64"}.get(machine, machine)
    return Target(system, processor, f"{sys.version_info.major}.{sys.version_info.minor}")


# Making one


def make(folder: Path, targets: list[Target]) -> None:
    """Download the learner's packages for each target into `folder`. Targets of an earlier call stay.

    SystemExit says what was wrong and what to do; what is there by then is used the next time.
    """
    before = _record(folder)
    if folder.exists() and not before and any(folder.iterdir()):
        raise SystemExit(f"{folder} holds other things. Name a folder that is empty or not there yet.")
    folder.mkdir(parents=True, exist_ok=True)
    digest = _digest()
    made = before.get("for", []) if before.get("packages") == digest else []
    _write_record(folder, digest, made)
    with installation.one_at_a_time():
        for target in targets:
            _download(folder, target)
            made = sorted({*made, str(target)})
            _write_record(folder, digest, made)


def _download(folder: Path, target: Target) -> None:
    tags = [part for tag in PROCESSORS[target.system, target.processor] for part in ("--platform", tag)]
    there: set[str] = set()
    # The last and the first of its patch releases: a marker may tell them apart (soupsieve's: 3.11.5).
    for version in (f"{target.python}.99", f"{target.python}.0"):
        needed = [entry for entry in _needed(target, version) if entry not in there]
        there.update(needed)
        if needed:
            say(f"{target}: {len(needed)} packages")
            options = ["--only-binary=:all:", "--python-version", version, *tags]
            installation.download(sys.executable, needed, folder, options)


def _needed(target: Target, full_version: str) -> list[str]:
    """The entries of the learner's list that this target installs, without their markers."""
    from packaging.markers import Marker

    # What no marker of the list asks (a release of the kernel) is left as it is here.
    environment = SYSTEMS[target.system] | {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": target.processor,
        "python_version": target.python,
        "python_full_version": full_version,
    }
    chosen = []
    for entry in entries(packages_for("learner")):
        pin, marker, hashes = re.match(r"([^;\\\s]+)\s*(?:;([^\\]*))?(\\\n.*)", entry, re.DOTALL).groups()
        if not marker or Marker(marker.strip()).evaluate(environment):
            chosen.append(f"{pin} {hashes}")
    return chosen


# Finding and using one


def find(given: str | None = None) -> Path | None:
    """The wheelhouse that has this machine's packages: `given`, or one in the checkout or beside it.

    None: there is none for this machine, so the packages come from the internet. SystemExit if `given` will not do.
    """
    for folder in [Path(given).expanduser()] if given else [CHECKOUT / "wheelhouse", CHECKOUT.parent / "wheelhouse"]:
        problem = _problem(folder)
        if not problem:
            return folder.resolve()
        if given:
            raise SystemExit(problem)
        if _record(folder):
            say(f"{problem} The packages come from the internet instead.")
    return None


def _problem(folder: Path) -> str:
    record = _record(folder)
    if not record:
        return f"{folder} is no wheelhouse: python3 -m workshop wheelhouse FOLDER makes one."
    if record["packages"] != _digest():
        return f"{folder} was made for another version of this workshop. Make it anew from this one."
    here = str(this_machine())
    if here not in record["for"]:
        machines = ", ".join(record["for"]) or "no machine yet"
        return (
            f"{folder} was made for {machines}; this is {here}. Ask for --for {here}, or start the workshop with a "
            "Python that it was made for."
        )
    return ""


def bring_lambda_wheels(wheelhouse: Path) -> None:
    """So that `package` finds what it would download."""
    shutil.copytree(wheelhouse / LAMBDA, LAMBDA_WHEELS, dirs_exist_ok=True)


def _digest() -> str:
    return hashlib.sha256(packages_for("learner").read_bytes()).hexdigest()


def _record(folder: Path) -> dict:
    try:
        return dict(json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _write_record(folder: Path, digest: str, targets: list[str]) -> None:
    text = json.dumps({"packages": digest, "for": targets}, indent=1)
    (folder / RECORD).write_text(text, encoding="utf-8")
