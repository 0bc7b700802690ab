"""The pipeline on AWS: `infra/template.yaml` as a stack, brought up, changed and taken down again.

    account = identify()
    deployment = deploy(account, package("arm64"), endpoint_allowlist="*.ngrok-free.dev")
    deployment.outputs["QueueUrl"]
    destroy(account)

The same calls work on a local AWS. Each step prints the AWS CLI command that does the same.
"""

import json
import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from workshop.folders import CHECKOUT
from workshop.names import FUNCTION_NAME, QUEUE_NAME, STACK_NAME

from .aws_account import Account, AwsError, explain, explained
from .env_file import block_owner, remove_block, write_block
from .packaging import Package

TEMPLATE = CHECKOUT / "infra" / "template.yaml"
HOST_PATTERN = re.compile(r"(https?://)?[A-Za-z0-9*][A-Za-z0-9.*-]*(:\d+)?")  # as in the template's EndpointAllowlist
TAG = {"Key": "made-by", "Value": "django-sqs-lambda-workshop"}
ENV_OUTPUTS = {"SQS_QUEUE_URL": "QueueUrl", "AWS_REGION_NAME": "Region"}  # name in .env: output of the stack

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}
REPLACEABLE = {
    "CREATE_FAILED",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "DELETE_FAILED",
    "REVIEW_IN_PROGRESS",
}

WHAT_IT_COSTS = """\
About what it costs in us-east-1, without AWS's free tier (prices and their sources: infra/README.md):
  waiting, with nothing to do   about US$ 0.70 a month: Lambda asks the queue for messages some 650,000 times,
                                US$ 0.26, and four alarms are US$ 0.40
  100,000 messages a month      about US$ 0.25 more, if each takes 0.2 s and comes alone
With the free tier, which an account may have used up elsewhere, both are nothing or nearly nothing."""


class DeploymentError(AwsError):
    """A stack could not be deployed or destroyed. The message says why and what to do."""


@dataclass(frozen=True)
class Deployment:
    """`action`: "created", "updated" or "unchanged"; `outputs` by the template's names: QueueUrl, ..."""

    action: str
    outputs: dict[str, str]

    @property
    def env(self) -> dict[str, str]:
        """The outputs under their names in `.env`."""
        return {name: self.outputs[output] for name, output in ENV_OUTPUTS.items()}


def deploy(
    account: Account,
    package: Package,
    *,
    endpoint_allowlist: str,
    stack_name: str = STACK_NAME,
    parameters: dict[str, str] | None = None,
    env_file: Path | None = None,
    say: Callable[[str], None] = print,
    poll_interval: float = 2,
) -> Deployment:
    """Upload the package and create or update the stack; wait for it; write its outputs into `env_file`.

    `endpoint_allowlist`: host patterns that the function may post to, comma-separated. `parameters`: others
    of the template, such as {"AlarmEmail": ...}. On anything but AWS itself the event source mapping is made
    switched off, because emulators would run the function in Docker: workshop.EventSourceMapping runs it.
    `poll_interval`: seconds between two looks at the stack.

    A deploy that was interrupted is picked up where it is. Raises DeploymentError or AwsError.
    """
    require_allowlist(endpoint_allowlist)
    work = _Work(account, stack_name, say, poll_interval)
    stack = work.settle()
    if not stack:
        work.require_free_names(parameters or {})
    bucket, key = work.upload(package)
    values = {
        "EndpointAllowlist": endpoint_allowlist,
        "CodeBucket": bucket,
        "CodeKey": key,
        "Architecture": package.architecture,
        "EventSourceMappingEnabled": "true" if account.is_aws else "false",
        **(parameters or {}),
    }
    action = work.update(values) if stack else work.create(values)
    deployment = Deployment(action, work.outputs())
    say(f"Stack {stack_name}: {action}.")
    for name, value in deployment.outputs.items():
        say(f"  {name:<20}{value}")
    if env_file:
        _write_env(env_file, work.owner, deployment.env, say)
    return deployment


def require_allowlist(endpoint_allowlist: str) -> None:
    """Refuse what the template's parameter EndpointAllowlist would refuse on AWS, with a sentence."""
    if not endpoint_allowlist.strip():
        raise DeploymentError(
            "The function needs to know which hosts it may post to. Say --endpoint-allowlist "
            "'*.ngrok-free.dev', or write ENDPOINT_ALLOWLIST=... in .env."
        )
    for pattern in map(str.strip, endpoint_allowlist.split(",")):
        if not HOST_PATTERN.fullmatch(pattern):
            raise DeploymentError(
                f"{pattern!r} is not a host that the function could post to. Write host names or patterns such as "
                "*.ngrok-free.dev or https://api.example.com:8443, separated by commas, without a path."
            )


