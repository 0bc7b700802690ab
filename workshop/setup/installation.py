"""Makes `.venv` and installs a list of packages into it, by their hashes, and then this repository.

    with one_at_a_time():
        make(venv)
        install(packages_for("learner"), python, site_packages)

Standard library only. uv does it where it is on the PATH, else pip. A line shows the progress, a sentence each
obstacle.
"""

import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import Literal

from workshop import locks
from workshop.folders import CHECKOUT, HOME, WORK_FOLDER

LOG = WORK_FOLDER / "install.log"
DOWNLOADS = WORK_FOLDER / "install"  # removed once everything is installed
DISK_SPACE = 700  # megabytes: .venv takes up to 480 on Linux, and the download needs room
QUIET = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
AT_ONCE = 4  # downloads by pip: alone, it waits for the network half of the time

Purpose = Literal["learner", "tests"]


def packages_for(purpose: Purpose) -> Path:
    """The locked list, with hashes: for the chapters and commands, or for these and the tests."""
    return CHECKOUT / "requirements" / f"{purpose}.txt"


def say(text: str) -> None:
    """Progress and remarks go to standard error: a command's standard output is its own."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold this checkout's lock, after waiting for it."""
    WORK_FOLDER.mkdir(exist_ok=True)
    with lock(WORK_FOLDER / "install.lock", "Another start is installing the packages. Waiting for it."):
        yield


@contextmanager
def lock(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold the lock on the file `path`. `waiting` is said once if another process holds it."""
    with path.open("a+b") as file:
        if not locks.lock(file, wait=False):
            if waiting:
                say(waiting)
            locks.lock(file)
        yield


def require_venv_module() -> None:
    """SystemExit where this Python cannot make a virtual environment, as Debian's without python3-venv."""
    needed = ["venv"] if shutil.which("uv") else ["venv", "ensurepip"]
    if all(importlib.util.find_spec(name) for name in needed):
        return
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise SystemExit(
        f"This Python ({sys.executable}) cannot make a virtual environment: a part of its venv module is "
        f"missing. On Debian and Ubuntu: sudo apt install python{version}-venv (or python3-venv). "
        "Elsewhere install Python from https://www.python.org/downloads/. Then run this again."
    )


def make(venv: Path) -> None:
    """Make a virtual environment in the folder `venv`, which may exist."""
    without_pip = ["--without-pip"] if shutil.which("uv") else []
    # From the interpreter that this one was made from, if this one is in an environment itself.
    LOG.write_text("", encoding="utf-8")
    _run([[sys._base_executable, "-m", "venv", *without_pip, venv]], lambda: "making .venv")


def delete(venv: Path) -> None:
    try:
        shutil.rmtree(venv)
    except PermissionError as error:
        raise SystemExit(
            f"{error.filename} cannot be deleted: {error.strerror}. A program may be using it: close "
            "JupyterLab and every terminal where .venv is active, then run this again."
        ) from error


def install(packages: Path, python: Path, site_packages: Path, wheelhouse: Path | None = None) -> None:
    """Install what `packages` lists and is not there yet, and this repository, for the interpreter `python`.

    The packages come from the folder `wheelhouse`, or else from the internet.
    """
    uv = shutil.which("uv")
    say(f"Installing the packages with {'uv' if uv else 'pip'}. The full log is {LOG}.")
    started = time.monotonic()
    LOG.write_text("", encoding="utf-8")
    missing, there = missing_packages(packages, site_packages)
    tool = [uv, "pip"] if uv else [python, "-m", "pip"]
    install = [*tool, "install", "--no-deps", *(["--python", python] if uv else QUIET)]
    # Most modules are never imported. Python compiles the others at their first import, where it may write.
    compiled = sys.dont_write_bytecode
    locked = [*install, "--require-hashes", *(["--compile-bytecode"] if uv and compiled else [])]
    locked += ["--no-compile"] if not uv and not compiled else []

    def installed() -> str:
        return f"{_count(site_packages, '*.dist-info')} of about {len(missing) + there} packages installed"

    found_in = wheelhouse
    if missing and not uv and not wheelhouse:
        download(python, missing, DOWNLOADS)
        found_in = DOWNLOADS
    locked += ["--no-index", "--find-links", found_in] if found_in else []
    if missing:
        _run([[*locked, "-r", _list(missing, "all")]], installed)
    _run([[*install, "--no-build-isolation", "--editable", CHECKOUT]], installed)
    shutil.rmtree(DOWNLOADS, ignore_errors=True)
    say(f"Ready: {_count(site_packages, '*.dist-info')} packages in {time.monotonic() - started:.0f} s.")


def download(python: Path | str, entries: list[str], folder: Path, options: list[str] = ()) -> None:
    """Download what `entries` name into `folder`, with the pip of the interpreter `python`."""
    command = [python, "-m", "pip", "download", "--no-deps", "--require-hashes", "--dest", folder, *QUIET, *options]

    def progress() -> str:  # pip puts the files in their folder only at the end
        begun = LOG.read_text(encoding="utf-8", errors="replace").count("Collecting ")
        return f"downloading, {begun} of about {len(entries)} packages"

    LOG.write_text("", encoding="utf-8")
    parts = [entries[n::AT_ONCE] for n in range(min(AT_ONCE, len(entries)))]
    _run([[*command, "-r", _list(part, str(n))] for n, part in enumerate(parts)], progress)


def missing_packages(packages: Path, site_packages: Path) -> tuple[list[str], int]:
    """The list's entries, with their hashes, that are not in the folder `site_packages`; and how many are."""
    listed = entries(packages)
    found = {_pin(d.name, d.version) for d in distributions(path=[str(site_packages)])}
    missing = [entry for entry in listed if _pin(*re.match(r"([\w.-]+)==([^\s;]+)", entry).groups()) not in found]
    return missing, len(listed) - len(missing)


def entries(packages: Path) -> list[str]:
    """The list's entries: a pin, its marker, and its hashes in the lines after it."""
    return re.findall(r"(?m)^[^\s#].*\n(?:[ \t].*\n?)*", packages.read_text(encoding="utf-8"))


def _pin(name: str, version: str) -> str:
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def _list(entries: list[str], name: str) -> Path:
    DOWNLOADS.mkdir(exist_ok=True)
    file = DOWNLOADS / f"{name}.txt"
    file.write_text("".join(entries), encoding="utf-8")
    return file


def _count(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.glob(pattern))


def _run(commands: list[list], progress: Callable[[], str]) -> None:
    """Run the commands together and show the progress. SystemExit with what was wrong if one of them fails."""
    on_terminal = sys.stderr.isatty()
    interval = 0.2 if on_terminal else 5  # seconds between two lines
    started = time.monotonic()
    with LOG.open("ab") as log:
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}  # the progress is read from what they say
        running = [
            subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT, env=environment)
            for command in commands
        ]
        try:
            for process in running:
                while process.poll() is None:
                    try:
                        process.wait(timeout=interval)
                    except subprocess.TimeoutExpired:
                        _show(f"  {progress()}, {time.monotonic() - started:.0f} s", on_terminal)
        finally:
            for process in running:
                if process.poll() is None:  # Ctrl-C
                    process.terminate()
                process.wait()
            if on_terminal:
                _show("", on_terminal)
    failed = next((process for process in running if process.returncode), None)
    if failed:
        output = LOG.read_text(encoding="utf-8", errors="replace")
        raise SystemExit(diagnose(output, " ".join(map(str, commands[0][:3])), failed.returncode))


