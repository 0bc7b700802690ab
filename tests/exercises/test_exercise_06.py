import json
import logging
import threading
import time

import boto3
import pytest

from workshop import EventSourceMapping
from workshop.exercises import notebook
from workshop.exercises.queues import fill, fresh, take_all

CHAPTER = "06_connect_queue_and_lambda"
SWITCH = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}

# Question 1

IMAGES = {"BatchSize": 100, "MaximumBatchingWindowInSeconds": 5, "ScalingConfig": {"MaximumConcurrency": 2}} | SWITCH
PAYMENTS = {"BatchSize": 10} | SWITCH


def without(settings, *names):
    return {name: value for name, value in settings.items() if name not in names}


@pytest.mark.parametrize(
    ("images", "payments"),
    [
        (IMAGES, PAYMENTS),
        (IMAGES | {"MaximumBatchingWindowInSeconds": 1}, without(PAYMENTS, "BatchSize")),
        (IMAGES | {"Enabled": True}, PAYMENTS | {"MaximumBatchingWindowInSeconds": 0}),
    ],
)
def test_q1_takes_any_settings_that_aws_takes_and_that_lose_nothing(outcome, images, payments):
    assert outcome(1, images, payments)[0] == "right"


@pytest.mark.parametrize(
    ("images", "payments", "because"),
    [
        (IMAGES | {"MaximumBatchingWindowInSeconds": 0}, PAYMENTS, "images: AWS refuses a BatchSize of 100 without"),
        (without(IMAGES, "MaximumBatchingWindowInSeconds"), PAYMENTS, "must be at least 1"),
        (IMAGES | {"MaximumBatchingWindowInSeconds": 30}, PAYMENTS, "a message may wait 30 seconds for others"),
        (IMAGES | {"MaximumBatchingWindowInSeconds": 2.5}, PAYMENTS, "images: boto3 refuses it: Invalid type"),
        (IMAGES | {"BatchSize": 10}, PAYMENTS, "images: the BatchSize is 10; up to 100 messages"),
        (without(IMAGES, "ScalingConfig"), PAYMENTS, "images: there is no brake any more"),
        (IMAGES | {"ScalingConfig": {"MaximumConcurrency": 1}}, PAYMENTS, "value: 1, valid min value: 2"),
        (IMAGES | {"ScalingConfig": {"MaximumConcurrency": 10}}, PAYMENTS, "images: 10 functions may run at once"),
        (IMAGES | {"ReportBatchItemFailures": True}, PAYMENTS, "it is a text in the list FunctionResponseTypes"),
        (IMAGES | {"MaximumConcurrency": 2}, PAYMENTS, 'Unknown parameter in input: "MaximumConcurrency"'),
        (IMAGES | {"VisibilityTimeout": 180}, PAYMENTS, "the VisibilityTimeout belongs to the queue"),
        (IMAGES, PAYMENTS | {"BatchSize": 100}, "payments: AWS refuses a BatchSize of 100 for a FIFO queue"),
        (IMAGES, PAYMENTS | {"MaximumBatchingWindowInSeconds": 5}, "payments: AWS refuses a batching window"),
        (IMAGES, PAYMENTS | {"BatchSize": 1}, "payments: the BatchSize is 1; as many as AWS allows"),
        (without(IMAGES, *SWITCH), PAYMENTS, "images: Lambda does not read the handler's list"),
        (IMAGES, without(PAYMENTS, *SWITCH), "payments: Lambda does not read the handler's list"),
        (IMAGES, PAYMENTS | {"FunctionResponseTypes": "ReportBatchItemFailures"}, "AWS wants a list of texts"),
        (IMAGES, PAYMENTS | {"FunctionResponseTypes": ["reportBatchItemFailures"]}, "it is written ReportBatchItem"),
        (IMAGES, 10, "payments is an int; it should be a dictionary"),
    ],
)
def test_q1_says_what_is_not_right(outcome, images, payments, because):
    state, text = outcome(1, images, payments)
    assert state == "wrong"
    assert because in text


# Question 2

MISTAKES = {"a": "raises", "b": "switch", "c": "none", "d": "visibility", "e": "key"}
OTHERS = [(name, word) for name, right in MISTAKES.items() for word in MISTAKES.values() if word != right]


@pytest.mark.parametrize("answer", [MISTAKES, {name: f" {word.upper()}" for name, word in MISTAKES.items()}])
def test_q2_takes_the_right_mistakes(outcome, answer):
    assert outcome(2, answer)[0] == "right"


