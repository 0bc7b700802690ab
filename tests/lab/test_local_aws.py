"""The embedded AWS: where it listens, and what is left when it stops."""

import boto3
import httpx
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


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_web_page_of_another_place_is_refused_whatever_name_it_uses(local_aws_server, headers):
    url = f"{local_aws_server.endpoint_url}/?Action=ListQueues"
    assert httpx.get(url, headers=headers).status_code == 403
    assert httpx.get(url).status_code == 200
    own = local_aws_server.endpoint_url.replace("127.0.0.1", "localhost")
    assert httpx.get(url, headers={"Host": own[7:], "Origin": own, "Sec-Fetch-Site": "same-origin"}).status_code == 200
