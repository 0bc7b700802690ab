"""The way out for a project's tests, with SQS_BACKEND="memory": nothing is sent, and what would have been is here.

from sqs import memory
memory.outbox                       # [{"id": ..., "apps": [...], "data": {...}}, ...], the oldest first
memory.outbox.clear()               # in setUp()
"""

import json
import uuid

from .aws import QueueCounts
from .errors import SqsError
from .message import Message

outbox: list[Message] = []


def send(body: str) -> str:
    outbox.append(json.loads(body))
    return str(uuid.uuid4())


def send_batch(bodies: list[str]) -> list[str | SqsError]:
    return [send(body) for body in bodies]


def counts() -> QueueCounts:
    return QueueCounts(waiting=len(outbox), in_flight=0, delayed=0, dead_letters=None)


def in_outage() -> bool:
    return False
