"""The two IAM policies of the pipeline, enforced by moto: Django may send, the function may receive, no one else.

moto checks the action and the resource of each signed request against the policies of its user or role. In two
places it grants less than AWS does: see `as_aws_reads`.
"""

import itertools
import json
from contextlib import contextmanager

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError
from django.test.utils import override_settings

from workshop.cloud.deployment import TEMPLATE
from workshop.folders import CHECKOUT
from workshop.lab.local_aws import LocalAws
from workshop.names import ACCOUNT_ID, REGION
from workshop_django.sqs import SqSManager
from workshop_django.sqs.errors import SqsUnavailable

QUEUE = "image-processing-sync"
QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{QUEUE}"
LOG_GROUP_ARN = f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:/aws/lambda/func_sqs_sync:*"

# What each principal tries: a name, and the call on (client, url of the queue).
ATTEMPTS = {
    "send": lambda sqs, url: sqs.send_message(QueueUrl=url, MessageBody="m"),
    "send a batch": lambda sqs, url: sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "m"}]),
    "find the URL": lambda sqs, url: sqs.get_queue_url(QueueName=QUEUE),
    "read attributes": lambda sqs, url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]),
    "receive": lambda sqs, url: sqs.receive_message(QueueUrl=url),
    "delete": lambda sqs, url: sqs.delete_message(QueueUrl=url, ReceiptHandle="none"),
    "delete a batch": lambda sqs, url: sqs.delete_message_batch(
        QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": "none"}]
    ),
    "change visibility": lambda sqs, url: sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle="none", VisibilityTimeout=0
    ),
    "purge": lambda sqs, url: sqs.purge_queue(QueueUrl=url),
    "set attributes": lambda sqs, url: sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "1"}),
    "delete the queue": lambda sqs, url: sqs.delete_queue(QueueUrl=url),
    "list queues": lambda sqs, url: sqs.list_queues(),
    "create a queue": lambda sqs, url: sqs.create_queue(QueueName="new"),
}


_number = itertools.count()


class StrictAws:
    """A moto whose policies count in a `with aws.enforcing()` block."""

    def __init__(self, server):
        self.endpoint_url = server.endpoint_url
        sqs = self.client("sqs", {})
        self.queue, self.dead_letters, self.another = (
            sqs.create_queue(QueueName=name)["QueueUrl"] for name in (QUEUE, f"{QUEUE}-dlq", "another")
        )

    def client(self, service, credentials):
        return boto3.client(service, endpoint_url=self.endpoint_url, **credentials)

    @contextmanager
    def enforcing(self):
        """moto's own switch: how many requests it lets pass before it begins to check them."""
        switch = f"{self.endpoint_url}/moto-api/reset-auth"
        httpx.post(switch, content="0").raise_for_status()
        try:
            yield
        finally:
            httpx.post(switch, content="inf").raise_for_status()


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    server = LocalAws(tmp_path_factory.mktemp("aws"))
    server.start()
    yield StrictAws(server)
    server.stop()


def credentials_of_user(aws, policy):
    """The access key of a new user with that policy and nothing else."""
    iam = aws.client("iam", {})
    name = f"django-{next(_number)}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="policy", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


def role_of_the_template():
    """The function's, as the template has it."""
    from cfnlint.decode.cfn_yaml import load  # here, for it takes seconds, and every worker reads this file

    return load(str(TEMPLATE))["Resources"]["Role"]["Properties"]


def credentials_of_function(aws, policy):
    """Temporary credentials of a role with that policy and nothing else, as Lambda hands them to a function."""
    iam = aws.client("iam", {})
    trust = role_of_the_template()["AssumeRolePolicyDocument"]
    name = f"function-{next(_number)}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=json.dumps(policy))
    assumed = aws.client("sts", {}).assume_role(RoleArn=role["Arn"], RoleSessionName="func_sqs_sync")["Credentials"]
    return {
        "aws_access_key_id": assumed["AccessKeyId"],
        "aws_secret_access_key": assumed["SecretAccessKey"],
        "aws_session_token": assumed["SessionToken"],
    }


def sender_policy():
    return json.loads((CHECKOUT / "infra" / "sender-policy.json").read_text(encoding="utf-8"))


