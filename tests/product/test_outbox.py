"""The outbox: a message is sent if, and only if, what it tells of was committed, also when SQS is away."""

import json
import shutil
from datetime import timedelta

import boto3
import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import override_settings
from django.utils import timezone
from django_site import bodies, in_threads, save_image

from workshop.lab.local_aws import LocalAws


@pytest.fixture
def outbox(django_site):
    from workshop_django.sqs import outbox

    return outbox


@pytest.fixture
def rows(django_site):
    from workshop_django.sqs.models import OutboxMessage

    return OutboxMessage.objects


@pytest.fixture
def aws_that_can_stop(django_site, tmp_path, monkeypatch):
    """A local AWS of this test's own, and the settings and environment that lead to its queue."""
    aws = LocalAws(tmp_path / "aws")
    aws.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    url = boto3.client("sqs").create_queue(QueueName="image-processing-sync")["QueueUrl"]
    with override_settings(SQS_QUEUE_URL=url):
        yield aws, url
    aws.stop()


def image_ids(received: list[str]) -> list[int]:
    return sorted(json.loads(body)["data"]["image_id"] for body in received)


def test_saving_an_image_sends_its_message_once_to_every_endpoint_with_its_key(sqs, queue_url, rows):
    with override_settings(SYNC_ENDPOINTS=["https://one.example/x", "https://two.example/y|their-key"], APP_KEY="ours"):
        image = save_image()
    (body,) = bodies(sqs, queue_url)
    row = rows.get()
    assert json.loads(body) == {
        "id": row.idempotency_key,
        "apps": [
            {"endpoint": "https://one.example/x", "key": "ours"},
            {"endpoint": "https://two.example/y", "key": "their-key"},
        ],
        "data": {"image_id": image.pk},
    }
    assert row.body == {"id": row.idempotency_key, "data": {"image_id": image.pk}}  # and no key
    assert row.sent_at
    assert row.message_id
    assert row.state == "sent"


def test_saving_an_image_again_sends_nothing(sqs, queue_url):
    image = save_image()
    image.title = "another title"
    image.save()
    assert len(bodies(sqs, queue_url)) == 1


def test_without_endpoints_nothing_is_stored_to_be_sent(queue_url, rows):
    with override_settings(SYNC_ENDPOINTS=[]):
        save_image()
    assert not rows.exists()


def test_a_rollback_sends_nothing_and_leaves_nothing(sqs, queue_url, rows):
    with transaction.atomic():
        save_image()
        transaction.set_rollback(True)
    assert not rows.exists()
    assert bodies(sqs, queue_url) == []


def test_the_image_and_its_message_are_stored_together_or_not_at_all(queue_url, rows, monkeypatch):
    from workshop_django.gallery.models import Image

    monkeypatch.setattr(rows.model, "save", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_image()
    assert not Image.objects.exists()


def test_ten_images_saved_while_sqs_is_stopped_are_delivered_once_each_by_one_relay_afterwards(
    aws_that_can_stop, outbox, rows
):
    from workshop_django.gallery.models import Image

    aws, url = aws_that_can_stop
    aws.stop()
    saved = [save_image().pk for _ in range(10)]
    assert Image.objects.count() == 10
    assert rows.filter(sent_at=None).count() == 10
    assert rows.exclude(last_error="").count() == 1  # the others did not wait for the same outage
    aws.start()
    sqs = boto3.client("sqs")
    sqs.create_queue(QueueName="image-processing-sync")  # moto forgot it; a real queue would still be there
    relayed = outbox.relay()
    assert (relayed.sent, relayed.errors) == (10, {})
    assert image_ids(bodies(sqs, url)) == saved
    assert outbox.relay().sent == 0
    assert set(rows.values_list("last_error", flat=True)) == {""}


def test_two_relays_at_once_send_each_message_once(sqs, queue_url, outbox, rows):
    rows.bulk_create(rows.model(body={"apps": [], "data": {"image_id": n}}) for n in range(60))
    relayed = in_threads(lambda _: outbox.relay(), range(4), threads=4)
    assert sum(one.sent for one in relayed) == 60
    assert image_ids(bodies(sqs, queue_url)) == list(range(60))


def test_a_message_that_the_queue_never_takes_keeps_its_error_and_rests_and_blocks_no_other(
    sqs, make_queue, outbox, rows
):
    url = make_queue(MaximumMessageSize="1024")
    too_large = rows.create(body={"data": {"image_id": 0}, "padding": "." * 2000}, attempts=9)  # it rests for long
    rows.bulk_create(rows.model(body={"data": {"image_id": n}}) for n in range(1, 31))
    with override_settings(SQS_QUEUE_URL=url):
        relayed = outbox.relay()
        assert relayed.sent == 30
        assert list(relayed.errors) == [too_large.pk]
        assert outbox.relay().errors == {}  # it rests
    assert image_ids(bodies(sqs, url)) == list(range(1, 31))
    too_large.refresh_from_db()
    assert "MaximumMessageSize" in too_large.last_error
    assert too_large.not_before > timezone.now()
    assert too_large.state == "waiting after a failure"


def test_what_a_sender_that_died_had_claimed_is_sent_when_the_claim_has_run_out(sqs, queue_url, outbox, rows):
    now = timezone.now()
    rows.create(body={"data": {"image_id": 1}}, attempts=1, not_before=now - timedelta(seconds=1))
    rows.create(body={"data": {"image_id": 2}}, attempts=1, not_before=now + timedelta(seconds=30))
    assert outbox.relay().sent == 1
    assert image_ids(bodies(sqs, queue_url)) == [1]


def test_a_database_that_fails_after_the_commit_does_not_fail_the_save(queue_url, rows):
    def fails_to_claim(execute, sql, params, many, context):
        if sql.startswith('UPDATE "sqs_outboxmessage"'):
            raise OperationalError("the database went away")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fails_to_claim):
        image = save_image()
    assert image.pk
    assert rows.get().sent_at is None


def test_without_a_queue_the_save_succeeds_and_the_row_says_why_it_waits(outbox, rows):
    save_image()
    assert "SQS_QUEUE_URL is not set" in rows.get().last_error
    relayed = outbox.relay()
    assert relayed.sent == 0
    assert len(relayed.errors) == 1


def test_with_several_databases_a_message_goes_with_the_transaction_of_its_own(
    sqs, queue_url, outbox, rows, migrated_database, tmp_path
):
    shutil.copyfile(migrated_database, tmp_path / "second.sqlite3")
    connections.databases["second"] = connections.databases["default"] | {"NAME": str(tmp_path / "second.sqlite3")}
    try:
        for image_id, kept, on_commit in ((1, False, True), (2, True, True), (3, True, False)):
            with override_settings(SQS_SEND_ON_COMMIT=on_commit), transaction.atomic(using="second"):
                outbox.enqueue({"data": {"image_id": image_id}}, using="second")
                transaction.set_rollback(not kept, using="second")
        assert image_ids(bodies(sqs, queue_url)) == [2]
        with pytest.raises(RuntimeError, match="durable"), transaction.atomic(using="second"):
            outbox.relay(using="second")
        with transaction.atomic():  # another database's is none of its business
            call_command("relay_outbox", database="second")
        assert image_ids(bodies(sqs, queue_url)) == [3]
        assert not rows.exists()
    finally:
        connections["second"].close()
        del connections["second"], connections.databases["second"]


def test_eight_threads_save_at_once_and_every_message_arrives_once(sqs, queue_url):
    saved = in_threads(lambda n: save_image().pk, range(40))
    assert image_ids(bodies(sqs, queue_url)) == sorted(saved)
