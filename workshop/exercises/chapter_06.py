"""Chapter 6, Connect queue and Lambda: what its exercise asks, and how it looks at the answers."""

import json
import logging
import threading

import boto3
from botocore.exceptions import EndpointConnectionError, ParamValidationError
from botocore.validate import validate_parameters

from .calling import Raised, attempt, call, kind
from .listening import everything_said
from .question import NotAttempted, Wrong, question
from .queues import client, counts, fill, fresh

LAB = {"django": False, "queue": False}

SWITCH = "ReportBatchItemFailures"
BATCH_SIZE, WINDOW = 100, 5  # messages and seconds, as the exercise says
MAX_FIFO_BATCH_SIZE = 10  # messages, AWS's maximum
LEAST_CONCURRENCY = 2  # functions at once, AWS's minimum for the brake
LONGEST_PAUSE = 30  # seconds, as the exercise says
MOST_AFTER_STOP = 20  # calls of poll: then a worker is taken to never end
MISTAKES = ("raises", "switch", "key", "visibility", "none")


@question(
    hints=[
        "Three rules: more than ten messages in a call need a window of a second at least, a FIFO queue takes ten at "
        "most and no window, and without the switch nobody reads the list of failures.",
        '"FunctionResponseTypes": ["ReportBatchItemFailures"], in both.',
        "The brake goes from 2 to 1,000. Take the whole line with the window out of `payments`.",
    ],
    why="AWS refuses some wrong settings at once. The missing switch it takes, and the failed messages are lost.",
)
def q1(lab, images, payments):
    """Both are settings that AWS takes, for what the exercise asks, with the failures reported."""
    for name, settings in (("images", images), ("payments", payments)):
        _require_settings(name, settings)
    size, window = images.get("BatchSize", 10), images.get("MaximumBatchingWindowInSeconds", 0)
    if size > MAX_FIFO_BATCH_SIZE and window < 1:
        raise Wrong(
            f"images: AWS refuses a BatchSize of {size} without a window. Over 10, MaximumBatchingWindowInSeconds "
            "must be at least 1"
        )
    if size != BATCH_SIZE:
        raise Wrong(f"images: the BatchSize is {size}; up to {BATCH_SIZE} messages in a call were asked for")
    if window > WINDOW:
        raise Wrong(f"images: a message may wait {window} seconds for others; {WINDOW} at most were asked for")
    brake = images.get("ScalingConfig", {}).get("MaximumConcurrency")
    if brake is None:
        raise Wrong("images: there is no brake any more; ScalingConfig holds MaximumConcurrency")
    if brake > LEAST_CONCURRENCY:
        raise Wrong(f"images: {brake} functions may run at once; as few as AWS allows were asked for")

    size, window = payments.get("BatchSize", 10), payments.get("MaximumBatchingWindowInSeconds", 0)
    if size > MAX_FIFO_BATCH_SIZE:
        raise Wrong(f"payments: AWS refuses a BatchSize of {size} for a FIFO queue; ten is the most")
    if window:
        raise Wrong("payments: AWS refuses a batching window for a FIFO queue: take it out")
    if size < MAX_FIFO_BATCH_SIZE:
        raise Wrong(f"payments: the BatchSize is {size}; as many as AWS allows were asked for, which is ten")

    for name, settings in (("images", images), ("payments", payments)):
        if SWITCH not in settings.get("FunctionResponseTypes", []):
            raise Wrong(
                f"{name}: Lambda does not read the handler's list of failures, so it deletes what has failed. "
                f"FunctionResponseTypes switches that on, with {SWITCH}"
            )


@question(
    hints=[
        "First look at the good messages. Where they were posted once, the failures were told apart, or nobody read "
        "the list. The dead letters say which.",
        "Two mappings repeat good messages because of the poison beside them. One handler raised, and the "
        "other one returned something that Lambda could not read.",
        "No poison, no exception, and still everything twice: somebody else got the messages while the first worked.",
    ],
    why="Such counts are all that you see in production, and each of these mistakes has its own pattern.",
)
def q2(lab, mistakes):
    """mistakes: for each of the mappings a to e, what is wrong with it."""
    right = {"a": "raises", "b": "switch", "c": "none", "d": "visibility", "e": "key"}
    if not isinstance(mistakes, dict) or set(mistakes) != set(right):
        raise Wrong(f"a dictionary with the keys {', '.join(right)} was expected")
    if all(value in (..., None) for value in mistakes.values()):
        raise NotAttempted
    given = {name: value.strip().lower() if isinstance(value, str) else value for name, value in mistakes.items()}
    for name, value in given.items():
        if value in (..., None):
            raise Wrong(f"{name} has no answer yet")
        if value not in MISTAKES:
            raise Wrong(f"{name} is {value!r}; write one of {', '.join(map(repr, MISTAKES))}")
    for name, value in given.items():
        if value != right[name]:
            raise Wrong(f"{name} is not {value!r}. {WHAT_SPEAKS_AGAINST[name, value]}")


