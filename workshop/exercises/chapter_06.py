"""Chapter 6, Connect queue and Lambda: what its exercise asks, and how it looks at the answers."""

import json
import logging
import threading

import boto3
from botocore.exceptions import EndpointConnectionError, ParamValidationError
from botocore.validate import validate_parameters

from . import queues
from .calling import Raised, attempt, call, expect, expect_each, kind, shown
from .listening import everything_said
from .question import Wrong, question

LAB = {"django": False, "queue": False}

READ = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
LARGEST = 10  # messages of a batch without a batching window, and for a FIFO queue: AWS's maximum
WANTED = {
    "images": {"BatchSize": 100, "MaximumBatchingWindowInSeconds": 5, "ScalingConfig": {"MaximumConcurrency": 2}},
    "payments": {"BatchSize": LARGEST, "MaximumBatchingWindowInSeconds": 0},
}


@question(
    hints=[
        "Three rules: more than ten messages in a call need a window of a second at least, a FIFO queue takes ten at "
        "most and no window, and without the switch nobody reads the list of failures.",
        "The brake goes from 2 to 1,000. The switch belongs into both, in a list called FunctionResponseTypes.",
        'Take the line with the window out of payments, and add "FunctionResponseTypes": ["ReportBatchItemFailures"].',
    ],
    why="AWS takes both, and what fails comes again alone. A missing switch it would have taken, too.",
)
def q1(lab, images, payments):
    """AWS takes both settings, they say what was asked for, and the failures are read."""
    for name, given in {"images": images, "payments": payments}.items():
        _require_taken_by_boto3(name, given)
        found = {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0} | given
        size, window = found["BatchSize"], found["MaximumBatchingWindowInSeconds"]
        if name == "images" and size > LARGEST and window < 1:
            raise Wrong("window", f"{name}: AWS takes a BatchSize over 10 only with a window of at least 1 second")
        if name == "payments" and (size > LARGEST or window):
            raise Wrong(
                "FIFO", f"{name}: for a FIFO queue, AWS takes a BatchSize of 10 at most, and no batching window"
            )
        found["FunctionResponseTypes"] = list(found.get("FunctionResponseTypes", []))  # boto3 takes a tuple, too
        if found["FunctionResponseTypes"] != READ["FunctionResponseTypes"]:
            raise Wrong("switch", f"{name}: Lambda reads no list of failures, and so it deletes what has failed")
        wanted = WANTED[name] | READ
        if 1 <= window < wanted["MaximumBatchingWindowInSeconds"]:  # less waiting is no mistake
            wanted |= {"MaximumBatchingWindowInSeconds": window}
        for key in found | wanted:
            if found.get(key) != wanted.get(key):
                raise Wrong("value", f"{name}: {key} is {shown(found.get(key))}, which is not what was asked for")


def _require_taken_by_boto3(name: str, settings: object) -> None:
    if not isinstance(settings, dict):
        raise Wrong("no dictionary", f"{name} is {kind(settings)}; a dictionary was expected")
    operation = boto3.client("lambda").meta.service_model.operation_model("CreateEventSourceMapping")
    try:
        validate_parameters({"FunctionName": "func_sqs_sync"} | settings, operation.input_shape)
    except ParamValidationError as error:
        reason = " ".join(str(error).split()).removeprefix("Parameter validation failed: ")
        raise Wrong("refused", f"{name}: boto3 refuses it. {reason.partition(', must be one of')[0]}") from None


