"""The event source mapping keeps AWS's rules, on moto and on fauxqs, a server that is not ours."""

import base64
import contextlib
import json
import re
import threading
import time

import boto3
import fauxqs
import pytest
from moto import mock_aws

from workshop import EventSourceMapping
from workshop.lab.local_aws import LocalAws


@pytest.fixture(scope="session")
def fauxqs_url():
    with fauxqs.running() as url:
        yield url


@pytest.fixture(params=["moto", "fauxqs"])
def client(request, local_aws_server, monkeypatch):
    """A boto3 client on each of the servers in turn, which the environment leads to."""
    url = local_aws_server.endpoint_url if request.param == "moto" else request.getfixturevalue("fauxqs_url")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    return boto3.client("sqs")


@pytest.fixture
def queue(client, request):
    """A queue of this test's own; what fails does not come again while the test runs."""
    url = client.create_queue(QueueName=f"q{abs(hash(request.node.nodeid))}", Attributes={"VisibilityTimeout": "60"})
    yield url["QueueUrl"]
    client.delete_queue(QueueUrl=url["QueueUrl"])


def bring_failed_messages_back_soon(client, queue):
    client.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "2"})


def send(client, queue, *bodies):
    return [client.send_message(QueueUrl=queue, MessageBody=body)["MessageId"] for body in bodies]


def counts(client, queue):
    """(waiting, in flight)"""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = client.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return tuple(int(attributes[name]) for name in names)


def until(happened, timeout=20):
    deadline = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def failing(event, *bodies):
    """A partial batch response that fails the records with these bodies."""
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]} for record in event["Records"] if record["body"] in bodies
        ]
    }


@pytest.mark.parametrize(
    "result", [{"batchItemFailures": []}, {"batchItemFailures": None}, {"statusCode": 200}, None, {}]
)
def test_no_failures_reported_deletes_all(client, queue, result):
    send(client, queue, "a", "b")
    mapping = EventSourceMapping(queue, lambda event, context: result)
    mapping.run_until_empty(timeout=15)
    assert (mapping.delivered, mapping.failed) == (2, 0)


def test_reported_messages_stay_and_reappear_and_the_rest_is_deleted(client, queue):
    bring_failed_messages_back_soon(client, queue)
    send(client, queue, "good", "bad", "good")
    seen = []

    def handler(event, context):
        seen.extend(record["body"] for record in event["Records"])
        return failing(event, "bad") if seen.count("bad") < 2 else {}

    mapping = EventSourceMapping(queue, handler)
    assert mapping.poll_once() == 3
    assert counts(client, queue) == (0, 1)
    mapping.run_until_empty(timeout=15)
    assert sorted(seen) == ["bad", "bad", "good", "good"]
    assert (mapping.delivered, mapping.failed) == (3, 1)


@pytest.mark.parametrize(
    "item",
    [
        {"itemIdentifier": ""},
        {"itemIdentifier": None},
        {"itemIdentifier": "not-in-this-batch"},
        {"ItemIdentifier": "wrong key"},
        {},
        "an id without an object",
    ],
)
def test_an_identifier_that_cannot_be_used_fails_the_whole_batch(client, queue, item):
    send(client, queue, "a")
    mapping = EventSourceMapping(queue, lambda event, context: {"batchItemFailures": [item]})
    assert mapping.poll_once() == 1
    assert (mapping.delivered, mapping.failed) == (0, 1)
    assert sum(counts(client, queue)) == 1


def test_a_result_that_json_cannot_hold_fails_the_whole_batch(client, queue):
    send(client, queue, "a")
    mapping = EventSourceMapping(queue, lambda event, context: {1, 2})
    mapping.poll_once()
    assert (mapping.delivered, mapping.failed) == (0, 1)
    assert sum(counts(client, queue)) == 1