@pytest.mark.parametrize(("name", "word"), OTHERS)
def test_q2_says_for_every_wrong_answer_what_speaks_against_it(outcome, name, word):
    state, text = outcome(2, MISTAKES | {name: word})
    assert state == "wrong"
    assert text.startswith(f"{name} is not {word!r}. ")
    assert len(text) > 45


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (MISTAKES | {"c": None}, "c has no answer yet"),
        (MISTAKES | {"c": "nothing"}, "c is 'nothing'; write one of 'raises', 'switch', 'key', 'visibility', 'none'"),
        ({"a": "raises"}, "a dictionary with the keys a, b, c, d, e was expected"),
        (["raises"], "a dictionary with the keys"),
    ],
)
def test_q2_says_what_an_answer_looks_like(outcome, answer, because):
    state, text = outcome(2, answer)
    assert state == "wrong"
    assert because in text


def test_q2_without_any_answer_is_not_attempted(outcome):
    assert outcome(2, dict.fromkeys(MISTAKES))[0] == "not attempted"


def table() -> dict[str, list[str]]:
    """The rows of the notebook's table."""
    text = "\n".join("".join(cell["source"]) for cell in notebook.read(CHAPTER)["cells"])
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line[:3] == "| `"]
    return {cells[0].strip("`"): cells[1:] for cells in rows}


class Posting:
    """A handler that posts: it counts what it is given, and reports the poison under `key`, or raises."""

    def __init__(self, key="itemIdentifier", raises=False):
        self.key, self.raises, self.posted, self.raised = key, raises, [], 0

    def __call__(self, event, context):
        self.posted += [record["body"] for record in event["Records"]]
        failed = [record["messageId"] for record in event["Records"] if record["body"] == "poison"]
        if failed and self.raises:
            self.raised += 1
            raise RuntimeError("some messages failed")
        return {"batchItemFailures": [{self.key: message_id} for message_id in failed]}


class Slow(Posting):
    """The first call ends when the second has begun, with the same messages."""

    def __init__(self):
        super().__init__()
        self.second = threading.Event()

    def __call__(self, event, context):
        result = super().__call__(event, context)
        if len(self.posted) == 3:
            self.second.wait(20)
        else:
            self.second.set()
        return result


@pytest.mark.parametrize(
    ("name", "handler", "switch"),
    [
        ("a", Posting(raises=True), False),
        ("b", Posting(), False),
        ("c", Posting(), True),
        ("d", Slow(), True),
        ("e", Posting(key="messageId"), True),
    ],
)
def test_q2_the_counts_of_the_table_are_those_of_real_mappings(exercise, name, handler, switch):
    sqs = boto3.client("sqs")
    dead = fresh(sqs, "counted-dlq")
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    visibility = "3" if name == "d" else "0"  # seconds: time for the first to delete, on a slow machine too
    url = fresh(sqs, "counted", VisibilityTimeout=visibility, RedrivePolicy=policy)
    fill(sqs, url, ["good 1", "good 2", "good 3" if name == "d" else "poison"])
    at_once = 2 if name == "d" else 1  # two that look at messages which are never hidden would each get them
    mapping = EventSourceMapping(url, handler, report_batch_item_failures=switch, maximum_concurrency=at_once)
    if name == "d":
        with mapping:
            assert handler.second.wait(20)
    else:
        mapping.run_until_empty()
    posted = [handler.posted.count(body) for body in ("good 1", "good 2", "poison")]
    assert posted[0] == posted[1]
    words = {0: "there was none", 1: "once", 2: "twice", 3: "3 times"}
    counted = [words[mapping.invocations], str(handler.raised), words[posted[0]], words[posted[2]]]
    assert [*counted, str(len(take_all(sqs, dead)))] == table()[name]


# Question 3


def by_the_rules(result, message_ids):
    items = (result or {}).get("batchItemFailures") or []
    failed = {item.get("itemIdentifier") for item in items}
    return failed if failed <= set(message_ids) else set(message_ids)


def step_by_step(result, message_ids):
    if not result or not result.get("batchItemFailures"):
        return frozenset()
    stays = set()
    for item in result["batchItemFailures"]:
        try:
            message_ids.index(item["itemIdentifier"])
        except (KeyError, ValueError):
            return frozenset(message_ids)
        stays.add(item["itemIdentifier"])
    return stays


def trusts_the_list(result, message_ids):
    return {item["itemIdentifier"] for item in result["batchItemFailures"]}


def ignores_what_it_does_not_know(result, message_ids):
    items = (result or {}).get("batchItemFailures") or []
    return {item.get("itemIdentifier") for item in items} & set(message_ids)


def all_or_nothing(result, message_ids):
    return set(message_ids) if (result or {}).get("batchItemFailures") else set()


def nothing_means_failure(result, message_ids):
    return set(message_ids) if result is None else by_the_rules(result, message_ids)


def what_is_deleted(result, message_ids):
    return set(message_ids) - by_the_rules(result, message_ids)


