"""SqSManager: send messages to the queue that settings.SQS_QUEUE_URL names.

    SqSManager.send({"apps": [...], "data": {"image_id": 1}})   # -> the SQS message id
    SqSManager.send_many(messages)                              # ten to a request, ids in the same order
    SqSManager.counts().waiting                                 # how many messages wait to be received

It sends what a message says, and adds no more than an "id" where there is none. README.md has the settings.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from . import aws, memory
from .aws import QueueCounts
from .conf import setting
from .errors import QueueDoesNotExist, QueueNotConfigured, SomeNotSent, SqsError, SqsUnavailable
from .message import MAX_BYTES, Message, encode, named

BACKENDS = {"aws": aws, "memory": memory}
BATCH_SIZE = 10  # messages in one SendMessageBatch request, AWS's maximum
OUTAGES = (QueueNotConfigured, QueueDoesNotExist, SqsUnavailable)  # would meet every other message as well


class SqSManager:
    """Sends to SQS. Thread-safe; all threads of a process share one boto3 client and its connections."""

    @staticmethod
    def send(msg: Message) -> str:
        """Send one message. Returns its SQS message id.

        Raises MessageNotJSON, MessageIdInvalid, MessageTooLarge, MessageRefused, QueueNotConfigured,
        QueueDoesNotExist or SqsUnavailable. After SqsUnavailable the message may have arrived all the same.
        """
        try:
            msg = named(msg)
            return _backend().send(encode(msg))
        except SqsError as error:
            error.messages = [msg]
            raise

    @staticmethod
    def send_many(msgs: Iterable[Message]) -> list[str]:
        """Send any number of messages, in requests of up to ten. Returns their SQS message ids, in order.

        Raises SomeNotSent, after all others were sent, when messages could not be encoded or SQS refused them. Once
        SQS cannot be reached, or has no such queue, the messages from there on are not tried; it names them, too.
        """
        messages: list[Message] = []
        outcomes: dict[int, str | SqsError] = {}
        bodies: list[tuple[int, str]] = []
        for position, msg in enumerate(msgs):
            messages.append(msg)
            try:
                messages[position] = named(msg)
                bodies.append((position, encode(messages[position])))
            except SqsError as error:
                outcomes[position] = error
        outage = None
        for batch in _batches(bodies):
            positions = [position for position, _ in batch]
            try:
                if outage:  # to wait for a timeout at every batch would help nobody
                    raise outage
                outcomes.update(zip(positions, _backend().send_batch([body for _, body in batch]), strict=True))
            except OUTAGES as error:
                outage = error
                outcomes.update(dict.fromkeys(positions, error))
        errors = {position: outcome for position, outcome in outcomes.items() if isinstance(outcome, SqsError)}
        sent = {position: outcome for position, outcome in outcomes.items() if isinstance(outcome, str)}
        if errors:
            message_ids = [sent.get(position) for position in range(len(messages))]
            raise SomeNotSent(message_ids, errors, [messages[position] for position in sorted(errors)])
        return [sent[position] for position in range(len(messages))]

    @staticmethod
    def counts() -> QueueCounts:
        """Ask SQS how many messages are in the queue, and in the dead-letter queue that its redrive policy names.

        Raises QueueNotConfigured, QueueDoesNotExist or SqsUnavailable.
        """
        return _backend().counts()

    @staticmethod
    def in_outage() -> bool:
        """Whether this process has met an outage within the last OUTAGE_PAUSE seconds, and nothing better since."""
        return _backend().in_outage()


def _backend() -> Any:
    name = setting("SQS_BACKEND")
    if name not in BACKENDS:
        raise ImproperlyConfigured(f"SQS_BACKEND is {name!r}. Set it to one of {', '.join(map(repr, BACKENDS))}.")
    return BACKENDS[name]


def _batches(bodies: list[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Cut the bodies, in order, into batches that one request takes."""
    batch: list[tuple[int, str]] = []
    size = 0
    for position, body in bodies:
        if batch and (len(batch) == BATCH_SIZE or size + len(body) > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((position, body))
        size += len(body)
    if batch:
        yield batch
