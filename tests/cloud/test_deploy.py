"""deploy and destroy: against moto as it is, and against a CloudFormation that answers as AWS's does in trouble."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from urllib.parse import parse_qs

import pytest

from workshop import run_folders
from workshop.cloud import aws_account, env_file
from workshop.cloud.aws_account import AwsError, identify, use_real
from workshop.cloud.choices import Settings, SettingsError, load
from workshop.cloud.deployment import (
    TAG,
    WHAT_IT_COSTS,
    DeploymentError,
    deploy,
    destroy,
    waiting_messages,
)
from workshop.cloud.packaging import Package, package_installed
from workshop.folders import CHECKOUT
from workshop.lab.local_aws import LocalAws


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return package_installed(folder=tmp_path_factory.mktemp("package"))


@pytest.fixture
def account(local_aws):
    account = identify()
    yield account
    destroy(account, say=lambda text: None, poll_interval=0.05)


class Said(list):
    """Keeps what a command says."""

    @property
    def text(self):
        return "\n".join(self)

    @property
    def commands(self):
        return [line.removeprefix("$ ") for line in self if line.startswith("$ ")]


@pytest.fixture
def said():
    return Said()


def deploy_here(account, made, said, **arguments):
    arguments = {"endpoint_allowlist": "127.0.0.1", "poll_interval": 0.05, **arguments}
    return deploy(account, made, say=said.append, **arguments)


def everything_in(account):
    """What a deploy could have left in the account."""
    return {
        "queues": account.client("sqs").list_queues().get("QueueUrls", []),
        "functions": account.client("lambda").list_functions()["Functions"],
        "mappings": account.client("lambda").list_event_source_mappings()["EventSourceMappings"],
        "roles": account.client("iam").list_roles()["Roles"],
        "log groups": account.client("logs").describe_log_groups()["logGroups"],
        "buckets": account.client("s3").list_buckets()["Buckets"],
        "stacks": [
            stack["StackName"]
            for stack in account.client("cloudformation").describe_stacks()["Stacks"]
            if stack["StackStatus"] != "DELETE_COMPLETE"
        ],
    }


# What comes up and goes down


def test_destroyed_nothing_is_left(account, made, said, tmp_path):
    env = tmp_path / ".env"
    before = everything_in(account)
    deployment = deploy_here(account, made, said, env_file=env)
    account.client("sqs").send_message(QueueUrl=deployment.outputs["QueueUrl"], MessageBody="lost")
    assert waiting_messages(account) == 1
    assert everything_in(account) != before
    assert destroy(account, env_file=env, say=said.append, poll_interval=0.05) is True
    assert everything_in(account) == before
    assert not env.exists()


def test_destroyed_twice_the_second_time_says_that_there_was_none(account, said):
    assert destroy(account, say=said.append) is False
    assert "there was none" in said.text


def test_deployed_again_it_updates_the_function(account, made, said):
    assert deploy_here(account, made, said).action == "created"
    assert deploy_here(account, made, said, endpoint_allowlist="*.example.com").action == "updated"
    function = account.client("lambda").get_function_configuration(FunctionName="func_sqs_sync")
    assert function["Environment"]["Variables"]["ENDPOINT_ALLOWLIST"] == "*.example.com"


def test_two_stacks_live_side_by_side(account, made, said):
    deploy_here(account, made, said)
    other = {"QueueName": "other", "FunctionName": "other"}
    deployment = deploy_here(account, made, said, stack_name="other", parameters=other)
    assert deployment.outputs["QueueUrl"].endswith("/other")
    destroy(account, stack_name="other", say=said.append, poll_interval=0.05)
    assert {url.rsplit("/", 1)[-1] for url in everything_in(account)["queues"]} == {
        "image-processing-sync",
        "image-processing-sync-dlq",
    }


def test_in_another_region_the_bucket_is_made_there(local_aws, made, said):
    account = identify(region="sa-east-1")
    deployment = deploy_here(account, made, said)
    assert deployment.outputs["Region"] == "sa-east-1"
    bucket = "image-processing-sync-code-123456789012-sa-east-1"
    location = account.client("s3").get_bucket_location(Bucket=bucket)
    assert location["LocationConstraint"] == "sa-east-1"
    destroy(account, say=said.append, poll_interval=0.05)


def test_the_commands_it_prints_do_the_same_with_the_aws_cli(aws_cli, account, made, said):
    deployed = deploy_here(account, made, said)
    commands = list(said.commands)
    assert len(commands) == 5
    destroy(account, say=said.append, poll_interval=0.05)
    for command in commands:
        done = subprocess.run([aws_cli, *shlex.split(command)[1:]], capture_output=True, text=True, cwd=CHECKOUT)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert dict(line.split("\t") for line in done.stdout.splitlines()) == deployed.outputs
    # The workshop recognises a stack that was made by hand, with the commands it printed.
    assert deploy_here(account, made, said).action == "updated"


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("step", ["put-object", "create-stack", "wait"])
def test_a_deploy_that_was_interrupted_at_any_step_can_be_resumed_or_destroyed(account, made, said, step):
    before = everything_in(account)

    def interrupt(line):
        if f" {step} " in line:
            raise Interrupted

    def interrupted_deploy():
        with pytest.raises(Interrupted):
            deploy(account, made, endpoint_allowlist="127.0.0.1", say=interrupt, poll_interval=0.05)

    interrupted_deploy()
    destroy(account, say=said.append, poll_interval=0.05)
    assert everything_in(account) == before
    interrupted_deploy()
    assert deploy_here(account, made, said).outputs["FunctionName"] == "func_sqs_sync"


# .env


def test_the_outputs_are_written_below_a_persons_lines_which_stay_as_they_were(account, made, said, tmp_path):
    env = tmp_path / ".env"
    own = "# mine\r\nAPP_KEY='a b'\r\nSQS_QUEUE_URL=\r\nNGROK_AUTHTOKEN=x"
    env.write_bytes(own.encode())
    env.chmod(0o640)
    deployment = deploy_here(account, made, said, env_file=env)
    assert env.read_bytes().startswith(own.encode())
    assert env.stat().st_mode & 0o777 == 0o640
    from dotenv import dotenv_values

    assert dotenv_values(env)["SQS_QUEUE_URL"] == deployment.outputs["QueueUrl"]
    assert dotenv_values(env)["AWS_REGION_NAME"] == "us-east-1"
    deploy_here(account, made, said, env_file=env)
    assert env.read_text().count("SQS_QUEUE_URL=h") == 1
    destroy(account, env_file=env, say=said.append, poll_interval=0.05)
    assert env.read_bytes() == own.encode() + b"\r\n"


def test_a_value_that_a_person_wrote_is_kept_and_said(account, made, said, tmp_path):
    env = tmp_path / ".env"
    env.write_text("SQS_QUEUE_URL=https://mine\n")
    deploy_here(account, made, said, env_file=env)
    from dotenv import dotenv_values

    assert dotenv_values(env)["SQS_QUEUE_URL"] == "https://mine"
    assert "SQS_QUEUE_URL has a line of yours, https://mine, which stays" in said.text


def test_a_local_deploy_leaves_the_outputs_of_a_real_account_alone(account, made, said, tmp_path):
    env = tmp_path / ".env"
    real = {"SQS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/real"}
    env_file.write_block(env, "stack image-processing-sync, account 1, region us-east-1", real)
    before = env.read_bytes()
    deploy_here(account, made, said, env_file=env)
    assert env.read_bytes() == before
    assert "they stay" in said.text


# Bad input


def test_without_an_allowlist_it_says_which_flag_and_which_variable(account, made, said):
    with pytest.raises(DeploymentError, match="--endpoint-allowlist.*ENDPOINT_ALLOWLIST="):
        deploy_here(account, made, said, endpoint_allowlist=" ")


@pytest.mark.parametrize("value", ["ftp://django.example.com", "django.example.com/api", "a.example,,b.example"])
def test_what_is_no_host_is_refused_before_anything_is_made(account, made, said, value):
    with pytest.raises(DeploymentError, match="is not a host .* without a path"):
        deploy_here(account, made, said, endpoint_allowlist=value)
    assert said == []


def test_names_that_are_taken_are_listed_before_anything_is_made(account, made, said, make_queue):
    sqs = account.client("sqs")
    url = sqs.create_queue(QueueName="image-processing-sync")["QueueUrl"]
    before = everything_in(account)
    with pytest.raises(DeploymentError, match="the queue image-processing-sync. Delete them, or choose other"):
        deploy_here(account, made, said)
    assert everything_in(account) == before
    sqs.delete_queue(QueueUrl=url)


def test_a_stack_of_that_name_that_is_not_ours_is_neither_changed_nor_deleted(account, made, said):
    template = {"Resources": {"Theirs": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "theirs"}}}}
    cloudformation = account.client("cloudformation")
    cloudformation.create_stack(StackName="theirs", TemplateBody=json.dumps(template))
    for attempt in (
        lambda: deploy_here(account, made, said, stack_name="theirs"),
        lambda: destroy(account, stack_name="theirs", say=said.append),
    ):
        with pytest.raises(DeploymentError, match="did not make. It stays as it is. .* --stack-name NAME"):
            attempt()
    assert everything_in(account)["stacks"] == ["theirs"]
    cloudformation.delete_stack(StackName="theirs")


def test_no_credentials_are_a_sentence(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AwsError, match="No AWS credentials were found. Write AWS_ACCESS_KEY_ID and"):
        identify()


def test_half_of_the_credentials_is_a_sentence(monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AwsError, match="Only half of the AWS credentials was found"):
        identify()


def test_an_unknown_profile_is_a_sentence(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AwsError, match="nobody.*aws configure --profile"):
        identify()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("ExpiredToken", "The AWS credentials have expired. Fetch new ones"),
        ("InvalidClientTokenId", "AWS does not know these credentials. Check AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", "The secret key does not belong to the access key, or this machine's clock"),
        ("AccessDenied", "AWS refused GetCallerIdentity: because. Ask the account's owner"),
    ],
)
def test_what_aws_refuses_is_a_sentence(receiver, code, sentence):
    error = f"<ErrorResponse><Error><Code>{code}</Code><Message>because.</Message></Error></ErrorResponse>"
    receiver.answer = lambda request: (403, {}, error.encode())
    with pytest.raises(AwsError, match=re.escape(sentence)):
        identify(receiver.url)


def test_a_region_that_does_not_exist_is_refused_with_the_nearest(monkeypatch):
    monkeypatch.setenv("AWS_REGION_NAME", "sa-east-2")
    with pytest.raises(AwsError, match="no region 'sa-east-2'.*nearest name is sa-east-1.*AWS_REGION_NAME"):
        identify()


def test_no_region_is_a_sentence(monkeypatch):
    monkeypatch.delenv("AWS_REGION_NAME")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(AwsError, match="No AWS region is set. Write AWS_REGION_NAME"):
        identify()


def test_nothing_listening_is_a_sentence():
    with pytest.raises(AwsError, match="AWS cannot be reached.*http://127.0.0.1:9"):
        identify("http://127.0.0.1:9")


# A CloudFormation that answers as AWS's does


class CloudFormation:
    """Answers CloudFormation's wire protocol from a script: `statuses` are given out one for each look."""

    def __init__(self, receiver):
        self.url = receiver.url
        self.statuses = []
        self.events = []
        self.calls = []
        self.update_error = ""
        receiver.answer = self.answer

    def answer(self, request):
        if "/2015-03-31/functions/" in request.path or "X-Amz-Target" in request.headers:
            return self.other_services(request)
        if not request.body.startswith(b"Action="):
            return (
                200,
                {},
                b"<ListBucketResult></ListBucketResult>",
            )  # S3: the bucket is there, and takes what it is given
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        action = form["Action"]
        self.calls.append(action)
        if action == "GetCallerIdentity":
            return self.xml(action, "<Account>1</Account><Arn>arn:aws:iam::1:user/me</Arn><UserId>u</UserId>")
        if action == "DescribeStacks":
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            if status is None:
                return self.error(f"Stack with id {form['StackName']} does not exist")
            tag = f"<member><Key>{TAG['Key']}</Key><Value>{TAG['Value']}</Value></member>"
            return self.xml(
                action,
                "<Stacks><member><StackId>arn:stack</StackId><StackName>image-processing-sync</StackName>"
                f"<CreationTime>2026-11-24T00:00:00Z</CreationTime><StackStatus>{status}</StackStatus>"
                f"<Tags>{tag}</Tags><Outputs>{self.outputs()}</Outputs></member></Stacks>",
            )
        if action == "DescribeStackEvents":
            return self.xml(action, f"<StackEvents>{''.join(self.events)}</StackEvents>")
        if action == "UpdateStack" and self.update_error:
            return self.error(self.update_error)
        return self.xml(action, "")

    def other_services(self, request):
        target = request.headers.get("X-Amz-Target", "")
        if "DescribeLogGroups" in target:
            return 200, {}, b'{"logGroups": []}'
        if "GetQueueUrl" in target:
            kind = "com.amazonaws.sqs#QueueDoesNotExist"
            return (
                400,
                {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"},
                json.dumps({"__type": kind, "message": "none"}).encode(),
            )
        return 404, {"X-Amzn-Errortype": "ResourceNotFoundException"}, b'{"Message": "none"}'

    def outputs(self):
        pairs = {"QueueUrl": "https://q", "Region": "us-east-1"}
        return "".join(
            f"<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
            for key, value in pairs.items()
        )

    def failed(self, resource, kind, reason):
        return (
            f"<member><StackId>arn:stack</StackId><EventId>{resource}</EventId><StackName>s</StackName>"
            f"<Timestamp>2026-11-24T00:00:00Z</Timestamp><LogicalResourceId>{resource}</LogicalResourceId>"
            f"<PhysicalResourceId></PhysicalResourceId><ResourceType>{kind}</ResourceType>"
            f"<ResourceStatus>CREATE_FAILED</ResourceStatus><ResourceStatusReason>{reason}</ResourceStatusReason>"
            "</member>"
        )

    @staticmethod
    def xml(action, body):
        name = f"{action}Result"
        return 200, {}, f"<{action}Response><{name}>{body}</{name}></{action}Response>".encode()

    @staticmethod
    def error(message):
        body = f"<ErrorResponse><Error><Code>ValidationError</Code><Message>{message}</Message></Error></ErrorResponse>"
        return 400, {}, body.encode()

    @property
    def changes(self):
        return [call for call in self.calls if not call.startswith(("Describe", "Get"))]


@pytest.fixture
def cloudformation(receiver):
    return CloudFormation(receiver)


@pytest.fixture
def zipped(tmp_path):
    path = tmp_path / "code.zip"
    path.write_bytes(b"zip")
    return Package(path, 3, 3, ("lambda_function.py",), "digest", "arm64")


def deploy_to(cloudformation, zipped, said):
    return deploy_here(identify(cloudformation.url), zipped, said, poll_interval=0.01)


def test_a_failed_create_names_the_resource_that_failed_first_and_why(cloudformation, zipped, said):
    cloudformation.statuses = [None, "CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"]
    cloudformation.events = [  # newest first
        cloudformation.failed("Role", "AWS::IAM::Role", "Resource creation cancelled"),
        cloudformation.failed("Function", "AWS::Lambda::Function", "Unzipped size must be smaller."),
    ]
    with pytest.raises(
        DeploymentError, match=r"Function \(AWS::Lambda::Function\): Unzipped size must be smaller\. .*run deploy"
    ):
        deploy_to(cloudformation, zipped, said)


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"])
def test_what_a_failed_deploy_left_is_removed_and_made_anew(cloudformation, zipped, said, status):
    cloudformation.statuses = [status, status, "DELETE_IN_PROGRESS", "DELETE_COMPLETE", "CREATE_COMPLETE"]
    assert deploy_to(cloudformation, zipped, said).action == "created"
    assert cloudformation.changes == ["DeleteStack", "CreateStack"]


def test_a_deploy_that_is_still_running_is_waited_for_and_then_updated(cloudformation, zipped, said):
    cloudformation.statuses = ["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_COMPLETE"]
    assert deploy_to(cloudformation, zipped, said).action == "updated"
    assert cloudformation.changes == ["UpdateStack"]


def test_an_update_whose_rollback_failed_is_rolled_back_first(cloudformation, zipped, said):
    cloudformation.statuses = ["UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_COMPLETE"]
    assert deploy_to(cloudformation, zipped, said).action == "updated"
    assert cloudformation.changes == ["ContinueUpdateRollback", "UpdateStack"]


def test_nothing_to_update_is_no_error(cloudformation, zipped, said):
    cloudformation.statuses = ["CREATE_COMPLETE"]
    cloudformation.update_error = "No updates are to be performed."
    assert deploy_to(cloudformation, zipped, said).action == "unchanged"


def test_a_failed_update_says_what_failed(cloudformation, zipped, said):
    cloudformation.statuses = ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"]
    cloudformation.events = [cloudformation.failed("Queue", "AWS::SQS::Queue", "Too many")]
    with pytest.raises(DeploymentError, match=r"Queue \(AWS::SQS::Queue\): Too many"):
        deploy_to(cloudformation, zipped, said)


def test_a_stack_that_cannot_be_deleted_says_why(cloudformation, said):
    cloudformation.statuses = ["CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_FAILED"]
    cloudformation.events = [cloudformation.failed("Role", "AWS::IAM::Role", "in use").replace("CREATE_F", "DELETE_F")]
    with pytest.raises(DeploymentError, match=r"could not remove Role \(AWS::IAM::Role\): in use"):
        destroy(identify(cloudformation.url), say=said.append, poll_interval=0.01)


def test_a_stack_that_is_still_being_made_is_destroyed_at_once(cloudformation, said):
    cloudformation.statuses = ["CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"]
    assert destroy(identify(cloudformation.url), say=said.append, poll_interval=0.01) is True
    assert cloudformation.changes == ["DeleteStack"]


def test_destroy_waits_for_an_update_that_is_running(cloudformation, said):
    cloudformation.statuses = ["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "DELETE_COMPLETE"]
    assert destroy(identify(cloudformation.url), say=said.append, poll_interval=0.01) is True
    assert cloudformation.changes[0] == "DeleteStack"


# What it costs


def test_what_deploy_says_of_the_cost_follows_from_the_prices_in_the_readme():
    readme = (CHECKOUT / "infra" / "README.md").read_text(encoding="utf-8")
    prices = {name: float(price) for name, price in re.findall(r"(?m)^\| ([A-Z].+?) \| ([\d.]+) (?:for|a)\b", readme)}
    a_request = prices["SQS, Standard queue"] / 1e6
    polls = 5 * 3 * 60 * 24 * 30  # five pollers, three requests a minute
    alarms = 4 * prices["CloudWatch, an alarm"]
    waiting = polls * a_request + alarms
    messages = 100_000
    gigabyte_seconds = messages * 0.2 * 256 / 1024
    busy = (
        3 * messages * a_request
        + messages * prices["Lambda, requests"] / 1e6
        + gigabyte_seconds * prices["Lambda, time on arm64"]
        + messages * 600 / 1e9 * prices["CloudWatch Logs, taken in"]
    )
    said = [float(dollars) for dollars in re.findall(r"US\$ ([\d.]+)", WHAT_IT_COSTS)]
    assert said == [
        pytest.approx(waiting, abs=0.05),
        pytest.approx(polls * a_request, abs=0.005),
        pytest.approx(alarms),
        pytest.approx(busy, abs=0.02),
    ]
    assert f"{polls:,} requests" in readme
    for dollars in said:
        assert f"{dollars:.2f}" in readme


# The commands


def run_command(*arguments, answer="", **environment):
    return subprocess.run(
        [sys.executable, "-m", "workshop", *arguments],
        input=answer,
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        env={**os.environ, **environment},
    )


def test_with_aws_but_without_the_word_in_the_settings_nothing_is_asked_of_aws():
    done = run_command("deploy", "--aws", "--endpoint-allowlist", "a.example")
    assert done.returncode == 1
    assert done.stderr.startswith("--aws works on your own AWS account")
    assert "WORKSHOP_AWS=real" in done.stderr


def test_with_aws_it_says_account_region_what_and_what_it_costs_and_without_a_yes_does_nothing(account):
    before = everything_in(account)
    real = {"WORKSHOP_AWS": "real", "AWS_ENDPOINT_URL": account.endpoint_url}  # "real" is moto here
    done = run_command("deploy", "--aws", "--endpoint-allowlist", "a.example", answer="y\n", **real)
    if "cannot be reached" in done.stderr:
        pytest.skip("PyPI cannot be reached, and the wheels are not cached")
    assert done.returncode == 1
    assert done.stderr == "Nothing was changed: the answer was not yes.\n"
    for words in ("account 123456789012 as arn:", "region us-east-1", "image-processing-sync-dlq", "func_sqs_sync"):
        assert words in done.stdout
    assert WHAT_IT_COSTS in done.stdout
    assert everything_in(account) == before


def test_with_aws_destroy_says_how_many_messages_go_and_without_a_yes_does_nothing(account, made, said):
    deployment = deploy_here(account, made, said)
    account.client("sqs").send_message(QueueUrl=deployment.outputs["QueueUrl"], MessageBody="kept")
    before = everything_in(account)
    done = run_command("destroy", "--aws", WORKSHOP_AWS="real", AWS_ENDPOINT_URL=account.endpoint_url)
    assert done.returncode == 1
    assert "account 123456789012 as arn:" in done.stdout
    assert "will be deleted, with 1 messages" in done.stdout
    assert done.stderr == "Nothing was changed: the answer was not yes.\n"
    assert everything_in(account) == before


def test_with_aws_but_without_an_allowlist_nothing_is_asked(account):
    real = {"WORKSHOP_AWS": "real", "AWS_ENDPOINT_URL": account.endpoint_url, "ENDPOINT_ALLOWLIST": ""}
    done = run_command("deploy", "--aws", **real)
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs to know which hosts it may post to" in done.stderr


def test_use_real_wants_the_word_in_the_settings():
    with pytest.raises(AwsError, match="WORKSHOP_AWS=real"):
        use_real(Settings(real_aws=False, endpoint_url=None, ngrok_authtoken=None, values={}))


def test_only_running_local_aws_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folders, "RUNS_FOLDER", tmp_path)
    monkeypatch.setenv(run_folders.RUN_FOLDER, os.environ.get(run_folders.RUN_FOLDER, ""))  # as it was, afterwards
    aws = LocalAws(run_folders.run_folder.__wrapped__())
    aws.start()
    of_a_killed_one = tmp_path / "1-dead"
    of_a_killed_one.mkdir()
    (of_a_killed_one / aws_account.PORT_FILE).write_text("1")
    assert aws_account.running_local_aws() == [aws.endpoint_url]
    aws.stop()
    assert aws_account.running_local_aws() == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_an_env_that_is_a_named_pipe_is_read_and_one_that_nobody_writes_to_is_a_sentence(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / ".env")
    monkeypatch.setattr(env_file, "PIPE_TIMEOUT", 0.2)
    with pytest.raises(SettingsError, match="named pipe, and nobody writes"):
        load(tmp_path / ".env")
    monkeypatch.setattr(env_file, "PIPE_TIMEOUT", 20)
    writer = threading.Thread(target=(tmp_path / ".env").write_text, args=["NGROK_AUTHTOKEN=a-token\n"])
    monkeypatch.delenv("NGROK_AUTHTOKEN")
    writer.start()
    assert load(tmp_path / ".env").ngrok_authtoken == "a-token"
    writer.join()
