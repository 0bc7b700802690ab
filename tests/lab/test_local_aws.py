"""The embedded AWS: where it listens, what is left when it stops, and what is changed in moto."""

import json

import boto3
import httpx
import moto.sqs.models
import pytest
from moto import mock_aws

from workshop.lab import moto_speed_up
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


KINDS = {
    "standard": ("q", {}),
    "fifo": ("q.fifo", {"FifoQueue": "true", "ContentBasedDeduplication": "true"}),
    "encrypted": ("q", {"KmsMasterKeyId": "alias/aws/sqs"}),
    "with policies": (
        "q",
        {
            "Policy": json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny"}]}),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead"}),
        },
    ),
}


def seen_of_a_queue(sqs, name, attributes):
    """What a client sees of a queue in which a message is in flight, one delayed, and one waits."""
    sqs.create_queue(QueueName="dead")
    if "RedrivePolicy" in attributes:
        attributes = attributes | {"RedrivePolicy": attributes["RedrivePolicy"].replace("}", ', "maxReceiveCount": 3}')}
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    for number in range(3):
        group = {"MessageGroupId": f"{number}"} if name.endswith(".fifo") else {"DelaySeconds": 900 * (number == 2)}
        sqs.send_message(QueueUrl=url, MessageBody=f"{number}", **group)
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)["Messages"]
    asked = ["All"], ["QueueArn", "ApproximateNumberOfMessages", "RedrivePolicy", "FifoQueue", "KmsMasterKeyId"]
    seen = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"] for names in asked]
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=url, ReceiptHandle="never given")
    for _ in range(2):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=received[0]["ReceiptHandle"])
    seen.append(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])
    sqs.delete_queue(QueueUrl=url)
    return [{name: value for name, value in attributes.items() if "Timestamp" not in name} for attributes in seen]


@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_of_the_local_aws_looks_as_motos_own(local_aws_server, kind):
    ours = seen_of_a_queue(boto3.client("sqs", endpoint_url=local_aws_server.endpoint_url), *KINDS[kind])
    with mock_aws():
        motos = seen_of_a_queue(boto3.client("sqs", endpoint_url="https://sqs.us-east-1.amazonaws.com"), *KINDS[kind])
    assert ours == motos
    assert ours[0]["ApproximateNumberOfMessagesNotVisible"] == "1"


QUEUE = [
    "attributes",
    "messages",
    "approximate_number_of_messages_not_visible",
    "approximate_number_of_messages_delayed",
]


def test_moto_still_needs_its_speed_up(monkeypatch):
    clock = moto.sqs.models.unix_time_millis
    looks = []
    for module in (moto.sqs.models, moto_speed_up):
        monkeypatch.setattr(module, "unix_time_millis", lambda: looks.append(1) or clock())
    with mock_aws():
        sqs = boto3.client("sqs", endpoint_url="https://sqs.us-east-1.amazonaws.com")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": f"{n}", "MessageBody": "-"} for n in range(10)])
        looks.clear()
        sqs.send_message(QueueUrl=url, MessageBody="-")
        assert len(looks) > 10, "a send looks at no other message now: remove workshop/lab/moto_speed_up.py"
        for owner, names in ((moto.sqs.models.Queue, QUEUE), (moto.sqs.models.Message, ["had_receipt_handle"])):
            for name in names:
                monkeypatch.setattr(owner, name, getattr(owner, name))  # so that it is taken back after this test
        moto_speed_up.speed_up()
        looks.clear()
        sqs.send_message(QueueUrl=url, MessageBody="-")
        assert len(looks) == 1