def _show(line: str, on_terminal: bool) -> None:
    if on_terminal:  # in place of the line before
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
    else:
        say(line)


# One sentence for a wall of text


def disk_full() -> str:
    return f"The disk is full. Free about {DISK_SPACE} MB, then run this again; it goes on by itself."


def read_only(detail: str) -> str:
    return (
        f"The workshop cannot write to {HOME} ({detail}). If it is yours, move it to a place that you may write to, "
        "for example your home folder. If it is somebody else's, set WORKSHOP_HOME to a folder of your own (export "
        "WORKSHOP_HOME=~/workshop). Then run this again."
    )


# What an installer's log tells, the more certain first.
DIAGNOSES = [
    (r"No space left on device|os error 28\b|Errno 28\b|not enough space", disk_full()),
    (r"Read-only file system|os error 30\b", read_only("it is read-only")),
    (
        r"DO NOT MATCH THE HASHES|[Hh]ash mismatch",
        "A downloaded package is not the one that this workshop was tested with, so it was not installed. The package "
        "index, or something between it and this machine, changes packages: use another network or index.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|UnknownIssuer",
        "The package index's certificate was not accepted. A company network often puts its own in between: "
        "ask for its file and set PIP_CERT (for uv: SSL_CERT_FILE) to its path, then run this again.",
    ),
    (
        r"Failed to establish a new connection|NewConnectionError|NameResolutionError|ConnectTimeout|"
        r"Network is unreachable|Temporary failure in name resolution|getaddrinfo failed|ProxyError|"
        r"Read timed out|ReadTimeout|error sending request|client error \(Connect\)|dns error|"
        r"Connection (refused|reset|aborted)|network connectivity is disabled|error trying to connect",
        "The package index could not be reached. Connect to the internet (or set PIP_INDEX_URL, for uv "
        "UV_INDEX_URL, to an index that you can reach) and run this again; it goes on by itself.",
    ),
    (r"Permission denied|Access is denied|os error 13\b", read_only("permission denied")),
    (
        r"No matching distribution found|No solution found",
        "A package has no version for this Python and system, or the package index is incomplete. Use Python "
        "3.11 to 3.14 from https://www.python.org/downloads/, then run this again.",
    ),
]


def diagnose(output: str, program: str, status: int) -> str:
    """What was wrong and what to do, from what an installer wrote before it ended with `status`."""
    for pattern, sentence in DIAGNOSES:
        if re.search(pattern, output):
            return f"{sentence}\nThe full log is {LOG}."
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["(it said nothing)"]
    error = next((line for line in reversed(lines) if line.lower().startswith("error")), lines[-1])
    return f"{program} ended with status {status}: {error}\nThe full log is {LOG}."


def explain(error: OSError) -> str:
    """What was wrong and what to do, from an error of the file system."""
    if error.errno == errno.ENOSPC:
        return disk_full()
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        if HOME != CHECKOUT and not os.access(CHECKOUT, os.W_OK):
            return f"The packages are not installed in {CHECKOUT}: ask its owner to run python3 -m workshop lab there."
        return read_only(f"{error.filename}: {error.strerror}")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{error.filename} is in the way: it should be a folder. Move it away, then run this again."
    return f"{error.strerror}: {error.filename}. Mend that, then run this again."