def test_a_handler_that_raises_fails_the_whole_batch(client, queue):
    send(client, queue, "a", "b")

    def handler(event, context):
        raise RuntimeError("no")

    mapping = EventSourceMapping(queue, handler)
    received = mapping.poll_once()
    assert (mapping.delivered, mapping.failed) == (0, received)
    assert sum(counts(client, queue)) == 2


def test_a_handler_that_times_out_fails_the_whole_batch(client, queue):
    send(client, queue, "a")
    forever = threading.Event()
    mapping = EventSourceMapping(queue, lambda event, context: forever.wait(5), function_timeout=0.2)
    mapping.poll_once()
    forever.set()
    assert (mapping.delivered, mapping.failed) == (0, 1)
    assert sum(counts(client, queue)) == 1


def test_without_reporting_whatever_is_returned_deletes_all(client, queue):
    send(client, queue, "bad")
    mapping = EventSourceMapping(queue, lambda event, context: failing(event, "bad"), report_batch_item_failures=False)
    mapping.run_until_empty(timeout=15)
    assert (mapping.delivered, mapping.failed) == (1, 0)


def test_without_reporting_an_exception_still_fails_the_whole_batch(client, queue):
    send(client, queue, "a")
    mapping = EventSourceMapping(queue, lambda event, context: 1 / 0, report_batch_item_failures=False)
    mapping.poll_once()
    assert (mapping.delivered, mapping.failed) == (0, 1)


