"""The way to Amazon SQS: one boto3 client a process, and errors that say what to do.

boto3 reads AWS_ENDPOINT_URL by itself, which may name any SQS server, and finds credentials by itself: those of the
environment, of a profile, of a role. Settings that name an access key override it, as a whole.
"""

import json
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from django.core.signals import setting_changed
from django.dispatch import receiver

from .conf import setting
from .errors import MessageRefused, MessageTooLarge, QueueDoesNotExist, QueueNotConfigured, SqsError, SqsUnavailable

# Saving waits for sending, so an SQS that is away must be known soon: the relay tries again.
CONNECTION = Config(
    connect_timeout=2,  # seconds
    read_timeout=2,  # seconds
    retries={"mode": "standard", "total_max_attempts": 1},
    max_pool_connections=50,  # threads that send at once without waiting for a connection
)
CLIENT_SETTINGS = ("AWS_REGION_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

# Error codes that are about the message, where the same message will meet the same answer
REFUSALS = {"BatchRequestTooLong", "InvalidMessageContents", "InvalidParameterValue", "MissingParameter"}
CLOCK = ("Signature expired", "Signature not yet current", "RequestExpired", "RequestTimeTooSkewed")

COUNTED = {
    "waiting": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}

_making_client = threading.Lock()  # a boto3 client may be shared by threads, but not made by two at once
_outage_met_at: float | None = None  # time.monotonic(); None: the last request was answered


@dataclass(frozen=True)
class QueueCounts:
    """How many messages are where. On AWS these are approximate; a minute after the last send they have settled."""

    waiting: int
    in_flight: int
    delayed: int
    dead_letters: int | None  # None: the queue has no dead-letter queue, or it cannot be looked into


def queue_url() -> str:
    """Raises QueueNotConfigured."""
    url: str = setting("SQS_QUEUE_URL")
    if not url:
        raise QueueNotConfigured(
            "SQS_QUEUE_URL is not set. Write the queue's URL into the environment or .env; "
            "`aws sqs get-queue-url --queue-name image-processing-sync` prints it."
        )
    if url.endswith(".fifo"):
        raise QueueNotConfigured(
            f"SQS_QUEUE_URL names a FIFO queue, {url}, which takes only messages with a group, and this app gives "
            "them none. Set it to a Standard queue's URL."
        )
    return url


def send(body: str) -> str:
    """Send one message. Returns its SQS message id."""
    answer = _ask("send_message", QueueUrl=queue_url(), MessageBody=body)
    if not answer.get("MessageId"):
        raise _unaccounted()
    return answer["MessageId"]


def send_batch(bodies: list[str]) -> list[str | SqsError]:
    """Send up to ten messages in one request. Returns what became of each: its SQS message id, or why it was not sent.

    Raises the error that met them all.
    """
    entries = [{"Id": str(position), "MessageBody": body} for position, body in enumerate(bodies)]
    try:
        answer = _ask("send_message_batch", QueueUrl=queue_url(), Entries=entries)
    except (MessageRefused, MessageTooLarge) as error:
        if len(bodies) == 1:
            return [error]
        # SQS refused the batch as a whole for what some of it is: for example, a queue with a low
        # MaximumMessageSize counts all bodies together. In halves, the good ones get through.
        half = len(bodies) // 2
        first, second = send_batch(bodies[:half]), bodies[half:]
        try:
            return first + send_batch(second)
        except SqsError as outage:
            return first + [outage] * len(second)
    outcomes: dict[str, str | SqsError] = {}
    for entry in answer.get("Failed") or []:
        outcomes[entry.get("Id")] = _refused(
            entry.get("Code", ""), entry.get("Message", ""), entry.get("SenderFault", False)
        )
    for entry in answer.get("Successful") or []:
        outcomes[entry.get("Id")] = entry.get("MessageId") or _unaccounted()
    if not outcomes:
        raise _unaccounted()  # whoever answered in SQS's place would answer the next request, too
    return [outcomes.get(entry["Id"]) or _unaccounted() for entry in entries]


def counts() -> QueueCounts:
    """Ask SQS how many messages are in the queue, and in the dead-letter queue that its redrive policy names."""
    url = queue_url()
    names = [*COUNTED.values(), "RedrivePolicy"]
    try:
        answer = _client().get_queue_attributes(QueueUrl=url, AttributeNames=names)
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        raise _explained(error, "tell its counts", "sqs:GetQueueAttributes") from error
    attributes = answer.get("Attributes", {})
    counted = {field: int(attributes.get(name, 0)) for field, name in COUNTED.items()}
    return QueueCounts(**counted, dead_letters=_dead_letters(url, attributes.get("RedrivePolicy")))


def in_outage() -> bool:
    """Whether this process has just met an outage, so that nobody should wait for the next one."""
    met_at = _outage_met_at
    return met_at is not None and time.monotonic() - met_at < setting("OUTAGE_PAUSE")


def _dead_letters(url: str, redrive_policy: str | None) -> int | None:
    """How many the dead-letter queue holds: it lies beside the queue, under the name that its ARN ends with."""
    if not redrive_policy:
        return None
    name = json.loads(redrive_policy)["deadLetterTargetArn"].rpartition(":")[2]
    dead_letter_url = f"{url.rpartition('/')[0]}/{name}"
    try:
        answer = _client().get_queue_attributes(QueueUrl=dead_letter_url, AttributeNames=[COUNTED["waiting"]])
    except (BotoCoreError, ClientError):  # a sender needs no permission for that queue, and may have none
        return None
    return int(answer["Attributes"][COUNTED["waiting"]])


def _ask(operation: str, **parameters: Any) -> dict[str, Any]:
    global _outage_met_at
    try:
        answer = getattr(_client(), operation)(**parameters)
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        explained = _explained(error)
        if isinstance(explained, SqsUnavailable):
            _outage_met_at = time.monotonic()
        raise explained from error
    _outage_met_at = None
    return answer


def _unaccounted() -> SqsUnavailable:
    return SqsUnavailable(
        "The answer does not say what became of the message, so it may have arrived or not. Something between here "
        "and SQS may have answered in its place: check AWS_ENDPOINT_URL and the proxy."
    )


def _explained(error: Exception, asked: str = "take the message", permission: str = "sqs:SendMessage") -> SqsError:
    """A boto3 exception as one that says what to do, and what SQS was `asked` to do."""
    code, reason, server_date = "", str(error), ""
    if isinstance(error, ClientError):
        code, reason = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
        server_date = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    if "NonExistentQueue" in code or "QueueDoesNotExist" in code:
        return QueueDoesNotExist(
            f"There is no queue at {setting('SQS_QUEUE_URL')}. Check SQS_QUEUE_URL and AWS_REGION_NAME "
            f"({setting('AWS_REGION_NAME')}), or create the queue."
        )
    if any(sign in code or sign in reason for sign in CLOCK):
        return SqsUnavailable(
            f"SQS did not {asked}, because this machine's clock is wrong: here it is "
            f"{time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime())}, there {server_date or 'another time'}. "
            f"Set the clock. SQS said: {reason}"
        )
    if code.rpartition(".")[2] in REFUSALS:
        return _refused(code, reason, sender_fault=True)
    return SqsUnavailable(
        f"SQS did not {asked}: {str(error).rstrip('.')}. Check the network, AWS_REGION_NAME, and that there are "
        f"credentials that may call {permission}."
    )


def _refused(code: str, reason: str, sender_fault: bool) -> SqsError:
    """The error for a message that SQS looked at and did not take. `sender_fault`: and never will."""
    if "BatchRequestTooLong" in code or "shorter than" in reason:
        return MessageTooLarge(f"The message is larger than this queue's MaximumMessageSize: {reason}")
    kind = MessageRefused if sender_fault else SqsUnavailable
    return kind(f"SQS refused the message: {code}: {reason}")


def _client() -> Any:
    with _making_client:
        return _made_client(*(setting(name) or None for name in CLIENT_SETTINGS))


@cache
def _made_client(region: str | None, key_id: str | None, secret: str | None, token: str | None) -> Any:
    # A session of its own: boto3's default one keeps the credentials that it once found.
    return boto3.Session().client(
        "sqs",
        region_name=region,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=token if key_id else None,  # without the key, it would be another one's
        config=CONNECTION,
    )


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    """Django sends this signal when a test, or a notebook, overrides settings."""
    global _outage_met_at
    if setting in (*CLIENT_SETTINGS, "SQS_QUEUE_URL"):  # another queue may be at another AWS_ENDPOINT_URL
        _made_client.cache_clear()
        _outage_met_at = None
