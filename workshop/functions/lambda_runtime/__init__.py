"""AWS's own runtime client, awslambdaric, running the packaged function in a process of its own. Linux only.

    with LambdaRuntime(package_installed().path, environment={"ENDPOINT_ALLOWLIST": "127.0.0.1"}) as function:
        function.invoke(event).result       # the first is a cold start, the next ones are warm
        EventSourceMapping(queue_url, function).run_until_empty()

It does what Lambda does: the code sees the zip and Python's standard library alone, its environment variables
are its own, one process handles one event at a time and is kept for the next, and a process that overruns its
timeout is killed.
"""

import importlib.metadata
import json
import math
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from workshop.functions.invocation import Invocation
from workshop.names import ACCOUNT_ID, FUNCTION_NAME, REGION

from .execution_environment import ExecutionEnvironment
from .runtime_api import Message

RUNTIME_DISTRIBUTIONS = ("awslambdaric", "simplejson", "snapshot-restore-py")


class LambdaRuntimeError(RuntimeError):
    """The runtime cannot be used here. The message says why and what to use instead."""


class LambdaRuntime:
    """A function as Lambda runs it.

    `code` is the deployment zip, or a folder to run as it is. `timeout` in seconds; `memory_size` in MB is
    reported, not enforced. `environment` is all that the function sees beside Lambda's own variables.
    `folder` keeps the unpacked code; without it a temporary one is used, and removed by close().

    Calls from several threads get a process each, as concurrent invocations do on Lambda. Raises
    LambdaRuntimeError where awslambdaric is not installed.
    """

    def __init__(
        self,
        code: Path,
        handler: str = "lambda_function.lambda_handler",
        *,
        timeout: float = 30,
        memory_size: int = 256,
        environment: dict[str, str] | None = None,
        function_name: str = FUNCTION_NAME,
        folder: Path | None = None,
    ):
        self.timeout = timeout
        self.function_name = function_name
        self._handler = handler
        self._memory_size = memory_size
        self._environment = environment or {}
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="lambda-")
        self._folder = folder or Path(self._temporary.name)
        self._runtime_folder = self._link_runtime()
        self._task_root = code.resolve() if code.is_dir() else self._unpack(code)
        self._lock = threading.Lock()
        self._idle: list[ExecutionEnvironment] = []
        self._environments: list[ExecutionEnvironment] = []

    def __enter__(self) -> "LambdaRuntime":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def invoke(self, event: object, timeout: float | None = None) -> Invocation:
        """Run the handler on `event`, anything that JSON can hold, for at most `timeout` seconds.

        Whatever the function does, this returns: `error` says what it raised, that it timed out, or that its
        process ended.
        """
        timeout = self.timeout if timeout is None else timeout
        request_id = str(uuid.uuid4())
        log = []
        init_ms = None
        outcome = Message("ready")
        environment = self._take_idle()
        if environment is None:
            started = time.perf_counter()
            environment = self._new_environment()
            outcome = environment.wait_until_ready()
            init_ms = (time.perf_counter() - started) * 1000
            log += environment.take_log()
        log.append(f"START RequestId: {request_id} Version: $LATEST")
        started = time.perf_counter()
        if outcome.kind == "ready":
            outcome = environment.handle(request_id, json.dumps(event).encode(), timeout)
        duration_ms = (time.perf_counter() - started) * 1000
        memory_mb = environment.memory_mb()
        if outcome.kind in ("response", "error") and environment.alive:
            log += environment.take_log()
            self._give_back(environment)
        else:
            self._end(environment)
            log += environment.take_log()
        error = _error(outcome, timeout)
        if outcome.kind in ("timeout", "exit"):
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            log.append(f"{now} {request_id} {error['errorMessage']}")
        billed_ms = math.ceil(duration_ms + (init_ms or 0))  # AWS bills a cold start since August 2025
        report = (
            f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\t"
            f"Billed Duration: {billed_ms} ms\tMemory Size: {self._memory_size} MB\t"
            f"Max Memory Used: {memory_mb} MB"
        )
        if init_ms is not None:
            report += f"\tInit Duration: {init_ms:.2f} ms"
        log += [f"END RequestId: {request_id}", report]
        return Invocation(
            request_id=request_id,
            result=outcome.body if outcome.kind == "response" else None,
            error=error,
            timed_out=outcome.kind == "timeout",
            duration_ms=duration_ms,
            cold=init_ms is not None,
            log=log,
        )

    def close(self) -> None:
        """End every process. Safe to call again."""
        with self._lock:
            environments = list(self._environments)
        for environment in environments:
            self._end(environment)
        if self._temporary:
            self._temporary.cleanup()

    def _take_idle(self) -> ExecutionEnvironment | None:
        with self._lock:
            while self._idle:
                environment = self._idle.pop()
                if environment.alive:
                    return environment
        return None

    def _give_back(self, environment: ExecutionEnvironment) -> None:
        with self._lock:
            self._idle.append(environment)

    def _end(self, environment: ExecutionEnvironment) -> None:
        environment.end()
        with self._lock:
            if environment in self._environments:
                self._environments.remove(environment)
            if environment in self._idle:
                self._idle.remove(environment)

    def _new_environment(self) -> ExecutionEnvironment:
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        variables = {
            "_HANDLER": self._handler,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._memory_size),
            "AWS_LAMBDA_FUNCTION_NAME": self.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.function_name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{secrets.token_hex(16)}",
            "AWS_REGION": REGION,
            "LAMBDA_TASK_ROOT": str(self._task_root),
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TZ": ":UTC",
            **self._environment,
        }
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{self.function_name}"
        environment = ExecutionEnvironment(self._task_root, self._runtime_folder, self._handler, arn, variables)
        with self._lock:
            self._environments.append(environment)
        return environment

    def _link_runtime(self) -> Path:
        """A folder with awslambdaric and what it needs, and nothing else that is installed here."""
        folder = self._folder / "runtime"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in RUNTIME_DISTRIBUTIONS:
            try:
                distribution = importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                raise LambdaRuntimeError(
                    f"LambdaRuntime needs {name}, which AWS makes for Linux alone. On other systems use "
                    "workshop.invoke(lambda_handler, event): it runs the handler in this process."
                ) from None
            top_level = {file.parts[0] for file in distribution.files if file.parts[0] not in ("..", "__pycache__")}
            for entry in top_level:
                (folder / entry).symlink_to(distribution.locate_file(entry))
        return folder

    def _unpack(self, code: Path) -> Path:
        target = self._folder / "task"
        shutil.rmtree(target, ignore_errors=True)
        with zipfile.ZipFile(code) as archive:
            archive.extractall(target)
        return target


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


def _error(outcome: Message, timeout: float) -> dict[str, object] | None:
    """The error as Lambda gives it to the one who invoked: errorType, errorMessage, stackTrace."""
    match outcome.kind:
        case "response":
            return None
        case "timeout":
            return {
                "errorType": "Sandbox.Timedout",
                "errorMessage": f"Task timed out after {timeout:.2f} seconds",
                "stackTrace": [],
            }
        case "exit":
            return {
                "errorType": "Runtime.ExitError",
                "errorMessage": f"Runtime exited with error: {outcome.body}",
                "stackTrace": [],
            }
        case _:
            return outcome.body
