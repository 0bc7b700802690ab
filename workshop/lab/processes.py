"""Processes that the kit starts: each logs to a file, and none outlives its parent.

child = Child("aws", "workshop.lab.local_aws", [port_file], folder=folder)
child.start(ready=port_file.exists)
child.stop()
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from workshop.foreseen import Foreseen
from workshop.run_folders import run_folder

# Seconds. One that fails ends, and is told at once: this is for one that hangs. Sixteen labs started together on two
# cores needed 26 s.
START_TIMEOUT = 120
STOP_TIMEOUT = 5  # seconds between asking a process to end and ending it


class ProcessFailed(Foreseen):
    """A child process ended, or was not ready in time. The message names its log and quotes the end of it."""


class Child:
    """One Python module run as a process of its own, which dies with this one.

    `name` names the log (`folder/name.log`); `module` is run as `python -m module` with `args`; `env` is added to
    this process's environment; `cwd` is the folder whose modules it finds first, and this process's unless it is given.
    """

    def __init__(
        self,
        name: str,
        module: str,
        args: Sequence[object] = (),
        *,
        folder: Path,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ):
        self.name = name
        self.module = module
        self.args = [str(arg) for arg in args]
        self.folder = folder
        self.env = env or {}
        self.cwd = cwd
        self.log_path = folder / f"{name}.log"
        self._process: psutil.Popen | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, ready: Callable[[], bool] | None = None, timeout: float = START_TIMEOUT) -> None:
        """Start the process and wait until `ready()` is true.

        Raises ProcessFailed if it ends before that or takes longer than `timeout` seconds.
        """
        self.launch()
        self.wait_until(ready or (lambda: True), timeout)

    def launch(self) -> None:
        """Start the process and do not wait: `wait_until` does."""
        run_folder()  # the process waits for the lock on it
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = psutil.Popen(
                [sys.executable, "-m", "workshop.lab.dies_with_parent", self.module, *self.args],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.env},
                cwd=self.cwd,
                # Ctrl-C in the terminal goes to the parent alone, which then stops its children in order.
                start_new_session=os.name == "posix",
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if os.name == "nt" else 0,
            )

    def wait_until(self, ready: Callable[[], bool], timeout: float = START_TIMEOUT) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.alive:
                self._process = None
                raise ProcessFailed(f"{self.name} ended while it was starting. {self._end_of_log()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ProcessFailed(f"{self.name} was not ready after {timeout:g} s. {self._end_of_log()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the process and everything it started. Safe to call again."""
        if self._process is not None:
            end_family(self._process)
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the process and everything it started at once, unasked, as `kill -9` or a power cut would."""
        if self._process is not None:
            with suppress(psutil.NoSuchProcess):
                for process in [self._process, *self._process.children(recursive=True)]:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            self._process.wait()
        self._process = None

    def _end_of_log(self) -> str:
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        return f"Its log, {self.log_path}, ends:\n" + "\n".join(lines)


def end_family(process: psutil.Process) -> None:
    """Ask a process to end, so that it can end what it started; then end by force what is left of them."""
    with suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _wait([process])
        for left in _wait(family, timeout=0):
            with suppress(psutil.NoSuchProcess):
                left.kill()
        _wait(family)


def _wait(processes: list[psutil.Process], timeout: float = STOP_TIMEOUT) -> list[psutil.Process]:
    """Returns those that run on."""
    deadline = time.monotonic() + timeout
    while (left := [process for process in processes if not has_ended(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def has_ended(process: psutil.Process) -> bool:
    """A zombie has ended, too: it only waits for its own parent to ask how."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free a moment ago. Another process may take it: try again then."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Could a server listen on this port now?"""
    with socket.socket() as probe:
        if os.name == "posix":  # as servers do; on Windows it means another thing
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
    return True
