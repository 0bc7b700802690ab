"""Send what belongs to a transaction: nothing if it is rolled back, nothing lost if SQS is away.

    with transaction.atomic():
        image.save()
        enqueue({"apps": [...], "data": {"image_id": image.pk}})
    # Committed: sent now, or, if that failed, by the next relay().

The promise is *at least once*: a process that dies between sending and noting it down leaves a row that is sent
again when its claim has run out. Receivers must be idempotent, which SQS asks of them anyway.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from .errors import SomeNotSent, SqsError
from .manager import BATCH_SIZE, SqSManager, encode
from .models import OutboxMessage

CLAIM = timedelta(seconds=60)  # longer than a request to SQS can take, with its retries
LONGEST_REST = timedelta(hours=1)  # between two tries of a message that SQS refuses for what it is

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Relayed:
    """How many rows were sent, and why each other one that was tried was not."""

    sent: int
    errors: dict[int, SqsError]


def enqueue(msg: dict) -> OutboxMessage:
    """Store a message in the current transaction, and send it once that is committed.

    The sending never raises: what could not be sent waits for relay(), with the reason in its row and the log.
    Raises MessageNotJSON or MessageTooLarge at once, for such a message could never be sent.
    """
    encode(msg)
    row = OutboxMessage.objects.create(body=msg)
    transaction.on_commit(lambda: _send_committed(row.pk), robust=True)  # Django would fail to log a partial
    return row


def _send_committed(pk: int) -> None:
    errors = relay(pk=pk).errors
    for error in errors.values():
        logger.warning("Outbox message %s waits for relay_outbox: %s", pk, error)


def relay(*, pk: int | None = None) -> Relayed:
    """Send everything that waits, oldest first, or the row `pk` alone. Any number may run at the same time.

    Each row is tried once. Stops early when SQS cannot take anything, for the rest would fare no better.
    """
    sent, errors = 0, {}
    last = 0
    while rows := _claim(pk, after=last):
        last = rows[-1].pk
        batch_sent, batch_errors = _send(rows)
        sent += batch_sent
        errors |= batch_errors
        if batch_sent == 0 and not any(error.permanent for error in batch_errors.values()):
            break
    return Relayed(sent, errors)


def _claim(pk: int | None, *, after: int) -> list[OutboxMessage]:
    """Take up to ten rows for this sender alone, in a transaction of its own that holds no one up."""
    now = timezone.now()
    waiting = OutboxMessage.objects.filter(Q(not_before=None) | Q(not_before__lte=now), sent_at=None, pk__gt=after)
    if pk is not None:
        waiting = waiting.filter(pk=pk)
    with transaction.atomic():
        # SQLite has no row locks and needs none here: its transactions are IMMEDIATE, one after the other.
        if connection.features.has_select_for_update_skip_locked:
            waiting = waiting.select_for_update(skip_locked=True)
        rows = list(waiting.order_by("pk")[:BATCH_SIZE])
        OutboxMessage.objects.filter(pk__in=[row.pk for row in rows]).update(
            not_before=now + CLAIM, attempts=F("attempts") + 1
        )
    return rows


def _send(rows: list[OutboxMessage]) -> tuple[int, dict[int, SqsError]]:
    """Send the rows outside of any transaction, then note what became of each."""
    try:
        message_ids, errors = SqSManager.send_many([row.body for row in rows]), {}
    except SomeNotSent as some:
        message_ids, errors = some.message_ids, some.errors
    except SqsError as error:
        message_ids, errors = [None] * len(rows), dict.fromkeys(range(len(rows)), error)
    now = timezone.now()
    with transaction.atomic():
        for position, (row, message_id) in enumerate(zip(rows, message_ids, strict=True)):
            noted = OutboxMessage.objects.filter(pk=row.pk)
            if message_id:
                noted.update(sent_at=now, message_id=message_id, not_before=None, last_error="")
            else:
                error = errors[position]
                # A message that SQS refuses must not be tried over and over before all that waits behind it.
                rest = min(LONGEST_REST, timedelta(seconds=2 ** min(row.attempts, 12))) if error.permanent else None
                noted.filter(sent_at=None).update(not_before=rest and now + rest, last_error=str(error))
    return len(rows) - len(errors), {rows[position].pk: error for position, error in errors.items()}
