"""Call what a learner wrote, safely: on a thread of its own, with a time limit, and with what it raised in words.

result = call(function, 1, 2)                 # raises Wrong where the function does not return
expect(result, 3, "for 1 and 2 ")             # raises Wrong: for 1 and 2 it returned 4, and 3 was expected
response = invoke(handler, [record])    # calls a Lambda handler as Lambda would
"""

import asyncio
import contextvars
import hashlib
import inspect
import json
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Iterable

from django.conf import settings
from django.db import connections

from workshop.functions.invocation import LambdaContext, stop
from workshop.names import ACCOUNT_ID, QUEUE_NAME, REGION

from .question import Wrong

TIMEOUT = 5  # seconds: what these functions do takes milliseconds
LONG = 200  # characters of a value that a sentence can hold


def call(function: Callable, *args, timeout: float = TIMEOUT, **kwargs) -> object:
    """What `function` returns; of a coroutine function, what its coroutine returns.

    Raises Wrong, saying why, where it raises, ends the process, needs longer than `timeout` seconds, or cannot be
    called with these arguments.
    """
    outcome = attempt(function, *args, timeout=timeout, **kwargs)
    if isinstance(outcome, Raised):
        raise Wrong("raised", f"{_name(function)} raised {outcome}")
    return outcome


def expect(found: object, expected: object, situation: str = "") -> None:
    """Raises Wrong where a function returned something else. `situation` goes before: "for an empty queue "."""
    if found != expected or isinstance(found, bool) != isinstance(expected, bool):
        raise Wrong("returned", f"{situation}it returned {shown(found)}, and {shown(expected)} was expected")


def expect_each(found: object, expected: dict[str, str], clues: dict[str, str]) -> None:
    """One word for each letter. Raises Wrong with a letter's clue, which says where to look and not what is right."""
    if not isinstance(found, dict) or set(found) != set(expected):
        raise Wrong("returned", f"a dictionary with the keys {', '.join(expected)} was expected, not {shown(found)}")
    for letter, word in expected.items():
        if found[letter] in (..., None):
            raise Wrong(letter, f"{letter} has no answer yet")
        if str(found[letter]).strip().lower() != word:
            raise Wrong(letter, f"{letter} is not {shown(found[letter])}. {clues[letter]}")


class Raised:
    """What a function raised, for a check that expects it. `str` is the type, the message and the line."""

    def __init__(self, error: BaseException):
        self.error = error

    def __repr__(self) -> str:
        return f"raised {self}"

    def __str__(self) -> str:
        frames = [frame for frame in traceback.extract_tb(self.error.__traceback__) if "ipykernel" in frame.filename]
        where = f" in the line: {frames[-1].line}" if frames and frames[-1].line else ""
        return f"{type(self.error).__name__}: {str(self.error).rstrip('.') or 'no message'}{where}"


def attempt(function: Callable, *args, timeout: float = TIMEOUT, **kwargs) -> object:
    """Like `call`, but an exception of the function comes back as a Raised. Raises Wrong for all else."""
    if not callable(function):
        raise Wrong("no function", f"a function was expected, and this is {kind(function)}")
    name = _name(function)
    try:
        signature = inspect.signature(function)
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise Wrong("arguments", f"{name} does not take the arguments that the question names: {error}") from None
    except ValueError:
        pass  # a builtin that does not tell
    outcome: list[object] = []

    def run() -> None:
        try:
            result = function(*args, **kwargs)
            outcome.append(asyncio.run(_quietly(result)) if inspect.iscoroutine(result) else result)
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
        raise Wrong("too slow", f"{name} did not return within {timeout:g} seconds. Is there a loop that never ends?")
    if isinstance(outcome[0], Raised) and isinstance(outcome[0].error, SystemExit):
        raise Wrong("raised", f"{name} called sys.exit(), which would end the whole process; return instead")
    return outcome[0]


async def _quietly(coroutine: Coroutine) -> object:
    """What a task raises that nobody waits for is no concern of the notebook's cell."""
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    return await coroutine


def invoke(handler: Callable, records: Iterable[dict], *, timeout: float = TIMEOUT) -> object:
    """What a Lambda handler returns for an event of these records, after its trip through JSON."""
    context = LambdaContext("a-request", deadline=time.monotonic() + timeout)
    result = call(handler, json.loads(json.dumps({"Records": list(records)})), context, timeout=timeout)
    try:
        return json.loads(json.dumps(result))
    except (TypeError, ValueError):
        raise Wrong("returned", f"the handler returned {shown(result)}, which is not JSON") from None


def record(message_id: str, body: object, **attributes: str) -> dict:
    """A record of an SQS event; a body that is not text is written as JSON. `attributes`: MessageGroupId=..."""
    text = body if isinstance(body, str) else json.dumps(body)
    return {
        "messageId": message_id,
        "receiptHandle": f"handle-of-{message_id}",
        "body": text,
        "md5OfBody": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
        "attributes": {"ApproximateReceiveCount": "1", **attributes},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{QUEUE_NAME}",
        "awsRegion": REGION,
    }


def failures(response: object) -> set[str]:
    """The ids in a handler's `batchItemFailures`, as Lambda reads them. Raises Wrong where Lambda could not."""
    try:
        items = (response or {}).get("batchItemFailures") or []
        if all(isinstance(item["itemIdentifier"], str) and item["itemIdentifier"] for item in items):
            return {item["itemIdentifier"] for item in items}
    except (AttributeError, KeyError, TypeError):
        pass
    raise Wrong(
        "report",
        f"the handler returned {shown(response)}, which Lambda cannot read: for such a report it counts the whole "
        "batch as failed",
    )


def kind(value: object) -> str:
    """What a value is, for a sentence: "a dict", "an int", "None"."""
    if value is None:
        return "None"
    article = "an" if type(value).__name__[0].lower() in "aeio" else "a"
    return f"{article} {type(value).__name__}"


def shown(value: object) -> str:
    """The value as code, its middle left out where it is long."""
    text = repr(value)
    return text if len(text) <= LONG else f"{text[: LONG // 2]} ... {text[-LONG // 4 :]}"


def _name(function: Callable) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "your function" if name == "<lambda>" else name