# What the counts of a mapping say against a wrong answer
WHAT_SPEAKS_AGAINST = {
    ("a", "switch"): "If nobody read the list, nothing would have failed, and nothing would be repeated",
    ("a", "key"): "With a wrong key the handler returns, and here it raised an exception three times",
    ("a", "visibility"): "Who was too slow returns in the end, and here the handler raised an exception three times",
    ("a", "none"): "Two good messages were posted three times and became dead letters",
    ("b", "raises"): "The handler raised no exception",
    ("b", "key"): "After a wrong key, the whole batch would have come again, and there was one call only",
    ("b", "visibility"): "Nothing came twice; with a visibility timeout that is too short, it does",
    ("b", "none"): "The poison was tried once, and is no dead letter. Where is it now",
    ("c", "raises"): "The handler raised no exception",
    ("c", "switch"): "The poison was tried three times, so somebody read that it had failed",
    ("c", "key"): "After a wrong key, the good messages would have come again, too",
    ("c", "visibility"): "Only the poison came again, and that is what it should do",
    ("d", "raises"): "The handler raised no exception",
    ("d", "switch"): "There was no poison, so there was no failure that somebody could have overlooked",
    ("d", "key"): "There was no poison, so the list of failures was empty, and an empty list has no wrong key",
    ("d", "none"): "Three good messages were posted twice each, and nothing had failed",
    ("e", "raises"): "The handler raised no exception",
    ("e", "switch"): "If nobody read the list, nothing would have come again",
    ("e", "visibility"): "Then the good ones would have been deleted in the end; here all three are dead letters",
    ("e", "none"): "Two good messages were posted three times and became dead letters",
}


@question(
    hints=[
        "Begin with the easy rows: nothing returned, no list, an empty list. Nothing stays.",
        "Collect item.get('itemIdentifier') of all entries in a set. If one of them is not in message_ids, all stay.",
        "None is not in message_ids either, so a wrong key needs no case of its own.",
    ],
    why="What Lambda cannot read counts as a failure of everything, so that it never deletes what may have failed.",
)
def q3(lab, what_stays):
    """what_stays(result, message_ids) -> the ids that stay in the queue, by Lambda's rules."""
    batch = ["one", "two", "three"]
    for result, stays, what in RESULTS:
        found = attempt(what_stays, json.loads(json.dumps(result)), list(batch))
        shown = f"for the result {json.dumps(result)}"
        if isinstance(found, Raised):
            raise Wrong(f"{shown} it raised {found}")
        if not isinstance(found, (set, frozenset)):
            raise Wrong(f"{shown} it returned {kind(found)}; it should return a set of message ids")
        if found != stays:
            raise Wrong(f"{shown} it says that {_told(found, batch)}; {what}")


RESULTS = [
    ({"batchItemFailures": []}, set(), "nothing has failed, so nothing stays"),
    ({"batchItemFailures": [{"itemIdentifier": "two"}]}, {"two"}, "'two' has failed, and only 'two' stays"),
    (
        {"batchItemFailures": [{"itemIdentifier": "one"}, {"itemIdentifier": "three"}]},
        {"one", "three"},
        "'one' and 'three' have failed",
    ),
    (
        {"statusCode": 200, "batchItemFailures": [{"itemIdentifier": "two"}, {"itemIdentifier": "two"}]},
        {"two"},
        "'two' has failed, and only 'two' stays",
    ),
    (None, set(), "a handler that returns nothing has succeeded"),
    ({}, set(), "without a list of failures everything has succeeded"),
    ({"statusCode": 200}, set(), "without a list of failures everything has succeeded"),
    ({"batchItemFailures": None}, set(), "no list is as good as an empty one"),
    (
        {"batchItemFailures": [{"messageId": "two"}]},
        {"one", "two", "three"},
        "the key is wrong, so Lambda cannot know what has failed, and all three stay",
    ),
    (
        {"batchItemFailures": [{"itemIdentifier": "two"}, {"itemIdentifier": "four"}]},
        {"one", "two", "three"},
        "'four' is not in this batch, so all three stay",
    ),
    ({"batchItemFailures": [{"itemIdentifier": ""}]}, {"one", "two", "three"}, "'' names no message, so all stay"),
    ({"batchItemFailures": [{"itemIdentifier": None}]}, {"one", "two", "three"}, "null names no message, so all stay"),
]


