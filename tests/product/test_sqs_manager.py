"""SqSManager against a real SQS server (moto), through boto3."""

import json
import socket
import threading

import boto3
import pytest
from django.test.utils import override_settings
from django_site import bodies, in_threads

from workshop_django.sqs import SqSManager
from workshop_django.sqs.errors import (
    MessageNotJSON,
    MessageTooLarge,
    QueueDoesNotExist,
    QueueNotConfigured,
    SomeNotSent,
    SqsUnavailable,
)

pytest_plugins = ["django_site_fixtures"]

MiB = 1_048_576


def message(number: int, padding: int = 0) -> dict:
    return {
        "apps": [{"endpoint": "https://one.example/", "key": "a-secret"}],
        "data": {"n": number, "x": "." * padding},
    }


def numbers(received: list[str]) -> list[int]:
    return sorted(json.loads(body)["data"]["n"] for body in received)


def test_send_puts_the_message_into_the_queue_as_json_and_returns_its_id(sqs, queue_url):
    message_id = SqSManager.send(message(1))
    (received,) = sqs.receive_message(QueueUrl=queue_url)["Messages"]
    assert received["MessageId"] == message_id
    assert json.loads(received["Body"]) == message(1)


def test_every_character_arrives_also_those_that_sqs_forbids_in_a_body(sqs, queue_url):
    text = "olá 🚀 \x00 \x0b \x1f \ud800 \udfff \ufffe \uffff"
    SqSManager.send({"text": text})
    (body,) = bodies(sqs, queue_url)
    assert json.loads(body) == {"text": text}


@pytest.mark.parametrize(
    "msg",
    [
        {"n": float("nan")},
        {"n": float("inf")},
        {"n": object()},
        {("a", "b"): 1},
        ["a list"],
        '{"already": "text"}',
        None,
    ],
)
def test_what_is_not_json_or_no_object_is_refused_before_anything_is_sent(sqs, queue_url, msg):
    with pytest.raises(MessageNotJSON):
        SqSManager.send(msg)
    assert bodies(sqs, queue_url) == []


def test_a_message_that_contains_itself_is_refused(queue_url):
    msg = {}
    msg["msg"] = msg
    with pytest.raises(MessageNotJSON, match="ircular"):
        SqSManager.send(msg)


def test_a_message_of_exactly_one_mebibyte_is_sent_and_one_byte_more_is_refused_with_advice(sqs, queue_url):
    padding = MiB - len(json.dumps(message(1)))
    assert SqSManager.send(message(1, padding))
    with pytest.raises(MessageTooLarge, match=r"1,048,577 bytes.*1,048,576.*S3"):
        SqSManager.send(message(1, padding + 1))
    assert len(bodies(sqs, queue_url)) == 1


def test_a_queue_with_a_lower_limit_says_that_it_is_the_queues_limit(make_queue, django_site):
    with (
        override_settings(SQS_QUEUE_URL=make_queue(MaximumMessageSize="1024")),
        pytest.raises(MessageTooLarge, match="MaximumMessageSize"),
    ):
        SqSManager.send(message(1, 2000))


def test_send_many_returns_the_ids_in_the_order_given(sqs, queue_url):
    ids = SqSManager.send_many(message(number) for number in range(23))
    sent = {}
    while received := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        sent |= {entry["MessageId"]: json.loads(entry["Body"])["data"]["n"] for entry in received}
    assert [sent[message_id] for message_id in ids] == list(range(23))


def test_send_many_of_nothing_is_nothing(queue_url):
    assert SqSManager.send_many([]) == []


