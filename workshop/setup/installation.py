"""Makes `.venv` and installs requirements.txt into it. A line shows the progress, a sentence each obstacle.

    with one_at_a_time():
        make(venv)
        install(python, site_packages)

Standard library only. uv does it where it is on the PATH, else pip.
"""

import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workshop import locks
from workshop.folders import CHECKOUT, WORK_FOLDER

REQUIREMENTS = CHECKOUT / "requirements.txt"
LOG = WORK_FOLDER / "install.log"
DISK_SPACE = 700  # megabytes: .venv takes 500 on Linux, and the download needs room


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
    command = [sys._base_executable, "-m", "venv", *without_pip, str(venv)]
    made = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if made.returncode != 0:
        output = made.stdout + made.stderr
        LOG.write_text(output, encoding="utf-8")
        raise SystemExit(diagnose(output, "python -m venv", made.returncode))


def delete(venv: Path) -> None:
    try:
        shutil.rmtree(venv)
    except PermissionError as error:
        raise SystemExit(
            f"{error.filename} cannot be deleted: {error.strerror}. A program may be using it: close "
            "JupyterLab and every terminal where .venv is active, then run this again."
        ) from error


def install(python: Path, site_packages: Path) -> None:
    """Install requirements.txt for the interpreter `python`, whose packages go to `site_packages`."""
    uv = shutil.which("uv")
    if uv:
        command = [uv, "pip", "install", "--compile-bytecode", "--python", str(python)]  # as pip does
    else:
        command = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        command += ["--progress-bar", "off"]
    installer = "uv" if uv else "pip"
    say(f"Installing the packages with {installer}. The full log is {LOG}.")
    started = time.monotonic()
    with _Running([*command, "-r", str(REQUIREMENTS)], site_packages) as running:
        status = running.wait()
    if status != 0:
        raise SystemExit(diagnose(LOG.read_text(encoding="utf-8", errors="replace"), installer, status))
    say(f"Ready: {running.installed()} packages in {time.monotonic() - started:.0f} s.")


class _Running:
    """A running installer: its output goes to the log, a line in the terminal moves."""

    def __init__(self, command: list[str], site_packages: Path):
        self._site_packages = site_packages
        self._expected = len(re.findall(r"(?m)^[\w.-]+==", REQUIREMENTS.read_text(encoding="utf-8")))
        self._collected = 0
        self._on_terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
        # PIP_USER: a person's pip.conf may say `user = true`, which pip refuses inside an environment.
        environment |= {"PIP_USER": "0", "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "_Running":
        return self

    def __exit__(self, *exception) -> None:
        if self._process.poll() is None:  # Ctrl-C
            self._process.terminate()
            self._process.wait()
        self._reader.join()
        if self._on_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def installed(self) -> int:
        return sum(1 for _ in self._site_packages.glob("*.dist-info"))

    def wait(self) -> int:
        """Show the progress until the installer ends; returns its exit status."""
        interval = 0.2 if self._on_terminal else 10  # seconds between two lines
        while True:
            try:
                return self._process.wait(timeout=interval)
            except subprocess.TimeoutExpired:
                self._show()

    def _show(self) -> None:
        installed = self.installed()
        what = f"{self._collected} collected" if installed <= 1 else f"{installed} installed"  # 1: pip itself
        seconds = time.monotonic() - self._started
        line = f"  {what} of about {self._expected} packages, {seconds:.0f} s"
        if self._on_terminal:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        else:
            say(line)

    def _read(self) -> None:
        with LOG.open("w", encoding="utf-8") as log:
            for line in self._process.stdout:
                log.write(line)
                log.flush()
                if re.match(r"\s*(Collecting|Downloaded) ", line):  # pip says the one, uv the other
                    self._collected += 1


# One sentence for a wall of text


def disk_full() -> str:
    return f"The disk is full. Free about {DISK_SPACE} MB, then run this again; it goes on by itself."


def read_only(detail: str) -> str:
    return (
        f"The workshop cannot write to {CHECKOUT} ({detail}). Move the folder to a place that you may write "
        "to, for example your home folder, then run this again."
    )


# What an installer's log tells, the more certain first.
DIAGNOSES = [
    (r"No space left on device|os error 28\b|Errno 28\b|not enough space", disk_full()),
    (r"Read-only file system|os error 30\b", read_only("it is read-only")),
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
        "3.11, 3.12 or 3.13 from https://www.python.org/downloads/, then run this again.",
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
        return read_only(f"{error.filename}: {error.strerror}")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{error.filename} is in the way: it should be a folder. Move it away, then run this again."
    return f"{error.strerror}: {error.filename}. Mend that, then run this again."