def takes_a_wrong_key_for_nothing(result, message_ids):
    items = (result or {}).get("batchItemFailures") or []
    failed = {item["itemIdentifier"] for item in items if "itemIdentifier" in item}
    return failed if failed <= set(message_ids) else set(message_ids)


def takes_an_empty_id_for_nothing(result, message_ids):
    items = (result or {}).get("batchItemFailures") or []
    failed = {item.get("itemIdentifier", "?") for item in items} - {"", None}
    return failed if failed <= set(message_ids) else set(message_ids)


@pytest.mark.parametrize("answer", [by_the_rules, step_by_step])
def test_q3_takes_any_function_with_lambdas_rules(outcome, answer):
    assert outcome(3, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (trusts_the_list, "for the result null it raised TypeError"),
        (ignores_what_it_does_not_know, "it says that nothing stays in the queue; the key is wrong"),
        (takes_a_wrong_key_for_nothing, "it says that nothing stays in the queue; the key is wrong"),
        (takes_an_empty_id_for_nothing, "'' names no message, so all stay"),
        (all_or_nothing, "it says that all three stay in the queue; 'two' has failed, and only 'two' stays"),
        (nothing_means_failure, "for the result null it says that all three stay in the queue"),
        (what_is_deleted, "it says that all three stay in the queue; nothing has failed"),
        (lambda result, message_ids: None, "it returned None; it should return a set of message ids"),
        (lambda result: set(), "does not take the arguments"),
        (lambda result, message_ids: list(by_the_rules(result, message_ids)), "a list; it should return a set"),
        (lambda result, message_ids: tuple(by_the_rules(result, message_ids)), "a tuple; it should return a set"),
        ({"two"}, "a function was expected, and this is a set"),
    ],
)
def test_q3_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(3, answer)
    assert state == "wrong"
    assert because in text


# Question 4


def polls(
    number=10,
    rules=by_the_rules,
    catch=Exception,
    on_error=set,
    returns=len,
    delete="after",
    attributes="All",
    calls=1,
    wait=1,
):
    """A solution, with one thing changed."""

    def poll_once(sqs, queue_url, handler):
        answer = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=number,
            MessageSystemAttributeNames=[attributes],
            **({} if wait is None else {"WaitTimeSeconds": wait}),
        )
        messages = answer.get("Messages", [])
        if not messages:
            return returns(messages)
        if delete == "before":
            remove(sqs, queue_url, messages)
        ids = [message["MessageId"] for message in messages]
        names = {"messageId": "MessageId", "body": "Body", "attributes": "Attributes"}
        records = [{name: message[key] for name, key in names.items() if key in message} for message in messages]
        try:
            for _ in range(calls):
                result = handler({"Records": records}, None)
            stays = rules(result, ids)
        except catch:
            stays = on_error(ids)
        if delete == "after":
            remove(sqs, queue_url, [message for message in messages if message["MessageId"] not in stays])
        return returns(messages)

    return poll_once


def asks_for_no_attributes(sqs, queue_url, handler):
    for message in sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=1).get("Messages", []):
        handler({"Records": [{"messageId": message["MessageId"], "attributes": message["Attributes"]}]}, None)
    return 0


def remove(sqs, queue_url, messages):
    for message in messages:
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def with_the_old_names_and_a_batch(sqs, queue_url, handler):
    answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=20)
    found = {message["MessageId"]: message for message in answer.get("Messages", [])}
    if found:
        records = [
            {"messageId": key, "body": m["Body"], "attributes": m["Attributes"], "eventSource": "aws:sqs"}
            for key, m in found.items()
        ]
        try:
            stays = step_by_step(handler({"Records": records}, None), list(found))
        except Exception:
            return len(found)
        done = [m["ReceiptHandle"] for key, m in found.items() if key not in stays]
        entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(done)]
        if entries:
            sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
    return len(found)


def returns_nothing_after_a_failure(sqs, queue_url, handler):
    failed = []

    def noted(event, context):
        try:
            return handler(event, context)
        except Exception:
            failed.append(event)
            raise

    received = polls()(sqs, queue_url, noted)
    return 0 if failed else received


def calls_it_for_nothing(sqs, queue_url, handler):
    handler({"Records": []}, None)
    return polls()(sqs, queue_url, handler)


def one_call_for_each(sqs, queue_url, handler):
    return polls()(
        sqs, queue_url, lambda event, context: [handler({"Records": [r]}, None) for r in event["Records"]][0]
    )