def test_send_many_asks_once_for_ten_messages_and_again_when_they_are_large_together(
    receiver, django_site, monkeypatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", receiver.url)

    def accept(request):
        entries = json.loads(request.body)["Entries"]
        successful = [{"Id": entry["Id"], "MessageId": f"id-{entry['Id']}"} for entry in entries]
        return 200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps({"Successful": successful}).encode()

    receiver.answer = accept
    with override_settings(SQS_QUEUE_URL=f"{receiver.url}/queue"):
        assert SqSManager.send_many([message(n) for n in range(25)]) == [f"id-{n}" for n in range(25)]
        assert [len(json.loads(request.body)["Entries"]) for request in receiver.requests] == [10, 10, 5]
        receiver.requests.clear()
        SqSManager.send_many([message(n, 400_000) for n in range(5)])
        assert [len(json.loads(request.body)["Entries"]) for request in receiver.requests] == [2, 2, 1]


def test_bad_messages_are_named_by_position_and_all_others_are_sent(sqs, queue_url):
    msgs = [message(n) for n in range(12)]
    msgs[3] = {"n": float("nan")}
    msgs[11] = message(11, 2 * MiB)
    with pytest.raises(SomeNotSent, match=r"2 of 12.*number 3: .*number 11: ") as caught:
        SqSManager.send_many(msgs)
    assert isinstance(caught.value.errors[3], MessageNotJSON)
    assert isinstance(caught.value.errors[11], MessageTooLarge)
    assert [n for n, message_id in enumerate(caught.value.message_ids) if message_id is None] == [3, 11]
    assert numbers(bodies(sqs, queue_url)) == [n for n in range(12) if n not in (3, 11)]


def test_a_batch_that_sqs_refuses_as_a_whole_loses_only_the_message_that_is_to_blame(sqs, make_queue, django_site):
    url = make_queue(MaximumMessageSize="1024")
    msgs = [message(n) for n in range(10)]
    msgs[6] = message(6, 2000)
    with override_settings(SQS_QUEUE_URL=url), pytest.raises(SomeNotSent) as caught:
        SqSManager.send_many(msgs)
    assert list(caught.value.errors) == [6]
    assert isinstance(caught.value.errors[6], MessageTooLarge)
    assert numbers(bodies(sqs, url)) == [n for n in range(10) if n != 6]


def test_an_entry_that_sqs_refuses_is_named_with_the_reason_that_sqs_gave(receiver, django_site, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", receiver.url)
    answer = {
        "Successful": [{"Id": "0", "MessageId": "id-0"}],
        "Failed": [
            {"Id": "1", "Code": "InvalidMessageContents", "Message": "bad characters", "SenderFault": True},
            {"Id": "2", "Code": "InternalError", "SenderFault": False},
        ],
    }
    receiver.answer = lambda _: (200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(answer).encode())
    with override_settings(SQS_QUEUE_URL=f"{receiver.url}/queue"), pytest.raises(SomeNotSent) as caught:
        SqSManager.send_many([message(n) for n in range(3)])
    assert caught.value.message_ids == ["id-0", None, None]
    assert "bad characters" in str(caught.value.errors[1])
    assert [caught.value.errors[n].permanent for n in (1, 2)] == [True, False]


def test_an_outage_in_the_middle_keeps_the_ids_of_what_was_sent_and_is_not_tried_again_for_each_batch(
    receiver, django_site, monkeypatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", receiver.url)

    def accept_the_first_batch(request):
        entries = json.loads(request.body)["Entries"]
        if entries[0]["Id"] != "0":
            return 503, {}, b"{}"
        successful = [{"Id": entry["Id"], "MessageId": f"id-{entry['Id']}"} for entry in entries]
        return 200, {}, json.dumps({"Successful": successful}).encode()

    receiver.answer = accept_the_first_batch
    with override_settings(SQS_QUEUE_URL=f"{receiver.url}/queue"), pytest.raises(SomeNotSent) as caught:
        SqSManager.send_many([message(n) for n in range(40)])
    assert caught.value.message_ids == [f"id-{n}" for n in range(10)] + [None] * 30
    assert sorted(caught.value.errors) == list(range(10, 40))
    assert len(receiver.requests) == 3  # the first batch, and the second with its one retry


def test_without_a_queue_url_it_names_the_setting(django_site):
    for send in (lambda: SqSManager.send(message(1)), lambda: SqSManager.send_many([message(1)])):
        with pytest.raises(QueueNotConfigured, match="SQS_QUEUE_URL is not set"):
            send()


def test_a_queue_that_does_not_exist_is_named_with_what_to_check(local_aws, django_site):
    url = f"{local_aws.endpoint_url}/123456789012/no-such-queue"
    with override_settings(SQS_QUEUE_URL=url):
        with pytest.raises(QueueDoesNotExist, match=r"no-such-queue.*AWS_REGION_NAME"):
            SqSManager.send(message(1))
        with pytest.raises(SomeNotSent) as caught:
            SqSManager.send_many([message(1)])
        assert isinstance(caught.value.errors[0], QueueDoesNotExist)


def test_where_nothing_listens_it_says_so(django_site, monkeypatch):
    with socket.socket() as bound:  # bound and not listening: connections are refused, and nobody else can have it
        bound.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with (
            override_settings(SQS_QUEUE_URL=f"{address}/queue"),
            pytest.raises(SqsUnavailable, match="Check the network"),
        ):
            SqSManager.send(message(1))


def test_no_error_shows_what_the_message_says(django_site, make_queue):
    with override_settings(SQS_QUEUE_URL=make_queue(MaximumMessageSize="1024")):
        for padding in (2000, 2 * MiB):
            with pytest.raises(SomeNotSent) as caught:
                SqSManager.send_many([message(1, padding)])
            assert "a-secret" not in str(caught.value)


def test_without_keys_in_the_settings_boto3_finds_credentials_by_itself(sqs, queue_url):
    with override_settings(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""):
        assert SqSManager.send(message(1))  # with those of the environment


def test_without_any_credentials_it_says_so(queue_url, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with (
        override_settings(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""),
        pytest.raises(SqsUnavailable, match="credentials"),
    ):
        SqSManager.send(message(1))


def test_forty_threads_share_one_client_and_every_message_arrives_once(sqs, queue_url, monkeypatch):
    made = []
    make = boto3.Session
    monkeypatch.setattr(boto3, "Session", lambda: made.append(threading.get_ident()) or make())
    with override_settings(SQS_QUEUE_URL=queue_url):  # forgets the client that there was
        ids = in_threads(lambda n: SqSManager.send(message(n)), range(80), threads=40)
    assert len(made) == 1
    assert len(set(ids)) == 80
    assert numbers(bodies(sqs, queue_url)) == list(range(80))