def destroy(
    account: Account,
    *,
    stack_name: str = STACK_NAME,
    env_file: Path | None = None,
    say: Callable[[str], None] = print,
    poll_interval: float = 2,
) -> bool:
    """Take down the stack and all that belongs to it: the packages and their bucket, logs, the `.env` block.

    False if there was no stack; what an interrupted deploy or destroy left behind is removed all the same.
    Raises DeploymentError or AwsError.
    """
    work = _Work(account, stack_name, say, poll_interval)
    found = work.delete()
    work.delete_packages()
    if env_file and remove_block(env_file, work.owner):
        say(f"Removed the stack's lines from {env_file}.")
    say(f"Stack {stack_name}: {'destroyed, nothing is left' if found else 'there was none'}.")
    return found


def waiting_messages(account: Account, *, stack_name: str = STACK_NAME) -> int:
    """About how many messages are in the stack's queues, and would be lost with them. 0 without a stack."""
    work = _Work(account, stack_name, say=lambda text: None, poll_interval=1)
    if not (stack := work.describe()):
        return 0
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    count = 0
    with explained():
        for url in {outputs.get("QueueUrl"), outputs.get("DeadLetterQueueUrl")} - {None}:
            answer = account.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=list(names))
            count += sum(int(answer["Attributes"][name]) for name in names)
    return count


def has_stack(account: Account, stack_name: str = STACK_NAME) -> bool:
    """Whether the account has that stack, in any state but deleted."""
    return _Work(account, stack_name, say=lambda text: None, poll_interval=1).describe() is not None