@question(
    hints=[
        "The chapter's ten lines do most of it. What is missing is the try around the handler, and what_stays.",
        "receive_message gives no attributes unless you ask: MessageSystemAttributeNames=['All'].",
        "try: stays = what_stays(handler(event, None), ids), except Exception: stays = set(ids). Then delete the rest.",
    ],
    why="With this function, a handler written for Lambda also runs in a container, or on a server of your own.",
)
def q4(lab, poll_once):
    """poll_once(sqs, queue_url, handler) -> how many were received; deletes exactly what did not fail."""
    with everything_said():  # what it logs is no part of the answer
        _look_at_poll_once(poll_once)


@question(
    hints=[
        "while not stop.is_set(): try to poll. What comes after the except waits, with stop.wait(pause).",
        "A variable `pause`: 1 at first, and 1 again after each success; min(2 * pause, 30) after a failure.",
        "Catch Exception. KeyboardInterrupt is none, so it ends the worker, as it should.",
    ],
    why="A worker that dies of the first network error is not noticed until the queue is full.",
)
def q5(lab, run):
    """run(poll, stop) polls until `stop` is set, survives what poll raises, and pauses after failures."""
    _require_one_failure_survived(run)
    if _run(run, [2, 0, 3])[0] != 5:
        raise Wrong("poll returned 2, 0 and 3, and run should return the sum, 5")
    stop = _Stop()
    stop.set()
    _, calls, _ = _run(run, [1], stop)
    if calls:
        raise Wrong("stop was set from the beginning, and it polled all the same")

    _, calls, pauses = _run(run, [_AWAY, _AWAY, _AWAY, 1, _AWAY, 1])
    if pauses != [1, 2, 4, 1]:
        raise Wrong(
            f"SQS was away three times, there once, and away again, and it paused for {_seconds(pauses)}. It should "
            "pause for 1, 2, 4 and 1 seconds: twice as long after each failure, and from 1 again after a success"
        )
    _, calls, pauses = _run(run, [_AWAY] * 8 + [0])
    if max(pauses) > LONGEST_PAUSE:
        raise Wrong(f"after eight failures it paused for {max(pauses):g} seconds; {LONGEST_PAUSE} is the longest")
    if max(pauses) < LONGEST_PAUSE:
        raise Wrong(f"after eight failures its pause is {max(pauses):g} seconds; it should grow to {LONGEST_PAUSE}")
    _, calls, _ = _run(run, [_AWAY, 1], _Stop(set_by_wait=True))
    if calls > 1:
        raise Wrong("stop was set during the pause, and it polled once more; look at stop again before you poll")
    outcome = _attempt_run(run, [KeyboardInterrupt(), 1])[0]
    if not isinstance(outcome, Raised) or not isinstance(outcome.error, KeyboardInterrupt):
        raise Wrong("Ctrl-C does not end it: it catches KeyboardInterrupt, too. Catch Exception")


ONLY_WHO_ASKS = "SQS tells the attributes only who asks: MessageSystemAttributeNames=['All']"
_BODIES = ["one", "two", "three"]
_AWAY = EndpointConnectionError(endpoint_url="http://sqs.example")


def _require_settings(name: str, settings: object) -> None:
    """boto3 would send these settings to AWS."""
    if not isinstance(settings, dict):
        raise Wrong(f"{name} is {kind(settings)}; it should be a dictionary")
    if isinstance(settings.get("FunctionResponseTypes"), str):
        raise Wrong(f"{name}: FunctionResponseTypes is one text; AWS wants a list of texts")
    if "VisibilityTimeout" in settings:
        raise Wrong(f"{name}: the VisibilityTimeout belongs to the queue, not to the mapping")
    if SWITCH in settings:
        raise Wrong(f"{name}: {SWITCH} is not the name of a setting; it is a text in the list FunctionResponseTypes")
    operation = boto3.client("lambda").meta.service_model.operation_model("CreateEventSourceMapping")
    try:
        validate_parameters({"FunctionName": "func_sqs_sync"} | settings, operation.input_shape)
    except ParamValidationError as error:
        reason = " ".join(str(error).split()).removeprefix("Parameter validation failed: ")
        reason = reason.partition(", must be one of")[0]
        raise Wrong(f"{name}: boto3 refuses it: {reason}") from None
    unknown = set(settings.get("FunctionResponseTypes", [])) - {SWITCH}
    if unknown:
        raise Wrong(f"{name}: AWS knows no response type {min(unknown)!r}; it is written {SWITCH}")


