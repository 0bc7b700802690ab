"""AWS's own runtime for Python, awslambdaric, running the packaged function in a process of its own. Linux only.

    with LambdaRuntime(package_installed().path, environment={"ENDPOINT_ALLOWLIST": "127.0.0.1"}) as function:
        function.invoke(event).result       # the first is a cold start, the next ones are warm
        EventSourceMapping(queue_url, function).run_until_empty()

It does what Lambda does: the code sees the zip and Python's standard library alone, its environment variables
are its own, its process is kept for the next event, and one that overruns its timeout is killed.
"""

import importlib.util
import json
import math
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from multiprocessing import Pipe
from pathlib import Path

from workshop.foreseen import Foreseen
from workshop.names import ACCOUNT_ID, FUNCTION_NAME, REGION

from .invocation import MEMORY_MB, Invocation

HANDLER = "lambda_function.lambda_handler"
INIT_TIMEOUT = 10  # seconds: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
RESPONSE_LIMIT = 6 * 1024**2  # bytes: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html


class LambdaRuntimeError(Foreseen):
    """The runtime cannot be used here. The message says why and what to use instead."""


class LambdaRuntime:
    """A function as Lambda runs it, one event at a time.

    `code` is the deployment zip, or a folder to run as it is; `timeout` in seconds. `environment` is all that the
    function sees beside Lambda's own variables. Raises LambdaRuntimeError where awslambdaric is not installed.
    """

    def __init__(
        self,
        code: Path,
        *,
        timeout: float = 30,
        environment: dict[str, str] | None = None,
        function_name: str = FUNCTION_NAME,
    ):
        runtime = importlib.util.find_spec("awslambdaric")
        if runtime is None:
            raise LambdaRuntimeError(
                "LambdaRuntime needs awslambdaric, which AWS makes for Linux alone. On other systems use "
                "workshop.invoke(lambda_handler, event): it runs the handler in this process."
            )
        self.timeout = timeout
        self._packages = Path(runtime.origin).parent.parent
        self._function_name = function_name
        self._environment = environment or {}
        self._folder = tempfile.TemporaryDirectory(prefix="lambda-")
        self._task_root = code.resolve()
        if code.is_file():
            self._task_root = Path(self._folder.name, "task")
            with zipfile.ZipFile(code) as archive:
                archive.extractall(self._task_root)
        output = Path(self._folder.name, "output")
        self._written, self._output = output.open("ab"), output.open("rb")
        self._process: subprocess.Popen | None = None
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> "LambdaRuntime":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """End the process. Safe to call again."""
        self._end()
        self._written.close()
        self._output.close()
        self._folder.cleanup()

    def invoke(self, event: object, timeout: float | None = None) -> Invocation:
        """Run the handler on `event`, anything that JSON can hold, for at most `timeout` seconds.

        Whatever the function does, this returns: `error` says what it raised, that it timed out, or that its
        process ended.
        """
        with self._one_at_a_time:
            return self._invoke(event, self.timeout if timeout is None else timeout)

    def _invoke(self, event: object, timeout: float) -> Invocation:
        invocation = Invocation(str(uuid.uuid4()), cold=self._process is None)
        said, init, billed_ms = ("ready", ""), "", 0.0
        if invocation.cold:
            started = time.perf_counter()
            self._start()
            said = self._next(time.monotonic() + INIT_TIMEOUT)
            billed_ms = (time.perf_counter() - started) * 1000  # AWS bills a cold start since August 2025
            init = f"\tInit Duration: {billed_ms:.2f} ms"
            invocation.log = self._new_output()
        invocation.log.append(f"START RequestId: {invocation.request_id} Version: $LATEST")
        started, deadline = time.perf_counter(), time.monotonic() + timeout
        if said[0] == "ready":
            self._connection.send(self._request(invocation.request_id, event, timeout))
            said = self._next(deadline)
            # An invocation ends when the runtime asks for the next event: all its output is in the file then.
            if said[0] not in ("response", "error") or self._next(deadline)[0] != "ready":
                self._end()
        else:
            self._end()
        invocation.duration_ms = (time.perf_counter() - started) * 1000
        billed_ms += invocation.duration_ms
        invocation.timed_out = said[0] == "timeout"
        invocation.log += self._new_output()
        self._conclude(invocation, said, timeout)
        invocation.log += [
            f"END RequestId: {invocation.request_id}",
            f"REPORT RequestId: {invocation.request_id}\tDuration: {invocation.duration_ms:.2f} ms\t"
            f"Billed Duration: {math.ceil(billed_ms)} ms\tMemory Size: {MEMORY_MB} MB{init}",
        ]
        return invocation

    def _conclude(self, invocation: Invocation, said: tuple[str, str], timeout: float) -> None:
        """The result, or the error as Lambda gives it to the one who invoked."""
        match said:
            case "response", text if len(text.encode()) <= RESPONSE_LIMIT:
                invocation.result = json.loads(text)
                return
            case "response", text:
                limit = f"({len(text.encode())} bytes) exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes)"
                invocation.error = _error("Function.ResponseSizeTooLarge", f"Response payload size {limit}.")
                return
            case "error", text:
                invocation.error = json.loads(text)
                return
            case "timeout", _:
                invocation.error = _error("Sandbox.Timedout", f"Task timed out after {timeout:.2f} seconds")
            case _, cause:
                invocation.error = _error("Runtime.ExitError", f"Runtime exited with error: {cause}")
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        invocation.log.append(f"{now} {invocation.request_id} {invocation.error['errorMessage']}")

    def _request(self, request_id: str, event: object, timeout: float) -> dict[str, object]:
        """What the runtime makes the handler's event and context of."""
        return {
            "invoke_id": request_id,
            "event_body": json.dumps(event),
            "deadline_time_in_ms": int((time.time() + timeout) * 1000),
            "invoked_function_arn": f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{self._function_name}",
            "content_type": "application/json",
            **dict.fromkeys(("client_context", "cognito_identity", "tenant_id", "x_amzn_trace_id", "invocation_id")),
        }

    def _start(self) -> None:
        self._connection, theirs = Pipe()
        bootstrap = Path(__file__).with_name("lambda_bootstrap.py")
        handle = theirs.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", bootstrap, str(handle), self._packages, self._task_root, HANDLER],
            cwd=self._task_root,
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            stdout=self._written,
            stderr=subprocess.STDOUT,
            pass_fds=[handle],
            start_new_session=True,
        )
        theirs.close()

    def _variables(self) -> dict[str, str]:
        """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
        return {
            "_HANDLER": HANDLER,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEMORY_MB),
            "AWS_LAMBDA_FUNCTION_NAME": self._function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self._function_name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{secrets.token_hex(16)}",
            "AWS_REGION": REGION,
            "LAMBDA_TASK_ROOT": str(self._task_root),
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TZ": ":UTC",
            **self._environment,
        }

    def _next(self, deadline: float) -> tuple[str, str]:
        """What the process says: "ready" for an event, "response", "error"; or that it ends, or says nothing."""
        try:
            if self._connection.poll(max(0, deadline - time.monotonic())):
                return self._connection.recv()
        except (EOFError, OSError):
            status = self._process.wait()
            return "exit", f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return "timeout", ""

    def _new_output(self) -> list[str]:
        """The lines printed since the last call."""
        text = self._output.read().decode(errors="replace")
        # The runtime joins the lines of a stack trace with carriage returns.
        return [line for line in text.replace("\r", "\n").split("\n") if line]

    def _end(self) -> None:
        """Kill the process and what it started."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._connection.close()
            self._process = None


def _error(kind: str, message: str) -> dict[str, object]:
    return {"errorType": kind, "errorMessage": message, "stackTrace": []}


@contextmanager
def packaged_function(code: Path, *, environment: dict[str, str], say=print, **options) -> Iterator[object]:
    """What runs the package on this system, for invoke() and EventSourceMapping: on Linux, a LambdaRuntime.

    Elsewhere it is this checkout's `lambda_handler` in this process, with `environment` set for the length of the
    block, and `say` is given the reason. `options` are LambdaRuntime's.
    """
    try:
        runtime = LambdaRuntime(code, environment=environment, **options)
    except LambdaRuntimeError as reason:
        say(f"The function runs inside this process. {reason}")
    else:
        with runtime:
            yield runtime
        return
    from lambda_function import lambda_handler

    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield lambda event, context: lambda_handler(event, context)  # a new function: its first call counts as cold
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