class _Work:
    """The steps of one deploy or destroy."""

    def __init__(self, account: Account, stack_name: str, say: Callable[[str], None], poll_interval: float):
        self.account = account
        self.stack_name = stack_name
        self.owner = f"stack {stack_name}, account {account.id}, region {account.region}"
        if not account.is_aws:
            self.owner += f", at {account.endpoint_url}"
        self.bucket = f"{stack_name.lower()}-code-{account.id}-{account.region}"
        self._say = say
        self._poll_interval = poll_interval
        self._cloudformation = account.client("cloudformation")
        self._s3 = account.client("s3")

    # The stack

    def describe(self) -> dict | None:
        """The stack as CloudFormation describes it; None if there is none. Refuses one that is not ours."""
        try:
            stack = self._cloudformation.describe_stacks(StackName=self.stack_name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise AwsError(explain(error)) from error
        if stack["StackStatus"] == "DELETE_COMPLETE":
            return None
        if TAG not in stack.get("Tags", ()):
            raise DeploymentError(
                f"Account {self.account.id} has a stack {self.stack_name} that this workshop did not make. "
                "It stays as it is. Choose another name: --stack-name NAME --queue-name NAME "
                "--function-name NAME"
            )
        return stack

    def settle(self) -> dict | None:
        """Bring the stack into a state that an update can start from, or remove what cannot be updated."""
        stack = self.describe()
        if stack and _in_progress(stack):
            self._say(f"Stack {self.stack_name} is {stack['StackStatus']}: waiting for its end.")
            stack = self._wait()
        if stack and stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED":
            self._command("cloudformation", "continue-update-rollback", "--stack-name", self.stack_name)
            with explained():
                self._cloudformation.continue_update_rollback(StackName=self.stack_name)
            stack = self._wait()
        if stack and stack["StackStatus"] in REPLACEABLE:
            self._say(f"Stack {self.stack_name} is {stack['StackStatus']}, an earlier deploy failed: removing it.")
            self.delete()
            return None
        if stack and stack["StackStatus"] not in UPDATABLE:
            raise DeploymentError(
                f"Stack {self.stack_name} is {stack['StackStatus']} and cannot be updated. Look at it in the "
                "CloudFormation console, or remove it with: python3 -m workshop destroy"
            )
        return stack

    def create(self, values: dict[str, str]) -> str:
        self._stack_command("create-stack", values)
        with explained():
            self._cloudformation.create_stack(**self._stack_arguments(values), Tags=[TAG])
        self._expect("CREATE_COMPLETE")
        return "created"

    def update(self, values: dict[str, str]) -> str:
        self._stack_command("update-stack", values)
        try:
            self._cloudformation.update_stack(**self._stack_arguments(values), Tags=[TAG])
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return "unchanged"
            raise AwsError(explain(error)) from error
        self._expect("UPDATE_COMPLETE")
        return "updated"

    def delete(self) -> bool:
        stack = self.describe()
        if stack is None:
            return False
        if stack["StackStatus"].startswith("UPDATE") and _in_progress(stack):
            self._say(f"Stack {self.stack_name} is {stack['StackStatus']}: waiting for its end.")
            self._wait()
        log_group = next((o["OutputValue"] for o in stack.get("Outputs", ()) if o["OutputKey"] == "LogGroupName"), None)
        self._command("cloudformation", "delete-stack", "--stack-name", self.stack_name)
        self._command("cloudformation", "wait", "stack-delete-complete", "--stack-name", self.stack_name)
        with explained():
            self._cloudformation.delete_stack(StackName=self.stack_name)
        # By its id, because a deleted stack is no longer found by its name.
        stack = self._wait(stack["StackId"])
        if stack and stack["StackStatus"] != "DELETE_COMPLETE":
            raise DeploymentError(
                f"CloudFormation could not remove {self._first_failure(stack['StackId'])} "
                "Repair that and run destroy again."
            )
        if log_group:
            self._delete_late_log_group(log_group)
        return True

    def outputs(self) -> dict[str, str]:
        self._command(
            *("cloudformation", "describe-stacks", "--stack-name", self.stack_name),
            *("--query", "Stacks[0].Outputs[].[OutputKey,OutputValue]", "--output", "text"),
        )
        return {output["OutputKey"]: output["OutputValue"] for output in self.describe()["Outputs"]}

    def _delete_late_log_group(self, name: str) -> None:
        """A function that was still running when its log group went may have made a new one."""
        logs = self.account.client("logs")
        try:
            logs.delete_log_group(logGroupName=name)
        except logs.exceptions.ResourceNotFoundException:
            pass

    def require_free_names(self, values: dict[str, str]) -> None:
        """Who followed the guide by hand has these names; CloudFormation would fail late and roll back."""
        queue = values.get("QueueName", QUEUE_NAME)
        function = values.get("FunctionName", FUNCTION_NAME)
        sqs, functions, logs = map(self.account.client, ("sqs", "lambda", "logs"))
        taken = []
        with explained():
            for name in (queue, f"{queue}-dlq"):
                try:
                    sqs.get_queue_url(QueueName=name)
                    taken.append(f"the queue {name}")
                except sqs.exceptions.QueueDoesNotExist:
                    pass
            try:
                functions.get_function_configuration(FunctionName=function)
                taken.append(f"the function {function}")
            except functions.exceptions.ResourceNotFoundException:
                pass
            group = f"/aws/lambda/{function}"
            found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
            if any(entry["logGroupName"] == group for entry in found):
                taken.append(f"the log group {group}")
        if taken:
            raise DeploymentError(
                f"In account {self.account.id}, region {self.account.region}, these exist already and are "
                f"not part of the stack: {', '.join(taken)}. Delete them, or choose other names: "
                "--queue-name NAME --function-name NAME"
            )

    def _expect(self, status: str) -> None:
        waiter = "stack-create-complete" if status.startswith("CREATE") else "stack-update-complete"
        self._command("cloudformation", "wait", waiter, "--stack-name", self.stack_name)
        stack = self._wait()
        if stack is None or stack["StackStatus"] != status:
            stack_id = stack["StackId"] if stack else self.stack_name
            raise DeploymentError(
                f"CloudFormation could not make {self._first_failure(stack_id)} What the deploy had changed "
                "was rolled back. Repair that and run deploy again."
            )

    def _wait(self, stack_id: str | None = None) -> dict | None:
        """Wait until nothing is in progress; the stack then, or None if it is gone."""
        said = ""
        while True:
            try:
                stack = self._cloudformation.describe_stacks(StackName=stack_id or self.stack_name)["Stacks"][0]
            except ClientError as error:
                if "does not exist" in str(error):
                    return None
                raise AwsError(explain(error)) from error
            if not _in_progress(stack):
                return stack
            if (status := stack["StackStatus"]) != said:
                said = status
                self._say(f"  {status} ... (to stop watching: Ctrl-C. Run the command again to pick it up.)")
            time.sleep(self._poll_interval)

    def _first_failure(self, stack_id: str) -> str:
        """The resource that failed first, and AWS's reason: later failures follow from it."""
        with explained():
            events = self._cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
        failures = [
            event
            for event in events  # newest first
            if event["ResourceStatus"].endswith("_FAILED")
            and "cancelled" not in event.get("ResourceStatusReason", "")
            and event["PhysicalResourceId"] != stack_id
        ]
        if not failures:
            return f"the stack {self.stack_name}; it gives no reason."
        first = failures[-1]
        reason = first.get("ResourceStatusReason", "no reason given").rstrip(".")
        return f"{first['LogicalResourceId']} ({first['ResourceType']}): {reason}."

    def _stack_arguments(self, values: dict[str, str]) -> dict[str, object]:
        return {
            "StackName": self.stack_name,
            "TemplateBody": TEMPLATE.read_text(encoding="utf-8"),
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
            "Capabilities": ["CAPABILITY_IAM"],
        }

    def _stack_command(self, verb: str, values: dict[str, str]) -> None:
        self._command(
            *("cloudformation", verb, "--stack-name", self.stack_name),
            *("--template-body", f"file://{TEMPLATE.relative_to(CHECKOUT).as_posix()}"),
            *("--capabilities", "CAPABILITY_IAM"),
            *("--tags", json.dumps([TAG])),
            *(
                "--parameters",
                json.dumps([{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()]),
            ),
        )

    # The package

    def upload(self, package: Package) -> tuple[str, str]:
        """Put the zip into the stack's bucket, made if need be. Returns bucket and key."""
        self._make_bucket()
        key = f"{package.digest}.zip"  # another content, another key: only that makes CloudFormation deploy it
        try:
            path = package.path.relative_to(CHECKOUT).as_posix()
        except ValueError:
            path = str(package.path)
        self._command("s3api", "put-object", "--bucket", self.bucket, "--key", key, "--body", path)
        with explained(), package.path.open("rb") as body:
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, ExpectedBucketOwner=self.account.id)
        return self.bucket, key

    def delete_packages(self) -> None:
        with explained():
            try:
                pages = self._s3.get_paginator("list_objects_v2").paginate(
                    Bucket=self.bucket, ExpectedBucketOwner=self.account.id
                )
                keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchBucket":
                    return
                raise
            self._command("s3", "rb", "--force", f"s3://{self.bucket}")
            for key in keys:
                self._s3.delete_object(Bucket=self.bucket, Key=key)
            self._s3.delete_bucket(Bucket=self.bucket)

    def _make_bucket(self) -> None:
        try:
            self._s3.list_objects_v2(Bucket=self.bucket, MaxKeys=1, ExpectedBucketOwner=self.account.id)
            return
        except ClientError as error:
            if error.response["Error"]["Code"] == "AccessDenied":
                raise DeploymentError(
                    f"The bucket {self.bucket} belongs to another account, or these credentials may not read "
                    "it. Choose another --stack-name, or ask for s3:ListBucket on it."
                ) from error
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise AwsError(explain(error)) from error
        arguments = {}
        words = ["s3api", "create-bucket", "--bucket", self.bucket]
        if self.account.region != "us-east-1":  # S3 wants every region named but its first
            arguments = {"CreateBucketConfiguration": {"LocationConstraint": self.account.region}}
            words += ["--create-bucket-configuration", f"LocationConstraint={self.account.region}"]
        self._command(*words)
        with explained():
            self._s3.create_bucket(Bucket=self.bucket, **arguments)

    def _command(self, *words: str) -> None:
        """Say what does the same with the AWS CLI."""
        # Before 2.13 the AWS CLI does not read AWS_ENDPOINT_URL, and Debian 12 has 2.9.
        where = [] if self.account.is_aws else ["--endpoint-url", self.account.endpoint_url]
        self._say("$ " + shlex.join(["aws", *where, "--region", self.account.region, *words]))


def _in_progress(stack: dict) -> bool:
    # A change set under review waits for a person, not for CloudFormation.
    return stack["StackStatus"].endswith("_IN_PROGRESS") and stack["StackStatus"] != "REVIEW_IN_PROGRESS"


def _write_env(env_file: Path, owner: str, values: dict[str, str], say: Callable[[str], None]) -> None:
    present = block_owner(env_file)
    if present and present != owner and " at http" in owner and " at http" not in present:
        say(f"{env_file} holds the outputs of a real account ({present}); they stay. For this deployment:")
        for name, value in values.items():
            say(f"  {name}={value}")
        return
    kept = write_block(env_file, owner, values)
    say(f"Wrote {', '.join(name for name in values if name not in kept) or 'nothing'} into {env_file}.")
    for name, value in kept.items():
        say(f"  {name} has a line of yours, {value}, which stays. The deployment's value: {values[name]}")
