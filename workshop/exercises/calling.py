"""Call what a learner wrote, safely: on a thread of its own, with a time limit, and with what it raised in words.

result = call(function, 1, 2)                 # raises Wrong where the function does not return
response = call_handler(handler, [record])    # the same for a Lambda handler, as Lambda would call it
"""

import contextvars
import inspect
import json
import threading
import traceback
from collections.abc import Callable, Iterable

from django.conf import settings
from django.db import connections

from workshop.functions.invocation import Invocation, stop

from .question import Wrong

TIMEOUT = 5  # seconds: what these functions do takes milliseconds


def call(function: Callable, *args, timeout: float = TIMEOUT, **kwargs) -> object:
    """What `function` returns; of a coroutine function, what its coroutine returns.

    Raises Wrong, saying why, where it raises, ends the process, needs longer than `timeout` seconds, or cannot be
    called with these arguments.
    """
    name = getattr(function, "__name__", type(function).__name__)
    outcome = attempt(function, *args, timeout=timeout, **kwargs)
    if isinstance(outcome, Raised):
        raise Wrong(f"{name} raised {outcome}")
    return outcome


class Raised:
    """What a function raised, for a check that expects it. `str` is the type, the message and the line."""

    def __init__(self, error: BaseException):
        self.error = error

    def __str__(self) -> str:
        frames = [frame for frame in traceback.extract_tb(self.error.__traceback__) if "ipykernel" in frame.filename]
        where = f" in the line: {frames[-1].line}" if frames and frames[-1].line else ""
        return f"{type(self.error).__name__}: {str(self.error).rstrip('.') or 'no message'}{where}"


def attempt(function: Callable, *args, timeout: float = TIMEOUT, **kwargs) -> object:
    """Like `call`, but an exception of the function comes back as a Raised. Raises Wrong for all else."""
    name = getattr(function, "__name__", type(function).__name__)
    if not callable(function):
        raise Wrong(f"a function was expected, and this is {kind(function)}")
    _require_signature(function, name, args, kwargs)
    outcome: list[object] = []

    def run() -> None:
        try:
            result = function(*args, **kwargs)
            if inspect.iscoroutine(result):
                import asyncio

                result = asyncio.run(result)
            outcome.append(result)
        except BaseException as error:  # sys.exit(), too
            outcome.append(Raised(error))
        finally:
            if settings.configured:
                connections.close_all()  # those of this thread

    thread = threading.Thread(target=contextvars.copy_context().run, args=[run], daemon=True)
    thread.start()
    thread.join(timeout)
    if not outcome:
        stop(thread)
        raise Wrong(f"{name} did not return within {timeout:g} seconds; is there a loop that never ends?")
    if isinstance(outcome[0], Raised) and isinstance(outcome[0].error, SystemExit):
        raise Wrong(f"{name} called sys.exit(), which would end the whole process; return instead")
    return outcome[0]


def call_handler(handler: Callable, records: Iterable[dict], *, timeout: float = TIMEOUT) -> object:
    """What a Lambda handler returns for an event of these records, after its trip through JSON.

    Raises Wrong where it raises, times out, or returns what JSON cannot hold.
    """
    invocation = perform_handler(handler, records, timeout=timeout)
    if invocation.timed_out:
        raise Wrong(f"the handler did not return within {timeout:g} seconds; is there a loop that never ends?")
    if invocation.error:
        raise Wrong(f"the handler raised {_in_words(invocation)}")
    return invocation.result


def perform_handler(handler: Callable, records: Iterable[dict], *, timeout: float = TIMEOUT) -> Invocation:
    """Like `call_handler`, with all that is known about the call; raises Wrong only for what is no handler."""
    if not callable(handler):
        raise Wrong(f"a handler is a function, and this is {kind(handler)}")
    _require_signature(handler, getattr(handler, "__name__", "handler"), ({}, None), {})
    return Invocation.of(handler, {"Records": list(records)}, timeout)


def record(message_id: str, body: object, **attributes: str) -> dict:
    """A record of an SQS event; a body that is not text is written as JSON. `attributes`: MessageGroupId=..."""
    return {
        "messageId": message_id,
        "receiptHandle": f"handle-of-{message_id}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1", **attributes},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:image-processing-sync",
        "awsRegion": "us-east-1",
    }


def failures(response: object) -> set[str]:
    """The ids in a handler's `batchItemFailures`, as Lambda reads them. Raises Wrong where Lambda could not."""
    if response is None:
        return set()
    if not isinstance(response, dict):
        raise Wrong(f"the handler returned {kind(response)}; Lambda reads a dictionary with batchItemFailures")
    items = response.get("batchItemFailures")
    if items is None:
        return set()
    if not isinstance(items, list):
        raise Wrong(f"batchItemFailures is {kind(items)}; it must be a list")
    for item in items:
        if not isinstance(item, dict):
            raise Wrong(
                f"batchItemFailures holds {kind(item)}; each entry must be a dictionary "
                '{"itemIdentifier": <messageId>}, and for anything else Lambda counts the whole batch as failed'
            )
        if set(item) != {"itemIdentifier"}:
            raise Wrong(
                f"an entry of batchItemFailures has the key {', '.join(map(repr, item)) or '(none)'}; Lambda reads "
                "only 'itemIdentifier', and for any other key it counts the whole batch as failed"
            )
        if not isinstance(item["itemIdentifier"], str) or not item["itemIdentifier"]:
            raise Wrong("an itemIdentifier is not the messageId of a record; Lambda counts the whole batch as failed")
    return {item["itemIdentifier"] for item in items}


def _require_signature(function: Callable, name: str, args: tuple, kwargs: dict) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # a builtin that does not tell
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        name = "the lambda" if name == "<lambda>" else name
        given = f"{len(args) + len(kwargs)} argument{'s' * (len(args) + len(kwargs) != 1)}"
        raise Wrong(f"{name}{signature} cannot be called as it will be: {error}; it is given {given}") from None


def _in_words(invocation: Invocation) -> str:
    if invocation.exception is not None:
        return str(Raised(invocation.exception))
    return f"{invocation.error['errorType']}: {invocation.error['errorMessage']}"


def kind(value: object) -> str:
    """What a value is, for a sentence: "a dict", "an int", "None"."""
    if value is None:
        return "None"
    article = "an" if type(value).__name__[0].lower() in "aeio" else "a"
    return f"{article} {type(value).__name__}"