@question(
    hints=[
        "First look at the good messages. Where they were posted once, the failures were told apart, or nobody read "
        "the list. The dead letters say which.",
        "Two mappings repeat good messages because of the poison beside them. One handler raised, and the "
        "other one returned something that Lambda could not read.",
        "No poison, no exception, and still everything twice: somebody else got the messages while the first worked.",
    ],
    why="Such counts are all that you see in production, and you can tell five causes apart by them.",
)
def q2(lab, mistakes):
    """mistakes: for each of the mappings a to e, what is wrong with it."""
    expect_each(
        mistakes,
        {"a": "raises", "b": "switch", "c": "none", "d": "visibility", "e": "key"},
        {
            "a": "The handler did not return once, and so nobody learned which messages were good",
            "b": "The poison was posted once, it is no dead letter, and the queue is empty. Where is it now",
            "c": "Only one message came again, and it alone is a dead letter. Which one, and should it",
            "d": "No message was poison, and still all three came again while a handler was at work",
            "e": "The handler returned each time, and still the good messages came again and are dead letters",
        },
    )


@question(
    hints=[
        "Begin with the easy rows: nothing returned, no list, an empty list. (result or {}).get(...) helps.",
        "Collect failure.get('itemIdentifier') of all entries in a set. If one is not in message_ids, all stay.",
        "None is not in message_ids either, so a wrong key needs no case of its own: compare two sets with <=.",
    ],
    why="You know what Lambda does with any report: what it cannot read, it takes for a failure of everything.",
)
def q3(lab, what_stays):
    """what_stays(result, message_ids) -> the ids that stay in the queue, by Lambda's rules."""
    for key, items, stays, because in [
        ("readable", ["two"], {"two"}, "'two' has failed, and the rest are deleted"),
        ("readable", ["two", "three", "two"], {"two", "three"}, "'two' and 'three' have failed"),
        ("nothing", [], set(), "nothing has failed"),
        ("nothing", None, set(), "no list is as good as an empty one"),
        ("unknown", ["two", "four"], {"one", "two", "three"}, "'four' is not in this batch, and so all of it stays"),
        ("unknown", [""], {"one", "two", "three"}, "an empty text is not in this batch, and so all of it stays"),
        ("unknown", [None], {"one", "two", "three"}, "None is not in this batch, and so all of it stays"),
        ("key", [{"messageId": "two"}], {"one", "two", "three"}, "the key is wrong, and so the whole batch stays"),
    ]:
        failures = items and [item if isinstance(item, dict) else {"itemIdentifier": item} for item in items]
        _require_stays(what_stays, {"batchItemFailures": failures}, stays, key, because)
    for result in (None, {}, {"statusCode": 200}):
        _require_stays(what_stays, result, set(), "nothing", "without a list, nothing has failed")


def _require_stays(what_stays, result: object, stays: set, key: str, because: str) -> None:
    found = call(what_stays, json.loads(json.dumps(result)), ["one", "two", "three"])
    if not isinstance(found, (set, frozenset)):
        raise Wrong("no set", f"for {result} it returned {kind(found)}; a set of ids was expected")
    if found != stays:
        raise Wrong(key, f"for {result} it returned {shown(found)}; {because}")


