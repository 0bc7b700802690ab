"""manage.py relay_outbox, as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from django_site import bodies, child_environment

from workshop.lab.local_aws import LocalAws

MANAGE = Path(__file__).parent.parent.parent / "workshop_django" / "manage.py"


@pytest.fixture
def rows(django_site):
    from workshop_django.sqs.models import OutboxMessage

    return OutboxMessage.objects


@pytest.fixture
def start(django_site):
    """start(queue_url, *arguments) -> the running command; ended after the test whatever happens."""
    started = []

    def start(queue_url, *arguments):
        process = subprocess.Popen(
            [sys.executable, MANAGE, "relay_outbox", *arguments],
            env=child_environment(**django_site.environment, SQS_QUEUE_URL=queue_url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(happened, timeout=60):
    deadline = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def add(rows, count):
    rows.bulk_create(rows.model(body={"data": {"n": n}}) for n in range(count))


def test_two_at_once_send_each_message_once_and_say_how_many(sqs, queue_url, rows, start):
    add(rows, 40)
    both = [start(queue_url), start(queue_url)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(int(text.split()[1]) for text in said) == 40
    assert sorted(json.loads(body)["data"]["n"] for body in bodies(sqs, queue_url)) == list(range(40))


def test_it_fails_and_says_why_when_something_could_not_be_sent(rows, start, local_aws):
    add(rows, 1)
    process = start(f"{local_aws.endpoint_url}/123456789012/no-such-queue")
    said, complained = process.communicate()
    assert process.returncode == 1
    assert "sent 0" in said
    assert "There is no queue at" in complained
    assert "Traceback" not in complained


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a process can handle")
def test_watch_outlives_an_outage_sends_what_comes_and_stops_cleanly_when_asked(tmp_path, monkeypatch, rows, start):
    aws = LocalAws(tmp_path / "aws")
    aws.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    url = boto3.client("sqs").create_queue(QueueName="watched")["QueueUrl"]
    aws.stop()
    add(rows, 3)
    both = [start(url, "--watch", "--interval", "0.1") for _ in range(2)]
    until(lambda: rows.filter(attempts__gte=2).count() == 3)  # they have failed, and are still there
    aws.start()
    boto3.client("sqs").create_queue(QueueName="watched")
    until(lambda: rows.filter(sent_at=None).count() == 0)
    for process, name in zip(both, (signal.SIGINT, signal.SIGTERM), strict=True):
        process.send_signal(name)
    for process in both:
        said, complained = process.communicate(timeout=20)
        assert process.returncode == 0
        assert said.endswith("Stopped.\n")
        assert "Traceback" not in complained
    assert len(bodies(boto3.client("sqs"), url)) == 3
    aws.stop()