def test_a_message_that_always_fails_ends_in_the_dead_letter_queue(client, queue):
    dead = client.create_queue(QueueName=queue.rsplit("/", 1)[-1] + "-dlq")["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    client.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})
    bring_failed_messages_back_soon(client, queue)
    send(client, queue, "bad", "good")
    mapping = EventSourceMapping(queue, lambda event, context: failing(event, "bad"))
    mapping.run_until_empty(timeout=20)
    assert (mapping.delivered, mapping.failed) == (1, 1)
    [message] = client.receive_message(QueueUrl=dead, WaitTimeSeconds=1)["Messages"]
    assert message["Body"] == "bad"
    client.delete_queue(QueueUrl=dead)


def test_a_record_has_the_shape_that_lambda_documents(client, queue):
    client.send_message(
        QueueUrl=queue,
        MessageBody="body",
        MessageAttributes={
            "colour": {"DataType": "String", "StringValue": "blue"},
            "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
    )
    events = []
    EventSourceMapping(queue, lambda event, context: events.append(event)).poll_once()
    [record] = events[0]["Records"]
    assert record["body"] == "body"
    assert record["md5OfBody"] == "841a2d689ad86bd1611447453c22c6fc"
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].startswith("arn:aws:sqs:us-east-1:")
    assert record["awsRegion"] == "us-east-1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert {"SentTimestamp", "ApproximateFirstReceiveTimestamp"} <= record["attributes"].keys()
    assert record["messageAttributes"]["colour"] == {
        "dataType": "String",
        "stringValue": "blue",
        "stringListValues": [],
        "binaryListValues": [],
    }
    assert base64.b64decode(record["messageAttributes"]["raw"]["binaryValue"]) == b"\x00\xff"
    assert record["receiptHandle"]
    assert record["messageId"]


def test_a_fifo_group_waits_while_one_of_its_batches_is_in_flight(client, request):
    url = client.create_queue(
        QueueName=f"f{abs(hash(request.node.nodeid))}.fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "30"},
    )["QueueUrl"]
    for number in range(4):
        client.send_message(QueueUrl=url, MessageBody=f"{number}", MessageGroupId=f"group-{number % 2}")
    order = []
    other_group_done = threading.Event()

    def handler(event, context):
        [record] = event["Records"]
        if record["body"] == "0":
            order.append("0 begins")
            other_group_done.wait(20)  # all that may be received meanwhile is received
        order.append(record["body"])
        if record["body"] == "3":
            other_group_done.set()

    with EventSourceMapping(url, handler, batch_size=1, maximum_concurrency=3) as mapping:
        mapping.run_until_empty(timeout=20)
    assert [step for step in order if step in ("1", "3")] == ["1", "3"]
    assert [step for step in order if step not in ("1", "3")] == ["0 begins", "0", "2"]
    assert order.index("3") < order.index("0") < order.index("2")
    client.delete_queue(QueueUrl=url)


def test_a_batching_window_gathers_more_than_ten(client, queue):
    send(client, queue, *map(str, range(14)))
    sizes = []
    mapping = EventSourceMapping(
        queue,
        lambda event, context: sizes.append(len(event["Records"])),
        batch_size=14,
        maximum_batching_window=5,
    )
    assert mapping.poll_once() == 14
    assert sizes == [14]
    assert mapping.delivered == 14
    assert counts(client, queue) == (0, 0)


def test_what_comes_within_the_batching_window_joins_the_batch(client, queue):
    send(client, queue, "first")
    bodies = []
    mapping = EventSourceMapping(
        queue,
        lambda event, context: bodies.append([record["body"] for record in event["Records"]]),
        batch_size=2,
        maximum_batching_window=60,  # the batch is full long before
    )
    poll = threading.Thread(target=mapping.poll_once)
    poll.start()
    until(lambda: counts(client, queue) == (0, 1))
    send(client, queue, "second")
    poll.join(20)
    assert bodies == [["first", "second"]]


def test_a_batching_window_ends_also_when_the_batch_is_not_full(client, queue):
    send(client, queue, "alone")
    mapping = EventSourceMapping(queue, lambda event, context: None, batch_size=100, maximum_batching_window=1)
    assert mapping.poll_once() == 1
    assert mapping.delivered == 1


def test_no_batch_is_larger_than_the_batch_size(client, queue):
    send(client, queue, *"abcde")
    sizes = []
    mapping = EventSourceMapping(queue, lambda event, context: sizes.append(len(event["Records"])), batch_size=2)
    mapping.run_until_empty(timeout=15)
    assert max(sizes) == 2
    assert mapping.invocations == len(sizes)
    assert mapping.delivered == 5


def test_the_observer_is_told_what_was_received_handled_and_deleted(client, queue):
    good, bad = send(client, queue, "good", "bad")
    told = []
    mapping = EventSourceMapping(
        queue,
        lambda event, context: failing(event, "bad"),
        batch_size=1,
        observer=lambda what, detail: told.append((what, detail["ids"], detail.get("failed"))),
    )
    mapping.poll_once()
    mapping.poll_once()
    of_good = [("received", [good], None), ("handled", [good], []), ("deleted", [good], None)]
    of_bad = [("received", [bad], None), ("handled", [bad], [bad]), ("deleted", [], None)]
    assert told in (of_good + of_bad, of_bad + of_good)


def test_the_observer_is_told_of_the_invocation_with_its_log(client, queue):
    send(client, queue, "a")
    invocations = []
    mapping = EventSourceMapping(
        queue,
        lambda event, context: {"n": len(event["Records"])},
        observer=lambda what, detail: what == "handled" and invocations.append(detail["invocation"]),
    )
    mapping.poll_once()
    assert invocations[0].result == {"n": 1}
    assert invocations[0].log[0].startswith("START RequestId: ")


def test_a_queue_that_does_not_exist_is_an_error(client, queue):
    mapping = EventSourceMapping(queue + "-of-nobody", lambda event, context: None)
    with pytest.raises(client.exceptions.QueueDoesNotExist):
        mapping.poll_once()


# What depends on no server in particular


def test_an_event_over_6_mb_is_split_and_nothing_is_lost(sqs, make_queue):
    queue = make_queue()
    for _ in range(8):
        sqs.send_message(QueueUrl=queue, MessageBody="x" * 1_000_000)
    sizes = []
    mapping = EventSourceMapping(queue, lambda event, context: sizes.append(len(json.dumps(event))))
    mapping.run_until_empty(timeout=30)
    assert mapping.delivered == 8
    assert len(sizes) == 2
    assert max(sizes) <= 6 * 1024 * 1024


def test_when_a_group_fails_in_one_part_of_a_split_batch_its_later_messages_wait(sqs, make_queue):
    queue = make_queue(FifoQueue="true", ContentBasedDeduplication="true")
    for number in range(8):
        sqs.send_message(QueueUrl=queue, MessageBody=f"{number}" * 1_000_000, MessageGroupId="g")
    handled = []

    def handler(event, context):
        handled.extend(record["body"][0] for record in event["Records"])
        raise RuntimeError("no")

    mapping = EventSourceMapping(queue, handler)
    mapping.poll_once()
    assert handled == list("012345")
    assert mapping.failed == 6
    assert counts(sqs, queue) == (0, 8)


def test_stop_finishes_the_batch_in_hand(sqs, make_queue):
    queue = make_queue()
    sqs.send_message(QueueUrl=queue, MessageBody="a")
    started, go_on = threading.Event(), threading.Event()

    def handler(event, context):
        started.set()
        go_on.wait(10)

    mapping = EventSourceMapping(queue, handler).start()
    assert started.wait(10)
    stopping = threading.Thread(target=mapping.stop)
    stopping.start()
    assert counts(sqs, queue) == (0, 1), "a message in flight was deleted before its handler was done"
    assert stopping.is_alive(), "stop() did not wait for the batch in hand"
    go_on.set()
    stopping.join(10)
    assert counts(sqs, queue) == (0, 0)
    assert mapping.delivered == 1


def test_stop_does_not_wait_for_the_batching_window(sqs, make_queue):
    queue = make_queue()
    sqs.send_message(QueueUrl=queue, MessageBody="a")
    mapping = EventSourceMapping(queue, lambda event, context: None, batch_size=100, maximum_batching_window=300)
    mapping.start()
    until(lambda: counts(sqs, queue) == (0, 1))
    stopping = threading.Thread(target=mapping.stop, daemon=True)
    stopping.start()
    stopping.join(20)
    assert not stopping.is_alive()
    assert mapping.delivered == 1


def test_after_stop_it_can_be_started_and_polled_again(sqs, make_queue):
    queue = make_queue()
    mapping = EventSourceMapping(queue, lambda event, context: None, batch_size=12, maximum_batching_window=30)
    for _ in range(2):
        with mapping:
            sqs.send_message(QueueUrl=queue, MessageBody="a")
            until(lambda: counts(sqs, queue) == (0, 1))
    assert mapping.delivered == 2
    for _ in range(12):
        sqs.send_message(QueueUrl=queue, MessageBody="a")
    assert mapping.poll_once() == 12  # it gathers a whole batch, as before
    mapping.stop()
    mapping.stop()


def test_what_is_running_is_not_started_twice(sqs, make_queue):
    with (
        EventSourceMapping(make_queue(), lambda event, context: None) as mapping,
        pytest.raises(RuntimeError, match=r"running already. Call stop\(\) first"),
    ):
        mapping.start()


@pytest.mark.parametrize("background", [True, False])
def test_as_many_handlers_run_at_once_as_maximum_concurrency_says(sqs, make_queue, background):
    queue = make_queue()
    for _ in range(3):
        sqs.send_message(QueueUrl=queue, MessageBody="a")
    together = threading.Barrier(3)  # passes only if three handlers wait here at the same time
    mapping = EventSourceMapping(
        queue, lambda event, context: together.wait(10) and None, batch_size=1, maximum_concurrency=3
    )
    with mapping if background else contextlib.nullcontext():
        mapping.run_until_empty(timeout=20) if not background else until(lambda: mapping.delivered == 3)
    assert (mapping.delivered, mapping.failed) == (3, 0)


def test_a_poller_outlives_an_outage_of_sqs_and_says_so_in_the_log(tmp_path, monkeypatch, caplog):
    aws = LocalAws(tmp_path)
    aws.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    arrived = threading.Event()
    with EventSourceMapping(queue, lambda event, context: arrived.set()):
        aws.stop()
        until(lambda: f"Polling {queue} failed, next try in 0.5 s" in caplog.text)
        aws.start()
        sqs.create_queue(QueueName="q")
        sqs.send_message(QueueUrl=queue, MessageBody="a")
        assert arrived.wait(20)
    aws.stop()


def test_a_queue_that_never_gets_empty_is_a_timeout_that_says_what_is_left(sqs, make_queue):
    queue = make_queue(VisibilityTimeout="0")
    sqs.send_message(QueueUrl=queue, MessageBody="a")
    mapping = EventSourceMapping(queue, lambda event, context: 1 / 0)
    with pytest.raises(TimeoutError, match=r"After 0\.5 s the queue still holds 1 waiting, 0 in flight and 0 delayed"):
        mapping.run_until_empty(timeout=0.5)


def test_it_waits_for_delayed_messages_too(sqs, make_queue):
    queue = make_queue(DelaySeconds="1")
    sqs.send_message(QueueUrl=queue, MessageBody="a")
    mapping = EventSourceMapping(queue, lambda event, context: None)
    mapping.run_until_empty(timeout=20)
    assert mapping.delivered == 1


def test_until_empty_it_never_sleeps_in_a_receive_past_the_return_of_a_message(sqs, make_queue):
    queue = make_queue(VisibilityTimeout="1")
    sqs.send_message(QueueUrl=queue, MessageBody="a")
    outcomes = iter([{"batchItemFailures": [{}]}, None])
    mapping = EventSourceMapping(queue, lambda event, context: next(outcomes))
    waits = []
    mapping._sqs.meta.events.register(
        "provide-client-params.sqs.ReceiveMessage", lambda params, **_: waits.append(params["WaitTimeSeconds"])
    )
    mapping.run_until_empty(timeout=20)
    assert (mapping.failed, mapping.delivered, set(waits)) == (1, 1, {0})


def test_the_largest_batch_that_aws_takes_is_taken():
    handler = print
    assert EventSourceMapping("http://127.0.0.1:1/q", handler, batch_size=10_000, maximum_batching_window=300)
    assert EventSourceMapping("http://127.0.0.1:1/q.fifo", handler, batch_size=10)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"batch_size": 0}, "1 to 10,000"),
        ({"batch_size": 10_001}, "1 to 10,000"),
        ({"batch_size": 11}, "maximum_batching_window of at least 1 second"),
        ({"maximum_batching_window": 301}, "0 to 300"),
        ({"maximum_concurrency": 0}, "at least 1"),
        ({"function_timeout": 0}, "more than 0"),
        ({"function_timeout": float("nan")}, "more than 0"),
        ({"function_timeout": 901}, "900"),
    ],
)
def test_what_aws_would_refuse_is_refused_with_the_rule(wrong, words):
    with pytest.raises(ValueError, match=words):
        EventSourceMapping("http://127.0.0.1:1/q", lambda event, context: None, **wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("queue_url", None),
        ("handler", "lambda_function.lambda_handler"),
        ("batch_size", "10"),
        ("batch_size", 1.5),
        ("batch_size", True),
        ("maximum_batching_window", "1"),
        ("report_batch_item_failures", "false"),
        ("function_timeout", "30"),
        ("maximum_concurrency", "2"),
        ("maximum_concurrency", 2.0),
        ("observer", "print"),
    ],
)
def test_a_setting_of_a_wrong_type_is_refused_by_its_name(name, value):
    with pytest.raises(TypeError, match=f"{name} must be .*{re.escape(repr(value))}"):
        EventSourceMapping(**{"queue_url": "http://127.0.0.1:1/q", "handler": print, name: value})