def function_policy():
    """The role's policy as it stands in the template, with the ARNs that CloudFormation would put in."""
    (policy,) = role_of_the_template()["Policies"]
    document = json.loads(json.dumps(policy["PolicyDocument"]))
    queue, logs = document["Statement"]
    assert queue["Resource"] == {"Fn::GetAtt": ["Queue", "Arn"]}
    queue["Resource"] = QUEUE_ARN
    assert "log-group:/aws/lambda/${FunctionName}:*" in logs["Resource"]["Fn::Sub"]
    logs["Resource"] = LOG_GROUP_ARN
    return document


def as_aws_reads(policy):
    """The policy with what AWS reads into it and moto does not.

    On AWS a permission for SendMessage or DeleteMessage is one for its batch, too, which no policy can name:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html
    moto does not see which queue a GetQueueUrl names.
    """
    for statement in list(policy["Statement"]):
        named = set(statement["Action"])
        statement["Action"] += [f"{action}Batch" for action in named & {"sqs:SendMessage", "sqs:DeleteMessage"}]
        if "sqs:GetQueueUrl" in named:
            policy["Statement"].append({"Effect": "Allow", "Action": ["sqs:GetQueueUrl"], "Resource": "*"})
    return policy


def allowed(aws, credentials, url):
    """The names of the attempts on the queue at `url` that IAM lets pass, whatever SQS then says to them."""
    sqs = aws.client("sqs", credentials)
    passed = set()
    with aws.enforcing():
        for name, attempt in ATTEMPTS.items():
            try:
                attempt(sqs, url)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 403:
                    continue
            passed.add(name)
    return passed


SENDING = {"send", "send a batch", "find the URL", "read attributes"}
RECEIVING = {"receive", "delete", "delete a batch", "read attributes"}


def test_djangos_key_may_send_and_look_and_nothing_else(aws):
    assert allowed(aws, credentials_of_user(aws, as_aws_reads(sender_policy())), aws.queue) == SENDING


def test_the_functions_role_may_receive_and_delete_and_nothing_else(aws):
    assert allowed(aws, credentials_of_function(aws, as_aws_reads(function_policy())), aws.queue) == RECEIVING


def test_word_for_word_the_senders_policy_allows_sending_and_denies_receiving(aws):
    passed = allowed(aws, credentials_of_user(aws, sender_policy()), aws.queue)
    assert passed == {"send", "read attributes"}


def test_word_for_word_the_functions_policy_allows_receiving_and_denies_sending(aws):
    passed = allowed(aws, credentials_of_function(aws, function_policy()), aws.queue)
    assert passed == {"receive", "delete", "read attributes"}


def test_neither_may_touch_the_dead_letter_queue_or_another_one(aws):
    # Without as_aws_reads, for there GetQueueUrl holds for every queue.
    user, function = credentials_of_user(aws, sender_policy()), credentials_of_function(aws, function_policy())
    for url in (aws.dead_letters, aws.another):
        assert allowed(aws, user, url) == set()
        assert allowed(aws, function, url) == set()


def test_a_policy_as_broad_as_the_guides_lets_djangos_key_read_and_delete_messages(aws):
    policy = sender_policy()
    policy["Statement"][0]["Action"] += ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
    assert allowed(aws, credentials_of_user(aws, as_aws_reads(policy)), aws.queue) == SENDING | RECEIVING


def test_a_key_that_nobody_has_may_nothing(aws):
    assert allowed(aws, {"aws_access_key_id": "AKIAUNKNOWN", "aws_secret_access_key": "x"}, aws.queue) == set()


def test_sqsmanager_works_with_the_senders_policy(aws, django_site, monkeypatch):
    credentials = credentials_of_user(aws, as_aws_reads(sender_policy()))
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    theirs = {name.upper(): value for name, value in credentials.items()}
    with override_settings(SQS_QUEUE_URL=aws.queue, **theirs), aws.enforcing():
        assert SqSManager.send({"number": 1})
        assert len(SqSManager.send_many([{"number": 2}, {"number": 3}])) == 2


def test_sqsmanager_says_which_permission_a_key_lacks(aws, django_site, monkeypatch):
    credentials = credentials_of_user(aws, function_policy())
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    theirs = {name.upper(): value for name, value in credentials.items()}
    with (
        override_settings(SQS_QUEUE_URL=aws.queue, **theirs),
        aws.enforcing(),
        pytest.raises(SqsUnavailable, match="credentials that may call sqs:SendMessage"),
    ):
        SqSManager.send({"number": 1})
