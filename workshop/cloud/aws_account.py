"""Which AWS a command talks to, said in words, and AWS's errors as sentences that say what to do.

account = identify()                        # boto3's own credential chain; AWS_ENDPOINT_URL is honoured
print(account)                              # account 123456789012 as arn:..., region us-east-1, http://...
account.client("cloudformation")
"""

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from botocore import exceptions
from botocore.config import Config

from workshop.foreseen import Foreseen
from workshop.run_folders import used_run_folders

from . import aws_environment
from .choices import Settings

PORT_FILE = "aws.port"  # in the run folder of the process that keeps a local AWS: where that listens
TIMEOUTS = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "max_attempts": 3})


class AwsError(Foreseen):
    """AWS refused or cannot be reached. The message says what was wrong and what to do."""


@dataclass(frozen=True)
class Account:
    """Where the clients of this object work; `endpoint_url` is None for AWS itself."""

    id: str
    arn: str
    region: str
    endpoint_url: str | None
    session: boto3.Session

    @property
    def is_aws(self) -> bool:
        return self.endpoint_url is None

    def client(self, service: str):
        return self.session.client(service, region_name=self.region, endpoint_url=self.endpoint_url, config=TIMEOUTS)

    def __str__(self) -> str:
        where = self.endpoint_url or "AWS itself"
        return f"account {self.id} as {self.arn}, region {self.region}, {where}"


def identify(endpoint_url: str | None = None, region: str | None = None) -> Account:
    """Ask AWS, or the server at `endpoint_url` (default: AWS_ENDPOINT_URL), who the caller is.

    Raises AwsError: no credentials, expired ones, an unknown region, nothing reached.
    """
    endpoint_url = endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or None
    with explained():
        session = boto3.Session()
        region = region or os.environ.get("AWS_REGION_NAME") or session.region_name
        if not region:
            raise exceptions.NoRegionError()
        if endpoint_url is None:
            _check_region(session, region)
        account = Account("", "", region, endpoint_url, session)
        identity = account.client("sts").get_caller_identity()
    return Account(identity["Account"], identity["Arn"], region, endpoint_url, session)


def _check_region(session: boto3.Session, region: str) -> None:
    known = [
        name
        for partition in session.get_available_partitions()
        for name in session.get_available_regions("sqs", partition_name=partition)
    ]
    if region not in known:
        continent = [name for name in known if name.startswith(region.partition("-")[0])]
        near = difflib.get_close_matches(region, continent or known, n=1, cutoff=0)
        raise AwsError(
            f"AWS has no region {region!r} that this boto3 knows; the nearest name is {near[0]}. "
            "Correct AWS_REGION_NAME in .env, or upgrade boto3 if the region is new."
        )


@contextmanager
def explained() -> Iterator[None]:
    """Turn botocore's exceptions into AwsError. What is not known here keeps AWS's own words."""
    try:
        yield
    except (exceptions.BotoCoreError, exceptions.ClientError) as error:
        raise AwsError(explain(error)) from error


def explain(error: exceptions.BotoCoreError | exceptions.ClientError) -> str:
    """One sentence on what was wrong and one on what to do."""
    match error:
        case exceptions.NoCredentialsError():
            return (
                "No AWS credentials were found. Write AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env, "
                "or run `aws configure` or `aws sso login`."
            )
        case exceptions.PartialCredentialsError():
            return (
                "Only half of the AWS credentials was found. Write both AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY in .env, or neither, to use `aws configure`."
            )
        case exceptions.ProfileNotFound():
            return f"{error}. Correct AWS_PROFILE, or make that profile with `aws configure --profile NAME`."
        case exceptions.NoRegionError():
            return "No AWS region is set. Write AWS_REGION_NAME=us-east-1, or your own region, in .env."
        case exceptions.InvalidRegionError():
            return f"{error} Write AWS_REGION_NAME=us-east-1, or your own region, in .env."
        case exceptions.UnauthorizedSSOTokenError() | exceptions.SSOTokenLoadError() | exceptions.TokenRetrievalError():
            return "The AWS sign-in has expired. Sign in again with `aws sso login`."
        case exceptions.EndpointConnectionError() | exceptions.HTTPClientError():
            return f"AWS cannot be reached: {error} Check the network, AWS_REGION_NAME and AWS_ENDPOINT_URL."
        case exceptions.ClientError():
            return _explain_refusal(error)
    return str(error)


def _explain_refusal(error: exceptions.ClientError) -> str:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "") or str(error)
    if code in ("ExpiredToken", "ExpiredTokenException", "RequestExpired"):
        return (
            "The AWS credentials have expired. Fetch new ones (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
            "AWS_SESSION_TOKEN), or sign in again with `aws sso login`."
        )
    if code in ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure"):
        return (
            "AWS does not know these credentials. Check AWS_ACCESS_KEY_ID in .env, that the key is active, "
            "and that the region is enabled in your account."
        )
    if code == "SignatureDoesNotMatch":
        return (
            "The secret key does not belong to the access key, or this machine's clock is wrong. Check "
            "AWS_SECRET_ACCESS_KEY in .env and the clock."
        )
    if code in ("AccessDenied", "AccessDeniedException", "403"):
        return (
            f"AWS refused {error.operation_name}: {message} Ask the account's owner for that permission, or "
            "use other credentials."
        )
    return f"AWS refused {error.operation_name}: {message}"


def use_local(endpoint_url: str) -> Account:
    """Lead this process to the local AWS at `endpoint_url`, past whatever profile or keys a person has set.

    Raises AwsError where nothing answers there.
    """
    aws_environment.apply(aws_environment.local(endpoint_url))
    return identify()


def use_real(settings: Settings) -> Account:
    """Lead this process to the account that `.env` and boto3's own credential chain give.

    Raises AwsError unless WORKSHOP_AWS=real is set: a flag typed by habit must not be enough.
    """
    if not settings.real_aws:
        raise AwsError(
            "--aws works on your own AWS account and costs money, so it needs your word in .env as well: "
            "write WORKSHOP_AWS=real there. Without --aws the same command works on a local AWS."
        )
    aws_environment.apply(aws_environment.real(settings.values))
    return identify()


def running_local_aws() -> list[str]:
    """The endpoint URLs of the local AWS of every lab and `deploy` that is running, the newest first."""
    files = [folder / PORT_FILE for folder in used_run_folders() if (folder / PORT_FILE).exists()]
    newest_first = sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)
    return [f"http://127.0.0.1:{file.read_text(encoding='utf-8')}" for file in newest_first]
