"""Call a Lambda handler as Lambda would: invoke(lambda_handler, {"Records": [...]}).

The handler runs on a thread of its own, so that it may use asyncio also where a notebook's loop is running. It
gets a copy of the event and a context, its log lines are kept, and its time is limited.
"""

import contextvars
import ctypes
import json
import logging
import math
import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from weakref import WeakSet

from workshop.names import ACCOUNT_ID, FUNCTION_NAME, REGION

MEMORY_MB = 256  # what the template gives the function; reported, not enforced
KEPT_LINES = 2000


@dataclass
class LambdaContext:
    """What Lambda hands to a handler beside the event. Times in milliseconds, memory in megabytes."""

    aws_request_id: str
    deadline: float  # on time.monotonic()'s clock
    function_name: str = FUNCTION_NAME
    function_version: str = "$LATEST"
    memory_limit_in_mb: str = str(MEMORY_MB)
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{FUNCTION_NAME}"
    log_group_name: str = f"/aws/lambda/{FUNCTION_NAME}"
    log_stream_name: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}")
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - time.monotonic()) * 1000))


@dataclass
class Invocation:
    """One call of a function, and what became of it.

    `result` is what the handler returned, after a trip through JSON; `error` is None, or Lambda's description:
    {"errorType", "errorMessage", "stackTrace"}; `exception` is what a handler in this process raised. `cold`
    tells that it was the first call of its execution environment; `log` holds the lines that Lambda would log.
    """

    request_id: str
    result: object = None
    error: dict | None = None
    timed_out: bool = False
    duration_ms: float = 0
    cold: bool = False
    log: list[str] = field(default_factory=list)
    exception: BaseException | None = None

    @classmethod
    def of(cls, handler, event: dict, timeout: float = 30) -> "Invocation":
        """Invoke a handler, and never raise: what happened is in here. Keeps the log, tells subscribers."""
        if hasattr(handler, "invoke"):
            invocation = handler.invoke(event, timeout)
        else:
            invocation = _on_a_thread(handler, event, timeout)
        _recent.extend(invocation.log)
        for callback in list(_subscribers):
            callback(invocation)
        return invocation


_recent: deque[str] = deque(maxlen=KEPT_LINES)
_subscribers: list[Callable[[Invocation], None]] = []
_warm: WeakSet = WeakSet()
_current: contextvars.ContextVar[str] = contextvars.ContextVar("invocation")


def invoke(handler, event: dict, *, timeout: float = 30) -> object:
    """Call `handler(event, context)` and return its result.

    `handler` is a function, or an object with `invoke(event, timeout) -> Invocation`, such as a LambdaRuntime.
    Raises TimeoutError after `timeout` seconds, whatever the handler raised, or RuntimeError where it ended its
    process or returned something that JSON cannot hold.
    """
    invocation = Invocation.of(handler, event, timeout)
    if invocation.error is None:
        return invocation.result
    if invocation.timed_out:
        raise TimeoutError(invocation.error["errorMessage"])
    if isinstance(invocation.exception, Exception):
        raise invocation.exception
    raise RuntimeError(f"{invocation.error['errorType']}: {invocation.error['errorMessage']}")


def recent_log() -> str:
    """The last log lines of all invocations in this process, oldest first."""
    return "\n".join(_recent)


def subscribe(callback: Callable[[Invocation], None]) -> Callable[[], None]:
    """Call `callback(invocation)` after each invocation from now on. Returns the function that ends it."""
    _subscribers.append(callback)
    return lambda: _subscribers.remove(callback)


class _LogCapture(logging.Handler):
    """Keeps the lines of one invocation, told apart by a context variable, which asyncio hands on to its tasks."""

    def __init__(self, request_id: str, lines: list[str]):
        super().__init__()
        self.request_id = request_id
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        if _current.get(None) == self.request_id:
            at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self.lines.append(f"[{record.levelname}]\t{at}\t{self.request_id}\t{self.format(record)}")


def _on_a_thread(handler, event: dict, timeout: float) -> Invocation:
    invocation = Invocation(request_id=str(uuid.uuid4()), cold=handler not in _warm)
    _warm.add(handler)
    event = json.loads(json.dumps(event))
    context = LambdaContext(invocation.request_id, deadline=time.monotonic() + timeout)

    def run() -> None:
        _current.set(invocation.request_id)
        try:
            result = handler(event, context)
        except BaseException as error:  # sys.exit() in a handler must not end the notebook
            invocation.exception = error
            return
        try:
            invocation.result = json.loads(json.dumps(result))
        except (TypeError, ValueError, RecursionError) as error:
            invocation.error = {
                "errorType": "Runtime.MarshalError",
                "errorMessage": f"Unable to marshal response: {error}",
                "stackTrace": [],
            }

    log = [f"START RequestId: {invocation.request_id} Version: $LATEST"]
    capture = _LogCapture(invocation.request_id, log)
    logging.getLogger().addHandler(capture)
    thread = threading.Thread(target=contextvars.copy_context().run, args=[run], name=FUNCTION_NAME, daemon=True)
    started = time.monotonic()
    thread.start()
    thread.join(timeout)
    invocation.duration_ms = (time.monotonic() - started) * 1000
    logging.getLogger().removeHandler(capture)
    if thread.is_alive():
        stop(thread)
        return _timed_out(invocation, timeout, list(log))
    if invocation.exception is not None:
        invocation.error = _described(invocation.exception)
        log.append(f"[ERROR] {invocation.error['errorType']}: {invocation.error['errorMessage']}")
    invocation.log = [*log, *_closing_lines(invocation)]
    return invocation


def _timed_out(late: Invocation, timeout: float, log: list[str]) -> Invocation:
    """A new Invocation, because the handler, if it runs on for a while, still writes to the old one."""
    message = f"{late.request_id} Task timed out after {timeout:.2f} seconds"
    invocation = Invocation(late.request_id, timed_out=True, duration_ms=late.duration_ms, cold=late.cold)
    invocation.error = {"errorType": "Sandbox.Timedout", "errorMessage": message, "stackTrace": []}
    invocation.log = [*log, message, *_closing_lines(invocation)]
    return invocation


def stop(thread: threading.Thread) -> None:
    """Raise SystemExit in a thread as soon as it runs Python code again: all that Python can do to a thread."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))


def _described(error: BaseException) -> dict:
    if isinstance(error, SystemExit):
        return {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"sys.exit({error.code!r}) was called",
            "stackTrace": [],
        }
    return {
        "errorType": type(error).__name__,
        "errorMessage": str(error),
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


def _closing_lines(invocation: Invocation) -> list[str]:
    return [
        f"END RequestId: {invocation.request_id}",
        f"REPORT RequestId: {invocation.request_id}\tDuration: {invocation.duration_ms:.2f} ms\t"
        f"Billed Duration: {math.ceil(invocation.duration_ms)} ms\tMemory Size: {MEMORY_MB} MB",
    ]
