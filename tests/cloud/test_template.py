"""infra/template.yaml: what cfn-lint says of it, what it asks for, and what moto makes of it."""

import ast
import json
import re
import subprocess
import sys

import pytest

from workshop.cloud.aws_account import identify
from workshop.cloud.deployment import TEMPLATE, deploy, destroy
from workshop.cloud.packaging import package_installed

CFN_LINT = [sys.executable, "-c", "from cfnlint.runner import main; main()"]


@pytest.fixture(scope="module")
def template():
    from cfnlint.decode.cfn_yaml import load  # here, for it takes seconds, and every worker reads this file

    return load(str(TEMPLATE))


@pytest.fixture(scope="module")
def resources(template):
    return template["Resources"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return package_installed(folder=tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def account(local_aws_server):
    return identify(local_aws_server.endpoint_url)


@pytest.fixture(scope="module")
def deployed(account, made):
    """The stack, deployed to the local AWS."""
    silent = {"say": lambda text: None, "poll_interval": 0.05}
    yield deploy(account, made, endpoint_allowlist="*.ngrok-free.dev", **silent)
    destroy(account, **silent)


def test_cfn_lint_has_nothing_to_say():
    lint = subprocess.run(
        [*CFN_LINT, "--include-checks", "I", "--", TEMPLATE],
        capture_output=True,
        text=True,
    )
    assert lint.stdout + lint.stderr == ""
    assert lint.returncode == 0


def test_the_visibility_timeout_is_six_times_the_functions_timeout(resources):
    function = resources["Function"]["Properties"]
    assert resources["Queue"]["Properties"]["VisibilityTimeout"] == 6 * function["Timeout"]


def test_both_queues_refuse_what_does_not_come_over_tls(resources):
    policy = resources["TlsOnly"]["Properties"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert policy["Queues"] == [{"Ref": "Queue"}, {"Ref": "DeadLetterQueue"}]
    assert [statement[name] for name in ("Effect", "Principal", "Action", "Resource")] == ["Deny", "*", "sqs:*", "*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_function_logs_in_json_into_the_group_that_forgets(resources):
    assert resources["Function"]["Properties"]["LoggingConfig"] == {
        "LogFormat": "JSON",
        "LogGroup": {"Ref": "LogGroup"},
    }


def test_only_the_queue_may_use_the_dead_letter_queue(resources):
    policy = resources["DeadLetterQueue"]["Properties"]["RedriveAllowPolicy"]
    assert policy["redrivePermission"] == "byQueue"
    assert [arn["Fn::Sub"].rsplit(":", 1)[-1] for arn in policy["sourceQueueArns"]] == ["${QueueName}"]


def test_the_allowlist_the_bucket_and_the_key_must_be_given(template):
    without_default = {name for name, parameter in template["Parameters"].items() if "Default" not in parameter}
    assert without_default == {"EndpointAllowlist", "CodeBucket", "CodeKey"}


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("*.ngrok-free.dev", True),
        ("*.ngrok-free.dev, django.example.com", True),
        ("127.0.0.1,localhost", True),
        ("", False),
        ("https://django.example.com:8443", True),
        ("ftp://django.example.com", False),
        ("django.example.com/api", False),
        ("a.example,,b.example", False),
    ],
)
def test_the_allowlist_takes_host_patterns_and_nothing_else(template, value, allowed):
    pattern = template["Parameters"]["EndpointAllowlist"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) is allowed


def test_both_processors_of_lambda_can_be_chosen(template, resources):
    assert template["Parameters"]["Architecture"]["AllowedValues"] == ["arm64", "x86_64"]
    assert resources["Function"]["Properties"]["Architectures"] == [{"Ref": "Architecture"}]


def test_nothing_is_kept_when_the_stack_is_deleted(resources):
    for name, resource in resources.items():
        assert resource.get("DeletionPolicy", "Delete") == "Delete", name


# moto deploys no alarms, so these are read from the template and tried on moto's CloudWatch itself.
def test_alarms_watch_age_dead_letters_errors_and_throttles(resources, account):
    alarms = {name: r["Properties"] for name, r in resources.items() if r["Type"] == "AWS::CloudWatch::Alarm"}
    assert {name: alarm["MetricName"] for name, alarm in alarms.items()} == {
        "MessagesWaitTooLong": "ApproximateAgeOfOldestMessage",
        "DeadLettersPresent": "ApproximateNumberOfMessagesVisible",
        "FunctionErrors": "Errors",
        "FunctionThrottles": "Throttles",
    }
    watched = {
        name: (dimension["Name"], (dimension["Value"].get("Ref") or dimension["Value"]["Fn::GetAtt"][0]))
        for name, alarm in alarms.items()
        for dimension in alarm["Dimensions"]
    }
    assert watched == {
        "MessagesWaitTooLong": ("QueueName", "Queue"),
        "DeadLettersPresent": ("QueueName", "DeadLetterQueue"),
        "FunctionErrors": ("FunctionName", "Function"),
        "FunctionThrottles": ("FunctionName", "Function"),
    }
    cloudwatch = account.client("cloudwatch")
    for name, alarm in alarms.items():
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmActions"] == alarm["OKActions"]
        fields = {key: value for key, value in alarm.items() if key not in ("AlarmActions", "OKActions")}
        fields["Dimensions"] = [{"Name": watched[name][0], "Value": "x"}]
        cloudwatch.put_metric_alarm(AlarmName=name, **fields)
    cloudwatch.delete_alarms(AlarmNames=list(alarms))


def test_alarms_are_mailed_only_if_an_address_is_given(template, resources):
    assert template["Conditions"]["MailAlarms"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmEmail"}, ""]}]}
    assert resources["AlarmTopic"]["Condition"] == "MailAlarms"


def test_the_queue_waits_long_is_encrypted_and_redrives_after_five(deployed, account):
    attributes = account.client("sqs").get_queue_attributes(
        QueueUrl=deployed.outputs["QueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    assert attributes["QueueArn"] == deployed.outputs["QueueArn"]
    assert attributes["VisibilityTimeout"] == "180"
    assert attributes["ReceiveMessageWaitTimeSeconds"] == "20"
    assert attributes["SqsManagedSseEnabled"] == "true"
    assert json.loads(attributes["RedrivePolicy"]) == {
        "deadLetterTargetArn": deployed.outputs["QueueArn"] + "-dlq",
        "maxReceiveCount": 5,
    }


def test_the_dead_letter_queue_keeps_messages_fourteen_days(deployed, account):
    attributes = account.client("sqs").get_queue_attributes(
        QueueUrl=deployed.outputs["DeadLetterQueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    assert attributes["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    assert attributes["SqsManagedSseEnabled"] == "true"


def test_the_role_may_receive_from_this_queue_and_log_and_nothing_else(deployed, account):
    function = account.client("lambda").get_function_configuration(FunctionName="func_sqs_sync")
    role = function["Role"].rsplit("/", 1)[-1]
    iam = account.client("iam")
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    statements = ast.literal_eval(document)["Statement"]  # moto gives a stack's policy as Python's text
    assert [(s["Effect"], sorted(s["Action"]), s["Resource"]) for s in statements] == [
        (
            "Allow",
            ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
            deployed.outputs["QueueArn"],
        ),
        (
            "Allow",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/func_sqs_sync:*",
        ),
    ]
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert [statement["Principal"] for statement in trust] == [{"Service": "lambda.amazonaws.com"}]


def test_the_function_is_configured_as_the_guide_names_it(deployed, account, made):
    function = account.client("lambda").get_function_configuration(FunctionName=deployed.outputs["FunctionName"])
    assert function["FunctionName"] == "func_sqs_sync"
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == [made.architecture]
    assert function["Handler"] == "lambda_function.lambda_handler"
    assert function["Timeout"] == 30
    assert function["CodeSize"] == made.size
    assert function["Environment"]["Variables"] == {"ENDPOINT_ALLOWLIST": "*.ngrok-free.dev"}


def test_the_mapping_reports_batch_item_failures_with_a_maximum_concurrency(deployed, account):
    (mapping,) = account.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert mapping["EventSourceArn"] == deployed.outputs["QueueArn"]
    assert mapping["FunctionArn"].endswith(":function:func_sqs_sync")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 10}
    assert mapping["BatchSize"] == 10
    assert mapping["State"] == "Disabled"  # or moto would start Docker


def test_the_logs_are_kept_thirty_days(deployed, account):
    (group,) = account.client("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/aws/lambda/func_sqs_sync", 30)
