"""The embedded AWS: where it listens, and what is left when it stops."""

import boto3
import pytest

from workshop.lab.local_aws import LocalAws


@pytest.fixture
def aws(tmp_path):
    aws = LocalAws(tmp_path)
    aws.start()
    yield aws
    aws.stop()


def test_it_listens_on_a_port_of_its_own_and_comes_back_there_empty(aws, local_aws_server, tmp_path):
    address = aws.endpoint_url
    assert address != local_aws_server.endpoint_url
    boto3.client("sqs", endpoint_url=address).create_queue(QueueName="here")
    assert "POST /" in (tmp_path / "aws.log").read_text()
    aws.stop()
    assert not aws.alive
    aws.start()
    assert aws.endpoint_url == address
    assert "QueueUrls" not in boto3.client("sqs", endpoint_url=address).list_queues()