@question(
    hints=[
        "The loop that deletes must come later. The chapter's ten lines have it in its place, with an `if`.",
        "Long polling is WaitTimeSeconds, 20 at most. And what is to be done when `batch` is empty?",
        "try: result = handler(event, None), except Exception: return len(batch). Delete what is not in failed.",
    ],
    why="A handler written for Lambda now also runs in a container of yours, and a crash loses nothing.",
)
def q4(lab, poll_once):
    """poll_once(sqs, queue_url, handler) -> how many were received; deletes exactly what did not fail."""
    sqs = queues.client()
    asked = queues.noted(sqs, "ReceiveMessage")
    url = queues.fresh(sqs, "exercise-6", VisibilityTimeout="0")  # what stays is visible at once
    batches, there = [], []

    def handler(event, context):
        batches.append({record["messageId"]: record["body"] for record in event["Records"]})
        there.append(sum(queues.counts(sqs, url)))
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"][:1]]}

    def raises(event, context):
        raise _Poison("this batch cannot be handled")

    with everything_said():  # what it logs is no part of the answer
        nothing = call(poll_once, sqs, url, handler)
        if batches:
            raise Wrong("empty", "no message came, and it called the handler")
        expect(nothing, 0, "for an empty queue ")
        sent = queues.fill(sqs, url, [f"message {number}" for number in range(12)])
        received = call(poll_once, sqs, url, handler)
        if not batches or batches[0].items() - sent.items():
            raise Wrong("event", "the handler did not get the messages, as records with a messageId and a body")
        if there[0] < len(sent):
            raise Wrong("early", "while the handler works, its messages are deleted: if it dies now, they are lost")
        expect(received, 10, "for a queue with twelve messages ")
        outcome, remain = (
            attempt(poll_once, sqs, url, raises),
            {m["MessageId"] for m in queues.take_all(queues.client(), url)},
        )
    if isinstance(outcome, Raised):
        raise Wrong("raises", f"the handler raised an exception, and poll_once raised {outcome}")
    failed = set(list(batches[0])[:1])
    if (left := len(remain)) != 3 or not failed <= remain:
        raise Wrong("left", f"twelve waited, ten came, one failed; then a handler raised. {left} are left, and not 3")
    expect(outcome, 3, "for three messages, with a handler that raised an exception, ")
    if not all(parameters.get("WaitTimeSeconds") for parameters in asked):
        raise Wrong(
            "short polling", "it asks without long polling: a worker would ask many times a second, for nothing"
        )


class _Poison(Exception):
    """What a handler raises."""


@question(
    hints=[
        "try: received += poll(). What stands in the except?",
        "Catch Exception: KeyboardInterrupt is none. Then two lines, one for the log and one for the pause.",
        "except Exception as error: logging.warning('Polling failed: %s', error), and stop.wait(1) in the next line.",
    ],
    why="The worker outlives an outage, its log says why it was quiet, and it still ends when you want it to.",
)
def q5(lab, run):
    """run(poll, stop) polls until `stop` is set, and survives what poll raises, with a warning and a pause."""
    away = EndpointConnectionError(endpoint_url="http://sqs.example")
    result, polled, pauses, records = _run(run, [1, away, 2, 3])
    if isinstance(result, Raised):
        raise Wrong("dies", f"poll raised {type(away).__name__} once, and run raised {result}")
    warnings = [record for record in records if record.levelno >= logging.WARNING]
    if not any(record.exc_info or "sqs.example" in record.getMessage() for record in warnings):
        raise Wrong(
            "log", "SQS was away, and no warning in the log says what poll raised. What is printed is not there"
        )
    if pauses != [1]:
        raise Wrong(
            "pause", f"poll failed once, and it called stop.wait with {pauses or 'nothing'}; once 1 was expected"
        )
    expect(result, 6, "for a poll that returns 1, then raises, then returns 2 and 3 ")
    if _run(run, [away, 1], set_by_wait=True)[1] > 1:
        raise Wrong("polls on", "stop was set during the pause, and it polled once more")
    interrupted, polled, _, _ = _run(run, [KeyboardInterrupt(), 1])
    if polled > 1 or not isinstance(getattr(interrupted, "error", None), KeyboardInterrupt):
        raise Wrong("interrupt", "Ctrl-C does not end it any more")


class _Stop(threading.Event):
    """An event whose `wait` notes for how long, and does not wait."""

    def __init__(self, set_by_wait: bool):
        super().__init__()
        self.set_by_wait = set_by_wait
        self.pauses: list[float | None] = []

    def wait(self, timeout=None) -> bool:
        self.pauses.append(timeout)
        if self.set_by_wait:
            self.set()
        return self.is_set()


def _run(run, outcomes: list, set_by_wait: bool = False) -> tuple[object, int, list, list]:
    """What run returns for a `poll` with these outcomes, how often it polled, its pauses, and what it logged."""
    stop, coming = _Stop(set_by_wait), list(outcomes)

    def poll():
        outcome = coming.pop(0)
        if not coming:
            stop.set()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    with everything_said() as said:
        result = attempt(run, poll, stop)
    return result, len(outcomes) - len(coming), stop.pauses, said.records
