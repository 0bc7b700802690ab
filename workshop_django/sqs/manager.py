"""SqSManager: send messages to the queue that settings.SQS_QUEUE_URL names.

    SqSManager.send({"apps": [...], "data": {"image_id": 1}})   # -> the SQS message id
    SqSManager.send_many(messages)                              # ten to a request, ids in the same order
    SqSManager.counts().waiting                                 # how many messages wait to be received

Settings: SQS_QUEUE_URL, AWS_REGION_NAME, and AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY where boto3 should not
look for credentials itself. boto3 reads AWS_ENDPOINT_URL by itself, too, which may name any SQS server.
"""

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from .errors import (
    MessageNotJSON,
    MessageTooLarge,
    QueueDoesNotExist,
    QueueNotConfigured,
    SomeNotSent,
    SqsError,
    SqsUnavailable,
)

BATCH_SIZE = 10  # messages in one SendMessageBatch request, AWS's maximum
MAX_BYTES = 1_048_576  # of a message, and of all messages in one request together: AWS's quota since August 2025

# Saving waits for sending, so an SQS that is away must be known soon: the outbox sends later.
CONNECTION = Config(
    connect_timeout=2,  # seconds
    read_timeout=3,  # seconds
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=50,  # threads that send at once without waiting for a connection
)
# Error codes that are about the message, where the same message will meet the same answer
REFUSALS = {"BatchRequestTooLong", "InvalidMessageContents", "InvalidParameterValue", "MissingParameter"}
CLIENT_SETTINGS = ("AWS_REGION_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

COUNTED = {
    "waiting": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}

_making_client = threading.Lock()  # a boto3 client may be shared by threads, but not made by two at once


@dataclass(frozen=True)
class QueueCounts:
    """How many messages are where. On AWS these are approximate; a minute after the last send they have settled."""

    waiting: int
    in_flight: int
    delayed: int
    dead_letters: int | None  # None: the queue has no dead-letter queue, or it cannot be looked into


class SqSManager:
    """Sends to SQS. Thread-safe; all threads of a process share one boto3 client and its connections."""

    @staticmethod
    def send(msg: dict) -> str:
        """Send one message. Returns its SQS message id.

        Raises MessageNotJSON, MessageTooLarge, QueueNotConfigured, QueueDoesNotExist or SqsUnavailable. After
        SqsUnavailable the message may have arrived all the same, when only SQS's answer was lost.
        """
        body = encode(msg)
        try:
            return _client().send_message(QueueUrl=_queue_url(), MessageBody=body)["MessageId"]
        except (BotoCoreError, ClientError) as error:
            raise _explained(error) from error

    @staticmethod
    def send_many(msgs: Iterable[dict]) -> list[str]:
        """Send any number of messages, in requests of up to ten. Returns their SQS message ids, in order.

        Raises QueueNotConfigured before anything is sent; SomeNotSent, after all others were sent, when messages
        could not be encoded or SQS refused them. Once SQS cannot be reached, or has no such queue, the messages
        from there on are not tried; SomeNotSent names them, too.
        """
        queue_url = _queue_url()
        message_ids: list[str | None] = []
        errors: dict[int, SqsError] = {}
        bodies: list[tuple[int, str]] = []
        for position, msg in enumerate(msgs):
            message_ids.append(None)
            try:
                bodies.append((position, encode(msg)))
            except SqsError as error:
                errors[position] = error
        outage = None
        for batch in _batches(bodies):
            if outage:  # to wait for a timeout at every batch would help nobody
                errors.update(dict.fromkeys((position for position, _ in batch), outage))
            else:
                outage = _send_batch(queue_url, batch, message_ids, errors)
        if errors:
            raise SomeNotSent(message_ids, errors)
        return message_ids

    @staticmethod
    def counts() -> QueueCounts:
        """Ask SQS how many messages are in the queue, and in the dead-letter queue that its redrive policy names.

        Raises QueueNotConfigured, QueueDoesNotExist or SqsUnavailable.
        """
        queue_url = _queue_url()
        names = [*COUNTED.values(), "RedrivePolicy"]
        try:
            answer = _client().get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
        except (BotoCoreError, ClientError) as error:
            raise _explained(error, "tell its counts", "sqs:GetQueueAttributes") from error
        attributes = answer.get("Attributes", {})
        counted = {field: int(attributes.get(name, 0)) for field, name in COUNTED.items()}
        return QueueCounts(**counted, dead_letters=_dead_letters(queue_url, attributes.get("RedrivePolicy")))


def _dead_letters(queue_url: str, redrive_policy: str | None) -> int | None:
    """How many the dead-letter queue holds: it lies beside the queue, under the name that its ARN ends with."""
    if not redrive_policy:
        return None
    name = json.loads(redrive_policy)["deadLetterTargetArn"].rpartition(":")[2]
    url = f"{queue_url.rpartition('/')[0]}/{name}"
    try:
        answer = _client().get_queue_attributes(QueueUrl=url, AttributeNames=[COUNTED["waiting"]])
    except (BotoCoreError, ClientError):  # a sender needs no permission for that queue, and may have none
        return None
    return int(answer["Attributes"][COUNTED["waiting"]])


def _send_batch(queue_url, batch, message_ids, errors) -> SqsError | None:
    """Send up to ten (position, body) pairs; note each one's id, or why it was not sent, under its position.

    Returns the error that would meet every other message as well, if there was one.
    """
    entries = [{"Id": str(position), "MessageBody": body} for position, body in batch]
    try:
        answer = _client().send_message_batch(QueueUrl=queue_url, Entries=entries)
    except (BotoCoreError, ClientError) as error:
        explained = _explained(error)
        if explained.permanent and len(batch) > 1:
            # SQS refused the batch as a whole for what some of it is: for example, a queue with a low
            # MaximumMessageSize counts all bodies together. In halves, the good ones get through.
            half = len(batch) // 2
            first = _send_batch(queue_url, batch[:half], message_ids, errors)
            return _send_batch(queue_url, batch[half:], message_ids, errors) or first
        errors.update(dict.fromkeys((position for position, _ in batch), explained))
        return None if explained.permanent else explained
    for entry in answer.get("Successful", []):
        message_ids[int(entry["Id"])] = entry["MessageId"]
    for entry in answer.get("Failed", []):
        errors[int(entry["Id"])] = _refused(entry["Code"], entry.get("Message", ""), entry["SenderFault"])
    return None


def encode(msg: dict) -> str:
    """The message as JSON text in ASCII, which has no character that SQS forbids and a byte a character.

    Raises MessageNotJSON or MessageTooLarge.
    """
    if not isinstance(msg, dict):
        raise MessageNotJSON(
            f'A message is a dict, such as {{"apps": [...], "data": {{...}}}}, not {type(msg).__name__}.'
        )
    try:
        body = json.dumps(msg, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise MessageNotJSON(f"The message cannot be written as JSON: {error}") from error
    if len(body) > MAX_BYTES:
        raise MessageTooLarge(
            f"The message is {len(body):,} bytes as JSON; SQS takes {MAX_BYTES:,}. "
            "Store the data, for example in Amazon S3, and send where it is."
        )
    return body


def _batches(bodies: list[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Cut the bodies, in order, into batches that one request takes."""
    batch, size = [], 0
    for position, body in bodies:
        if batch and (len(batch) == BATCH_SIZE or size + len(body) > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((position, body))
        size += len(body)
    if batch:
        yield batch


def _queue_url() -> str:
    if not settings.SQS_QUEUE_URL:
        raise QueueNotConfigured(
            "SQS_QUEUE_URL is not set. Write the queue's URL into the environment or .env; "
            "`aws sqs get-queue-url --queue-name image-processing-sync` prints it."
        )
    return settings.SQS_QUEUE_URL


def _explained(error: Exception, asked: str = "take the message", permission: str = "sqs:SendMessage") -> SqsError:
    """A boto3 exception as one that says what to do, and what SQS was `asked` to do."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    if "NonExistentQueue" in code or "QueueDoesNotExist" in code:
        return QueueDoesNotExist(
            f"There is no queue at {settings.SQS_QUEUE_URL}. Check SQS_QUEUE_URL and AWS_REGION_NAME "
            f"({settings.AWS_REGION_NAME}), or create the queue."
        )
    if code.rpartition(".")[2] in REFUSALS:
        return _refused(code, error.response["Error"].get("Message", ""), sender_fault=True)
    reason = str(error).rstrip(".")
    return SqsUnavailable(
        f"SQS did not {asked}: {reason}. Check the network, AWS_REGION_NAME, and that there are "
        f"credentials that may call {permission}."
    )


def _refused(code: str, reason: str, sender_fault: bool) -> SqsError:
    """The error for a message that SQS looked at and did not take. `sender_fault`: and never will."""
    if "BatchRequestTooLong" in code or "shorter than" in reason:
        return MessageTooLarge(f"The message is larger than this queue's MaximumMessageSize: {reason}")
    error = SqsUnavailable(f"SQS refused the message: {code}: {reason}")
    error.permanent = sender_fault
    return error


def _client():
    with _making_client:
        return _made_client(*(getattr(settings, name, None) or None for name in CLIENT_SETTINGS))


@cache
def _made_client(region: str | None, key_id: str | None, secret: str | None):
    # A session of its own: boto3's default one keeps the credentials that it once found.
    return boto3.Session().client(
        "sqs",
        region_name=region,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=CONNECTION,
    )


@receiver(setting_changed)
def _forget_client(*, setting: str, **kwargs) -> None:
    """Django sends this signal when a test, or a notebook, overrides settings."""
    if setting in (*CLIENT_SETTINGS, "SQS_QUEUE_URL"):  # another queue may be at another AWS_ENDPOINT_URL
        _made_client.cache_clear()
