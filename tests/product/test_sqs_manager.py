"""SqSManager against a real SQS server (moto), through boto3."""

import json
import socket
import threading
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import boto3
import pytest
from django.test.utils import override_settings
from django_site import bodies, in_threads

from workshop_django.sqs import SqSManager
from workshop_django.sqs.errors import (
    MessageTooLarge,
    QueueDoesNotExist,
    SomeNotSent,
    SqsUnavailable,
)

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


def test_a_batch_that_sqs_refuses_as_a_whole_loses_only_the_message_that_is_to_blame(sqs, make_queue, django_site):
    url = make_queue(MaximumMessageSize="1024")
    msgs = [message(n) for n in range(10)]
    msgs[6] = message(6, 2000)
    with override_settings(SQS_QUEUE_URL=url), pytest.raises(SomeNotSent) as caught:
        SqSManager.send_many(msgs)
    assert list(caught.value.errors) == [6]
    assert isinstance(caught.value.errors[6], MessageTooLarge)
    assert numbers(bodies(sqs, url)) == [n for n in range(10) if n != 6]


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
