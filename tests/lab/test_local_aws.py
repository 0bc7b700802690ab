"""The embedded AWS and the guard, tried with real processes."""

import json
import os
import subprocess
import sys

import boto3
import psutil
import pytest

from workshop.lab.local_aws import LocalAws
from workshop.lab.processes import Child, ProcessFailed


def test_it_listens_on_a_free_port_and_its_log_is_a_file(tmp_path):
    first, second = LocalAws(tmp_path / "1"), LocalAws(tmp_path / "2")
    first.start()
    second.start()
    assert first.endpoint_url != second.endpoint_url
    assert boto3.client("sqs", endpoint_url=first.endpoint_url).list_queues()["ResponseMetadata"]
    assert "POST /" in (tmp_path / "1" / "aws.log").read_text()
    first.stop()
    second.stop()


def test_stopped_and_started_again_it_has_the_same_address_and_is_empty(tmp_path):
    aws = LocalAws(tmp_path)
    aws.start()
    address = aws.endpoint_url
    boto3.client("sqs", endpoint_url=address).create_queue(QueueName="here")
    aws.stop()
    assert not aws.alive
    aws.start()
    assert aws.endpoint_url == address
    assert "QueueUrls" not in boto3.client("sqs", endpoint_url=address).list_queues()
    aws.stop()


def test_a_module_that_ends_while_starting_is_reported_with_the_end_of_its_log(tmp_path):
    child = Child("broken", "no_such_module", folder=tmp_path)
    with pytest.raises(ProcessFailed, match="No module named no_such_module"):
        child.start(ready=lambda: False)
    assert not (tmp_path / "broken.pid").exists()


def test_a_running_child_has_a_record_and_a_stopped_one_has_none(tmp_path):
    aws = LocalAws(tmp_path)
    aws.start()
    record = json.loads((tmp_path / "aws.pid").read_text())
    assert psutil.Process(record["pid"]).create_time() == record["create_time"]
    assert record["parent"] == os.getpid()
    aws.stop()
    assert not (tmp_path / "aws.pid").exists()
    assert not psutil.pid_exists(record["pid"])


PARENT = """
import pathlib, sys
from workshop.lab.local_aws import LocalAws
aws = LocalAws(pathlib.Path(sys.argv[1]))
aws.start()
print("started", flush=True)
sys.stdin.read()
"""


def test_kill_9_of_the_parent_leaves_no_child(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"started\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert children
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