def test_a_function_may_not_take_longer_than_the_queues_visibility_timeout(client, queue):
    with pytest.raises(ValueError, match="function_timeout is 61 s.*visibility timeout 60 s"):
        EventSourceMapping(queue, print, function_timeout=61)
    bring_failed_messages_back_soon(client, queue)
    send(client, queue, "a")
    seconds = []
    mapping = EventSourceMapping(queue, lambda event, context: seconds.append(context.get_remaining_time_in_millis()))
    mapping.run_until_empty(timeout=15)
    assert 0 < seconds[0] <= 2000


def test_a_fifo_group_keeps_its_order_also_after_a_failure(client, request):
    url = client.create_queue(
        QueueName=f"f{abs(hash(request.node.nodeid))}.fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "1"},
    )["QueueUrl"]
    for number in range(8):
        client.send_message(QueueUrl=url, MessageBody=f"{number}", MessageGroupId="group")
    handled, fails = [], {"1", "3"}

    def handler(event, context):
        for position, record in enumerate(event["Records"]):
            if record["body"] in fails:
                fails.remove(record["body"])
                return failing(event, *(later["body"] for later in event["Records"][position:]))
            handled.append(record["body"])
        return None

    EventSourceMapping(url, handler, batch_size=5, maximum_concurrency=2).run_until_empty(timeout=30)
    assert handled == list("01234567")
    client.delete_queue(QueueUrl=url)


