"""The function's deployment package: one zip of `lambda_function.py` and aiohttp, made without Docker.

    package("arm64")        # for AWS Lambda
    package_installed()     # for this machine's own Python: what LambdaRuntime runs

Lambda's Python has no aiohttp. Its compiled wheels must be those of Lambda's processor and Python, not of
this machine, so pip is asked for them by name. The same files and the same zlib give the same bytes: names
are sorted, times and permissions fixed, caches left out.
"""

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workshop.folders import CHECKOUT, LAMBDA_WHEELS, WORK_FOLDER
from workshop.foreseen import Foreseen
from workshop.names import FUNCTION_NAME

LAMBDA_FUNCTION = CHECKOUT / "lambda_function.py"
REQUIREMENTS = CHECKOUT / "requirements.txt"
PACKAGE_FOLDER = WORK_FOLDER / "package"

ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}  # Lambda's name: the wheels' name
PYTHON_VERSION = "3.13"
# python3.13 runs on Amazon Linux 2023, whose glibc is 2.34: wheels made for that or an older one will do.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
GLIBC_MINOR_VERSIONS = range(34, 16, -1)
UNZIPPED_LIMIT = 250 * 1024**2  # bytes: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold


class PackagingError(Foreseen):
    """The package could not be made. The message says why and what to do."""


@dataclass(frozen=True)
class Package:
    """`path` of the zip; `size` and `unzipped_size` in bytes; `contents`: "name==version", function first;
    `digest`: the first 16 hexadecimal digits of the zip's SHA-256; `architecture`: Lambda's name of the processor."""

    path: Path
    size: int
    unzipped_size: int
    contents: tuple[str, ...]
    digest: str
    architecture: str


def package(architecture: str = "arm64", *, folder: Path = PACKAGE_FOLDER) -> Package:
    """Make the zip for AWS Lambda: `lambda_function.py` with the wheels of "arm64" or "x86_64".

    Wheels come from PyPI once and are kept in `.workshop/wheels`. Raises PackagingError without a network
    on the first call, and for an unknown architecture.
    """
    if architecture not in ARCHITECTURES:
        raise PackagingError(f"Lambda has no architecture {architecture!r}. Say arm64 or x86_64.")
    pins = lambda_requirements()
    files = {"lambda_function.py": LAMBDA_FUNCTION.read_bytes()}
    for wheel in wheels(architecture):
        with zipfile.ZipFile(wheel) as archive:
            files |= {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    return _write(folder / f"{FUNCTION_NAME}-{architecture}.zip", files, pins, architecture)


def package_installed(*, folder: Path = PACKAGE_FOLDER) -> Package:
    """Make the same zip from what is installed here, for this Python and this processor. Needs no network."""
    pins = []
    files = {"lambda_function.py": LAMBDA_FUNCTION.read_bytes()}
    for name in _requirement_names(environment=None):
        distribution = importlib.metadata.distribution(name)
        pins.append(f"{name}=={distribution.version}")
        for file in distribution.files or ():
            if not file.is_absolute() and ".." not in file.parts and file.suffix != ".pyc":
                files[file.as_posix()] = Path(file.locate()).read_bytes()
    here = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
    return _write(folder / f"{FUNCTION_NAME}-installed.zip", files, pins, here)


def lambda_requirements() -> list[str]:
    """aiohttp and what it needs on Lambda, as "name==version" with the versions of requirements.txt."""
    pinned = {}
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line):
            pinned[canonicalize_name(match[1])] = match[2]
    environment = {
        "python_version": PYTHON_VERSION,
        "python_full_version": f"{PYTHON_VERSION}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }
    try:
        return [f"{name}=={pinned[name]}" for name in _requirement_names(environment)]
    except KeyError as missing:
        raise PackagingError(f"{REQUIREMENTS.name} does not pin {missing}, which aiohttp needs.") from None


def _requirement_names(environment: dict[str, str] | None) -> list[str]:
    """aiohttp and everything that it needs in `environment` (None: here), sorted.

    Pip would judge "only before Python 3.13" by the Python that runs it; Lambda's is what counts.
    """
    found: set[str] = set()
    waiting = ["aiohttp"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or ():
            requirement = Requirement(line)
            extra = {**(environment or {}), "extra": ""}
            if requirement.marker is None or requirement.marker.evaluate(extra):
                waiting.append(requirement.name)
    return sorted(found)


def wheels(architecture: str) -> Iterator[Path]:
    """The wheels of aiohttp and what it needs, each downloaded where it is not in `.workshop/wheels` yet."""
    pins = lambda_requirements()
    folder = LAMBDA_WHEELS / architecture
    missing = [pin for pin in pins if _cached(pin, folder) is None]
    if missing:
        _download(missing, folder, ARCHITECTURES[architecture])
    for pin in pins:
        wheel = _cached(pin, folder)
        if wheel is None:
            raise PackagingError(f"pip downloaded no wheel of {pin} into {folder}. Delete that folder and try again.")
        yield wheel


def _cached(pin: str, folder: Path) -> Path | None:
    name, version = pin.split("==")
    return next(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"), None)


def _download(pins: Iterable[str], folder: Path, machine: str) -> None:
    tags = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINOR_VERSIONS]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"),
        *("--disable-pip-version-check", "--retries=1", "--timeout=10", "--python-version", PYTHON_VERSION),
        *(part for tag in [*tags, f"manylinux2014_{machine}"] for part in ("--platform", tag)),
        *("--dest", str(folder), *pins),
    ]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PIP_NO_INPUT": "1"})
    if result.returncode == 0:
        return
    if "No module named pip" in result.stderr:
        raise PackagingError("This Python has no pip. Install it with: python3 -m ensurepip --upgrade")
    if re.search(r"connection|resolve|timed out|unreachable|proxy", result.stderr, re.IGNORECASE):
        raise PackagingError(
            "PyPI cannot be reached, and the wheels for Lambda are not here yet. Connect to the network and "
            "try again: it is needed once, afterwards the wheels are kept in .workshop/wheels."
        )
    lines = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
    raise PackagingError(f"pip could not download the wheels for Lambda: {lines[-1]}")


def _write(path: Path, files: dict[str, bytes], pins: list[str], architecture: str) -> Package:
    path.parent.mkdir(parents=True, exist_ok=True)
    half_written = path.with_suffix(f".{os.getpid()}.part")
    with zipfile.ZipFile(half_written, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.create_system = 3  # Unix, also when made on Windows: Lambda reads the permissions
            entry.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
    half_written.replace(path)
    made = Package(
        path=path,
        size=path.stat().st_size,
        unzipped_size=sum(map(len, files.values())),
        contents=("lambda_function.py", *pins),
        digest=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        architecture=architecture,
    )
    if made.unzipped_size > UNZIPPED_LIMIT:
        raise PackagingError(f"{path.name} unzips to {made.unzipped_size:,} bytes; Lambda takes {UNZIPPED_LIMIT:,}.")
    return made