def _look_at_poll_once(poll_once) -> None:
    sqs = client()
    url = fresh(sqs, "exercise-6-empty")
    handled, waits = [], []
    sqs.meta.events.register(
        "provide-client-params.sqs.ReceiveMessage", lambda params, **about: waits.append(params.get("WaitTimeSeconds"))
    )
    nothing = call(poll_once, sqs, url, lambda event, context: handled.append(event), timeout=25)
    if handled:
        raise Wrong("the queue was empty, and the handler was called all the same")
    if nothing != 0:
        raise Wrong(f"the queue was empty, and it returned {nothing!r}; return how many were received, 0")

    _require_event(sqs, poll_once)
    if not all(waits):
        raise Wrong(
            "it asks SQS without WaitTimeSeconds, and SQS answers at once when nothing is there: a worker would ask, "
            "and you would pay, many times a second. Long polling of a second was asked for"
        )
    for result, stays, what in RESULTS:
        left = _left_after(sqs, poll_once, lambda event, context, result=result: _with_real_ids(result, event))
        if left != stays:
            raise Wrong(f"the handler returned {json.dumps(result)}, and then {_told(left, _BODIES)}; {what}")
    left = _left_after(sqs, poll_once, _raises)
    if left != set(_BODIES):
        raise Wrong(f"the handler raised an exception, and then {_told(left, _BODIES)}; the whole batch has failed")