@pytest.mark.parametrize("answer", [polls(), with_the_old_names_and_a_batch])
def test_q4_takes_any_poller_that_deletes_what_did_not_fail(outcome, answer):
    assert outcome(4, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (polls(wait=None), "without WaitTimeSeconds"),
        (polls(wait=0), "WaitTimeSeconds"),
        (polls(number=1), "twelve messages wait, and the batch has 1"),
        (polls(attributes="SenderId"), "the attributes of a record have no ApproximateReceiveCount"),
        (asks_for_no_attributes, "raised KeyError: 'Attributes'. SQS tells the attributes only who asks"),
        (polls(delete="never"), "the handler reported no failure, and 10 of ten messages were not deleted"),
        (polls(delete="before"), "nothing stays in the queue; 'two' has failed, and only 'two' stays"),
        (polls(rules=lambda result, ids: set()), "nothing stays in the queue; 'two' has failed"),
        (polls(rules=all_or_nothing), "all three stay in the queue; 'two' has failed"),
        (polls(rules=ignores_what_it_does_not_know), "nothing stays in the queue; the key is wrong"),
        (polls(rules=nothing_means_failure), "the handler returned null, and then all three stay"),
        (polls(catch=()), "the handler raised an exception, and so did poll_once"),
        (polls(on_error=lambda ids: set()), "the handler raised an exception, and then nothing stays"),
        (polls(returns=lambda messages: None), "it returned None; return how many were received, 0"),
        (returns_nothing_after_a_failure, "three messages were received, and it returned 0"),
        (polls(returns=bool), "ten messages were received, and it returned True"),
        (polls(calls=2), "it called the handler 2 times"),
        (calls_it_for_nothing, "the queue was empty, and the handler was called"),
        (one_call_for_each, "it called the handler 10 times"),
        (lambda sqs, queue_url, handler: 0, "twelve messages wait, and the handler was not called"),
        (lambda sqs: 0, "does not take the arguments"),
    ],
)
def test_q4_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(4, answer)
    assert state == "wrong"
    assert because in text


# Question 5


def runs(catch=Exception, log=logging.warning, first=1, factor=2, longest=30, afresh=True, look=True, wait=None):
    """A solution, with one thing changed."""

    def run(poll, stop):
        received, pause = 0, first
        while look is not True or not stop.is_set():
            try:
                received += poll()
                if afresh:
                    pause = first
            except catch as error:
                log("SQS is away: %s", error)
                (wait or stop.wait)(pause)
                pause = min(factor * pause, longest)
            if look is False and stop.is_set():
                break
        return received

    return run


def counts_failures(poll, stop):
    failures = received = 0
    while not stop.is_set():
        try:
            received += poll()
        except Exception:
            logging.getLogger("worker").exception("poll failed")
            if stop.wait(timeout=min(30, 2**failures)):
                break
            failures += 1
        else:
            failures = 0
    return received


def polls_again_after_the_pause(poll, stop):
    received = 0
    while not stop.is_set():
        pause = 1
        while True:
            try:
                received += poll()
                break
            except Exception as error:
                logging.warning("%s", error)
                stop.wait(pause)
                pause = min(2 * pause, 30)
    return received


def says_the_type(*args):
    logging.getLogger("worker").warning("poll failed: %s", type(args[-1]).__name__)


@pytest.mark.parametrize(
    "answer",
    [runs(), counts_failures, runs(log=says_the_type), runs(log=lambda *args: logging.error("away", exc_info=True))],
)
def test_q5_takes_any_worker_that_stays_and_ends(outcome, answer):
    assert outcome(5, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (runs(catch=()), "poll raised EndpointConnectionError once, and run raised it, too"),
        (runs(catch=BaseException), "Ctrl-C does not end it"),
        (runs(log=lambda *args: None), "nothing in the log says so"),
        (runs(log=print), "print"),
        (runs(log=logging.info), "logging.warning"),
        (runs(log=lambda *args: logging.warning("SQS is away")), "the warning does not say what poll raised"),
        (runs(look=None), "stop was set, and it polls on"),
        (runs(wait=lambda pause: time.sleep(0)), "it does not pause with stop.wait(seconds)"),
        (runs(factor=1), "it paused for 1, 1, 1, 1. It should pause for 1, 2, 4 and 1"),
        (runs(afresh=False), "it paused for 1, 2, 4, 8. It should pause"),
        (runs(longest=1000), "after eight failures it paused for 128 seconds; 30 is the longest"),
        (runs(longest=10), "after eight failures its pause is 10 seconds; it should grow to 30"),
        (runs(look=False), "stop was set from the beginning, and it polled"),
        (polls_again_after_the_pause, "stop was set during the pause, and it polled once more"),
        (lambda poll, stop: poll(), "EndpointConnectionError once, and run raised it, too"),
        (lambda poll, stop: runs()(poll, stop) and None, "run should return the sum, 5"),
        (lambda poll: 0, "does not take the arguments"),
    ],
)
def test_q5_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(5, answer)
    assert state == "wrong"
    assert because in text
