"""One execution environment: a process with the function in it, one event at a time, and what it printed."""

import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from .runtime_api import Message, RuntimeApi

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
INIT_TIMEOUT = 10  # seconds: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html


class ExecutionEnvironment:
    """Starts its process at once. `variables` is the whole environment that the function sees."""

    def __init__(
        self,
        task_root: Path,
        runtime_folder: Path,
        handler: str,
        function_arn: str,
        variables: dict[str, str],
    ):
        self._api = RuntimeApi(function_arn)
        parent_alive, self._parent_pipe = os.pipe()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                "-B",
                BOOTSTRAP,
                str(parent_alive),
                runtime_folder,
                task_root,
                handler,
            ],
            cwd=task_root,
            env={**variables, "AWS_LAMBDA_RUNTIME_API": self._api.address},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[parent_alive],
            start_new_session=True,
        )
        os.close(parent_alive)
        self._ended = False
        self._output = b""
        self._output_lock = threading.Lock()
        os.set_blocking(self._process.stdout.fileno(), False)
        self._reader = threading.Thread(target=self._read_output, name="function-output", daemon=True)
        self._reader.start()
        threading.Thread(target=self._report_exit, name="function-exit", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._ended and self._process.poll() is None

    def wait_until_ready(self) -> Message:
        """How the cold start ended: "ready", "init error", "exit" or "timeout"."""
        return self._next_message(time.monotonic() + INIT_TIMEOUT)

    def handle(self, request_id: str, event: bytes, timeout: float) -> Message:
        """Run the handler for at most `timeout` seconds: "response", "error", "exit" or "timeout"."""
        deadline = time.monotonic() + timeout
        self._api.send(request_id, event, timeout)
        outcome = self._next_message(deadline)
        # An invocation ends when the runtime asks for the next event: all its output is in the pipe then.
        if outcome.kind in ("response", "error") and self._next_message(deadline).kind != "ready":
            self.end()
        return outcome

    def memory_mb(self) -> int:
        """Memory in use, in MB; 0 when the process has ended."""
        try:
            return round(psutil.Process(self.pid).memory_info().rss / 1024**2)
        except psutil.Error:
            return 0

    def take_log(self) -> list[str]:
        """The lines printed since the last call."""
        if not self.alive:
            self._reader.join(timeout=1)
        with self._output_lock:
            self._drain()
            text, self._output = self._output.decode(errors="replace"), b""
        # The runtime client joins the lines of a stack trace with carriage returns.
        return [line for line in text.replace("\r", "\n").split("\n") if line]

    def end(self) -> None:
        """Kill the process and what it started. Safe to call again."""
        if self._ended:
            return
        self._ended = True
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        os.close(self._parent_pipe)
        self._api.close()

    def _next_message(self, deadline: float) -> Message:
        try:
            return self._api.said.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            return Message("timeout")

    def _report_exit(self) -> None:
        status = self._process.wait()
        cause = f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        self._api.said.put(Message("exit", body=cause))

    def _read_output(self) -> None:
        open_still = True
        while open_still:
            select.select([self._process.stdout], [], [])
            with self._output_lock:
                open_still = self._drain()
                if not open_still:
                    self._process.stdout.close()

    def _drain(self) -> bool:
        """Move what is in the pipe to `_output`; False at its end."""
        while not self._process.stdout.closed:
            try:
                chunk = os.read(self._process.stdout.fileno(), 65536)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self._output += chunk
        return False
