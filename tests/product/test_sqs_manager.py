"""SqSManager against a real SQS server (moto), through boto3."""

import json
import socket
import threading
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import boto3
import pytest
from django.core.checks import run_checks
from django.test.utils import override_settings
from django_site import bodies, in_threads

from workshop_django.sqs import SqSManager
from workshop_django.sqs.errors import (
    MessageIdInvalid,
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


def test_send_puts_the_message_into_the_queue_as_json_and_returns_its_sqs_id(sqs, queue_url):
    message_id = SqSManager.send({"id": "image-1-saved", **message(1)})
    (received,) = sqs.receive_message(QueueUrl=queue_url)["Messages"]
    assert received["MessageId"] == message_id
    assert json.loads(received["Body"]) == {"id": "image-1-saved", **message(1)}


def test_a_message_without_an_id_is_given_one_and_the_callers_dict_none(sqs, queue_url):
    msg = message(1)
    SqSManager.send_many([msg, msg])
    SqSManager.send(msg)
    assert msg == message(1)
    ids = {json.loads(body)["id"] for body in bodies(sqs, queue_url)}
    assert len({uuid.UUID(each) for each in ids}) == 3


@pytest.mark.parametrize("own", [None, 7, "", "two words", "é", "x" * 101, "line\n"])
def test_an_id_that_no_header_can_carry_is_refused(queue_url, own):
    with pytest.raises(MessageIdInvalid, match="1 to 100 characters"):
        SqSManager.send({"id": own, "data": {}})


def test_every_character_that_a_database_can_hold_arrives_also_those_that_sqs_forbids_in_a_body(sqs, queue_url):
    text = "olá 🚀 \x0b \x1f \ufffe \uffff \\u0000 \\ud800"
    SqSManager.send({"text": text})
    (body,) = bodies(sqs, queue_url)
    assert json.loads(body)["text"] == text


def test_dates_uuids_and_decimals_are_written_as_django_writes_them(sqs, queue_url):
    name, day = uuid.UUID(int=7), datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
    SqSManager.send({"id": name, "day": day, "price": Decimal("1.10")})
    (body,) = bodies(sqs, queue_url)
    assert json.loads(body) == {"id": str(name), "day": "2026-01-31T12:30:00Z", "price": "1.10"}


@pytest.mark.parametrize(
    "msg",
    [
        {"n": float("nan")},
        {"n": float("inf")},
        {"n": object()},
        {("a", "b"): 1},
        {"text": "a\x00b"},
        {"text": ["\\\x00"]},
        {"text": "half a rocket \ud83d"},
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
    named = {"id": "exactly", **message(1)}
    named["data"]["x"] = "." * (MiB - len(json.dumps(named)))
    assert SqSManager.send(named)
    named["data"]["x"] += "."
    with pytest.raises(MessageTooLarge, match=r"1,048,577 bytes.*1,048,576.*S3"):
        SqSManager.send(named)
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


@pytest.fixture
def stand_in(receiver, django_site, monkeypatch):
    """A server in SQS's place: its `answer` to each request is a function of the entries."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", receiver.url)
    stand_in = SimpleNamespace(requests=receiver.requests, answer=accepted)

    def answer(request):
        asked = json.loads(request.body)
        answer = stand_in.answer(asked.get("Entries", asked))
        if isinstance(answer, dict):
            return 200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(answer).encode()
        return answer

    receiver.answer = answer
    with override_settings(SQS_QUEUE_URL=f"{receiver.url}/queue"):
        yield stand_in


def accepted(entries):
    numbers = {entry["Id"]: json.loads(entry["MessageBody"])["data"]["n"] for entry in entries}
    return {"Successful": [{"Id": each, "MessageId": f"id-{n}"} for each, n in numbers.items()]}


def test_send_many_asks_once_for_ten_messages_and_again_when_they_are_large_together(stand_in):
    assert SqSManager.send_many([message(n) for n in range(25)]) == [f"id-{n}" for n in range(25)]
    assert [len(json.loads(request.body)["Entries"]) for request in stand_in.requests] == [10, 10, 5]
    stand_in.requests.clear()
    SqSManager.send_many([message(n, 400_000) for n in range(5)])
    assert [len(json.loads(request.body)["Entries"]) for request in stand_in.requests] == [2, 2, 1]


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


def test_an_entry_that_sqs_refuses_is_named_with_the_reason_that_sqs_gave(stand_in):
    stand_in.answer = lambda entries: {
        "Successful": [{"Id": "0", "MessageId": "id-0"}],
        "Failed": [
            {"Id": "1", "Code": "InvalidMessageContents", "Message": "bad characters", "SenderFault": True},
            {"Id": "2", "Code": "InternalError", "SenderFault": False},
        ],
    }
    with pytest.raises(SomeNotSent) as caught:
        SqSManager.send_many([message(n) for n in range(3)])
    assert caught.value.message_ids == ["id-0", None, None]
    assert "bad characters" in str(caught.value.errors[1])
    assert [caught.value.errors[n].permanent for n in (1, 2)] == [True, False]


HTML = (200, {"Content-Type": "text/html"}, b"<html>Please log in to the hotel's network</html>")


@pytest.mark.parametrize(
    "answer",
    [HTML, {}, {"Successful": [], "Failed": []}, {"Successful": [{"Id": "0"}]}, {"Successful": [{"Id": "9"}]}],
)
def test_an_answer_that_does_not_account_for_a_message_is_an_error_that_carries_it(stand_in, answer):
    stand_in.answer = lambda entries: answer
    with pytest.raises(SomeNotSent) as several:
        SqSManager.send_many([message(1), message(2)])
    assert [type(error) for error in several.value.errors.values()] == [SqsUnavailable, SqsUnavailable]
    with pytest.raises(SqsUnavailable) as one:
        SqSManager.send(message(3))
    assert not one.value.permanent

    stand_in.answer = accepted
    stand_in.requests.clear()
    SqSManager.send_many(several.value.messages + one.value.messages)  # the second try is of the same messages
    second_try = [json.loads(entry["MessageBody"]) for entry in json.loads(stand_in.requests[0].body)["Entries"]]
    assert second_try == several.value.messages + one.value.messages
    assert all(uuid.UUID(msg["id"]) for msg in second_try)


def test_an_outage_in_the_middle_keeps_the_ids_of_what_was_sent_and_is_met_once(stand_in):
    stand_in.answer = lambda entries: accepted(entries) if len(stand_in.requests) == 1 else (503, {}, b"{}")
    with pytest.raises(SomeNotSent) as caught:
        SqSManager.send_many([message(n) for n in range(40)])
    assert caught.value.message_ids == [f"id-{n}" for n in range(10)] + [None] * 30
    assert sorted(caught.value.errors) == list(range(10, 40))
    assert [msg["data"]["n"] for msg in caught.value.messages] == list(range(10, 40))
    assert len(stand_in.requests) == 2


def test_a_wrong_clock_is_named_with_both_times(stand_in):
    reason = b'{"__type": "InvalidSignatureException", "message": "Signature expired: 20260101T000000Z is now earlier"}'
    stand_in.answer = lambda asked: (403, {"Date": "Thu, 01 Jan 2026 00:20:00 GMT"}, reason)
    with pytest.raises(SqsUnavailable, match=r"clock is wrong.*00:20:00 GMT"):
        SqSManager.send(message(1))


def test_a_fifo_queue_is_a_wrong_setting_for_the_check_and_for_the_first_send(django_site, make_queue):
    with override_settings(SQS_QUEUE_URL=make_queue(FifoQueue="true")):
        with pytest.raises(QueueNotConfigured, match="FIFO"):
            SqSManager.send(message(1))
        assert "sqs.E003" in [found.id for found in run_checks()]


def test_temporary_credentials_are_sent_with_their_token(stand_in):
    with override_settings(
        AWS_ACCESS_KEY_ID="ASIAEXAMPLE", AWS_SECRET_ACCESS_KEY="secret", AWS_SESSION_TOKEN="the-token"
    ):
        SqSManager.send_many([message(1)])
    assert stand_in.requests[0].headers["X-Amz-Security-Token"] == "the-token"


def test_without_a_queue_url_it_names_the_setting(django_site):
    with pytest.raises(QueueNotConfigured, match="SQS_QUEUE_URL is not set"):
        SqSManager.send(message(1))


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