def test_moto_still_needs_its_fifo_queues_repaired():
    with mock_aws():
        sqs = boto3.client("sqs", endpoint_url="https://sqs.us-east-1.amazonaws.com")
        attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        url = sqs.create_queue(QueueName="q.fifo", Attributes=attributes)["QueueUrl"]
        for number in range(3):
            sqs.send_message(QueueUrl=url, MessageBody=f"{number}", MessageGroupId="group")
        for _ in range(2):  # received, and visible again at once
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2, VisibilityTimeout=0)
            time.sleep(0.01)
        assert answer["Messages"][0]["Body"] != "0", "moto keeps the order now: remove workshop/lab/fifo_order.py"


def test_a_fifo_queue_takes_no_batching_window():
    with pytest.raises(ValueError, match="FIFO queue takes no maximum_batching_window"):
        EventSourceMapping("http://127.0.0.1:1/q.fifo", lambda event, context: None, maximum_batching_window=1)


def test_a_fifo_queue_takes_batches_of_ten_at_the_most():
    with pytest.raises(ValueError, match="1 to 10 "):
        EventSourceMapping("http://127.0.0.1:1/q.fifo", lambda event, context: None, batch_size=11)


def test_a_message_between_two_counts_does_not_make_the_queue_look_empty(client, queue):
    send(client, queue, "moving")
    client.receive_message(QueueUrl=queue, VisibilityTimeout=1)
    handled = []
    mapping = EventSourceMapping(queue, lambda event, context: handled.extend(event["Records"]))
    answers = []

    def count_nothing_once(parsed, **call):
        answers.append(dict(parsed["Attributes"]))
        if len(answers) == 1:  # it was in flight when the waiting were counted, and waits when those in flight are
            parsed["Attributes"] = dict.fromkeys(parsed["Attributes"], "0")

    mapping._sqs.meta.events.register("after-call.sqs.GetQueueAttributes", count_nothing_once)
    mapping.run_until_empty(timeout=10)
    assert len(handled) == 1
    assert "1" in answers[0].values()


def test_until_empty_it_asks_for_the_counts_only_when_nothing_came(client, queue):
    send(client, queue, *map(str, range(20)))
    asked = []
    mapping = EventSourceMapping(queue, lambda event, context: None, batch_size=1)
    mapping._sqs.meta.events.register("before-call.sqs.*", lambda model, **_: asked.append(model.name))
    mapping.run_until_empty(timeout=20)
    counted = [number for number, name in enumerate(asked) if name == "GetQueueAttributes"][1:]  # 1 for the ARN
    assert [asked[number - 1] for number in counted if asked[number - 1] != "GetQueueAttributes"] == ["ReceiveMessage"]