def _require_event(sqs, poll_once) -> None:
    """The handler gets one batch, as Lambda would give it."""
    url = fresh(sqs, "exercise-6", VisibilityTimeout="30")
    sent = fill(sqs, url, [f"message {number}" for number in range(12)])
    calls = []

    def handler(event, context):
        calls.append(event)
        return {"batchItemFailures": []}

    received = attempt(poll_once, sqs, url, handler, timeout=25)
    if isinstance(received, Raised):
        unasked = f". {ONLY_WHO_ASKS}" if str(received.error) == "'Attributes'" else ""
        raise Wrong(f"poll_once raised {received}{unasked}")
    if not calls:
        raise Wrong("twelve messages wait, and the handler was not called")
    if len(calls) > 1:
        raise Wrong(f"it called the handler {len(calls)} times; poll once, and call it once with the whole batch")
    records = calls[0].get("Records") if isinstance(calls[0], dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise Wrong('the event is not {"Records": [...]} with a dictionary for each message')
    if len(records) != 10:
        raise Wrong(f"twelve messages wait, and the batch has {len(records)}; MaxNumberOfMessages may be ten")
    for field in ("messageId", "body", "attributes"):
        if missing := [record for record in records if field not in record]:
            raise Wrong(f"a record has no {field!r}; it has {', '.join(sorted(missing[0])) or 'nothing'}")
    if any(sent.get(record["messageId"]) != record["body"] for record in records):
        raise Wrong("the messageId or the body of a record is not that of the message")
    if any("ApproximateReceiveCount" not in record["attributes"] for record in records):
        raise Wrong(f"the attributes of a record have no ApproximateReceiveCount. {ONLY_WHO_ASKS}")
    if received != 10:
        raise Wrong(f"ten messages were received, and it returned {received!r}")
    waiting, in_flight = counts(sqs, url)
    if in_flight:
        raise Wrong(f"the handler reported no failure, and {in_flight} of ten messages were not deleted")
    if waiting != 2:
        raise Wrong(f"of twelve messages ten were handled, and {waiting} are left; the others are lost")


def _left_after(sqs, poll_once, handler) -> set[str]:
    """What the queue still holds after three messages were polled with this handler."""
    url = fresh(sqs, "exercise-6", VisibilityTimeout="0")  # what stays is visible at once
    fill(sqs, url, _BODIES)
    outcome = attempt(poll_once, sqs, url, handler, timeout=25)
    if isinstance(outcome, Raised):
        if isinstance(outcome.error, _Poison):
            raise Wrong("the handler raised an exception, and so did poll_once; it ends the batch, not the poller")
        raise Wrong(f"poll_once raised {outcome}")
    if outcome != len(_BODIES):
        raise Wrong(f"three messages were received, and it returned {outcome!r}")
    left = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return {message["Body"] for message in left}


class _Poison(Exception):
    """What a handler raises."""


def _raises(event, context):
    raise _Poison("this batch cannot be handled")


def _with_real_ids(result: object, event: dict) -> object:
    """The result, with the ids that the messages have in this event in the place of their bodies."""
    ids = {record["body"]: record["messageId"] for record in event["Records"]}
    if not isinstance(result, dict) or not result.get("batchItemFailures"):
        return result
    items = [{key: ids.get(value, value) for key, value in item.items()} for item in result["batchItemFailures"]]
    return result | {"batchItemFailures": items}


def _told(left: set, batch: list[str]) -> str:
    if not left:
        return "nothing stays in the queue"
    if left == set(batch):
        return "all three stay in the queue"
    return f"{', '.join(sorted(map(repr, left)))} stays in the queue"


class _PollsOn(BaseException):
    """What ends a worker that does not look at `stop`."""


class _Warnings(logging.Handler):
    """What is logged as a warning, or as worse, between `with` and its end."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def __enter__(self) -> "_Warnings":
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *exception) -> None:
        logging.getLogger().removeHandler(self)

    def require(self, error: Exception, otherwise: str) -> None:
        """One of them tells of the error: its text, its type, or its traceback. `otherwise`: what else was said."""
        names = (str(error), type(error).__name__)
        if any(r.exc_info or any(name in r.getMessage() for name in names) for r in self.records):
            return
        if self.records:
            raise Wrong("SQS was away, and the warning does not say what poll raised; write the exception into it")
        if otherwise:
            raise Wrong(
                "SQS was away, and no warning is in the log: a print does not get there, and what is logged as info "
                "is not kept by most. Write it with logging.warning"
            )
        raise Wrong("SQS was away, and nothing in the log says so; write a warning with the exception")


class _Stop(threading.Event):
    """An event whose `wait` notes for how long, and does not wait."""

    def __init__(self, set_by_wait: bool = False):
        super().__init__()
        self.set_by_wait = set_by_wait
        self.pauses: list[float | None] = []

    def wait(self, timeout=None) -> bool:
        self.pauses.append(timeout)
        if self.set_by_wait:
            self.set()
        return self.is_set()


def _attempt_run(run, outcomes: list, stop: _Stop | None = None) -> tuple[object, int, list]:
    """What run returns or raises for a `poll` with these outcomes, how often it polled, and its pauses."""
    stop = stop or _Stop()
    coming, after_stop = list(outcomes), 0

    def poll():
        nonlocal after_stop
        after_stop += not coming
        if after_stop > MOST_AFTER_STOP:
            raise _PollsOn
        outcome = coming.pop(0) if coming else 0
        if not coming:
            stop.set()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    with everything_said() as said, _Warnings() as warnings:
        result = attempt(run, poll, stop)
    if isinstance(result, Raised) and isinstance(result.error, _PollsOn):
        raise Wrong("stop was set, and it polls on; look at stop.is_set() each time before you poll")
    if _AWAY in outcomes and len(outcomes) - len(coming) > 1:
        warnings.require(_AWAY, otherwise=str(said))
    return result, len(outcomes) - len(coming), stop.pauses


def _run(run, outcomes: list, stop: _Stop | None = None) -> tuple[object, int, list]:
    result, calls, pauses = _attempt_run(run, outcomes, stop)
    if isinstance(result, Raised):
        raise Wrong(f"run raised {result}")
    if None in pauses:
        raise Wrong("stop.wait() without a number waits for ever; say for how many seconds")
    return result, calls, pauses


def _require_one_failure_survived(run) -> None:
    outcome, calls, pauses = _attempt_run(run, [_AWAY, 1])
    if isinstance(outcome, Raised):
        raise Wrong(f"poll raised {type(outcome.error).__name__} once, and run raised it, too; go on polling")
    if calls < 2:
        raise Wrong("poll raised an exception once, and it did not poll again")
    if not pauses:
        raise Wrong(
            "after a failure it does not pause with stop.wait(seconds). Without a pause it would ask ten times in the "
            "second in which SQS is away, and a time.sleep cannot be ended by stop"
        )


def _seconds(pauses: list) -> str:
    return ", ".join(f"{pause:g}" for pause in pauses) or "none"
