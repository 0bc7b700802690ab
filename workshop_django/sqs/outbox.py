"""Send what belongs to a transaction: nothing if it is rolled back, nothing lost if SQS is away.

    with transaction.atomic():
        image.save()
        enqueue({"data": {"image_id": image.pk}})
    # Committed: sent now, or, if that failed, by the next relay().

The promise is *at least once*: a process that dies between sending and noting it down leaves a row that is sent
again when its claim has run out. It is the same message then, with the same "id", by which receivers know it.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connections, router, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from .conf import setting
from .endpoints import addressed
from .errors import EndpointsNotConfigured, SomeNotSent, SqsError
from .manager import BATCH_SIZE, OUTAGES, SqSManager
from .message import Message, encode, named
from .models import OutboxMessage

CHUNK = 100  # rows that are claimed together, and noted together
CLAIM = timedelta(seconds=60)
LAST_START = 15  # seconds after the claim: ten messages of 1 MiB are ten requests of 4 s at most, and then it is noted
LONGEST_REST = timedelta(hours=1)  # between two tries of a message that SQS refuses for what it is

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Relayed:
    """How many rows were sent, and why each other one that was tried was not.

    `outage` is the error that ended it early, because every other message would have met it as well.
    """

    sent: int = 0
    errors: dict[int, SqsError] = field(default_factory=dict)
    outage: SqsError | None = None


def enqueue(msg: Message, *, using: str | None = None) -> OutboxMessage:
    """Store a message in the current transaction of the database `using`, and send it once that is committed.

    The sending never raises: what could not be sent waits for relay(), with the reason in its row and the log.
    Raises MessageNotJSON, MessageIdInvalid or MessageTooLarge at once, for such a message could never be sent.
    """
    using = using or router.db_for_write(OutboxMessage)
    msg = named(msg)
    try:
        encode(addressed(msg))
    except EndpointsNotConfigured:  # it waits until the setting is there
        encode(msg)
    row = OutboxMessage(body=msg)
    row.save(using=using)
    if setting("SQS_SEND_ON_COMMIT"):
        together = _together(using)
        together.pks.append(row.pk)
        transaction.on_commit(together.send, using=using, robust=True)
    return row


@dataclass
class _Together:
    """The rows of one transaction: the first callback after the commit sends them all, and the others nothing."""

    using: str
    pks: list[int] = field(default_factory=list)

    def send(self) -> None:
        pks, self.pks = self.pks, []
        if not pks or SqSManager.in_outage():  # then they wait for the relay
            return
        relayed = relay(using=self.using, pks=pks)
        for error, of_these in by_reason(relayed.errors).items():
            logger.warning("Outbox message %s waits for relay_outbox: %s", ", ".join(map(str, of_these)), error)


def _together(using: str) -> _Together:
    for _, callback, *_ in reversed(connections[using].run_on_commit):
        if isinstance(together := getattr(callback, "__self__", None), _Together):
            return together
    return _Together(using)


def by_reason(errors: dict[int, SqsError]) -> dict[str, list[int]]:
    """The rows that each reason is of."""
    reasons: dict[str, list[int]] = {}
    for pk, error in errors.items():
        reasons.setdefault(str(error), []).append(pk)
    return reasons


def relay(*, using: str | None = None, pks: list[int] | None = None) -> Relayed:
    """Send everything that is due, first due first, or the rows `pks` alone. Any number may run at the same time.

    Each row is tried once. Stops early when SQS cannot take anything, for the rest would fare no better.
    Like `atomic(durable=True)`, it is refused inside a transaction: others would not see what it notes.
    """
    sent, outage = 0, None
    errors: dict[int, SqsError] = {}
    for chunk in relay_by_chunks(using=using, pks=pks):
        sent, errors, outage = sent + chunk.sent, errors | chunk.errors, chunk.outage
    return Relayed(sent, errors, outage)


def relay_by_chunks(*, using: str | None = None, pks: list[int] | None = None) -> Iterator[Relayed]:
    """As relay(), and tells what became of each chunk of rows when it is done."""
    using = using or router.db_for_write(OutboxMessage)
    started = timezone.now()  # what fails is due again later than that
    while claim := _claim(using, started, pks):
        relayed = _send(using, claim)
        yield relayed
        if relayed.outage:
            break


@dataclass(frozen=True)
class _Claim:
    rows: list[OutboxMessage]
    first_due: datetime  # of any of them, before
    until: datetime  # when others may take them


def unsent(using: str) -> QuerySet[OutboxMessage]:
    """What waits, rests, or is being sent; found by the index, however many rows were sent before."""
    return OutboxMessage.objects.using(using).filter(sent_at=None, not_before__isnull=False)


def _claim(using: str, due: datetime, pks: list[int] | None) -> _Claim | None:
    """Take rows for this sender alone, in a transaction of its own that holds no one up."""
    waiting = unsent(using).filter(not_before__lte=due)
    if pks is not None:
        waiting = waiting.filter(pk__in=pks)
    features = connections[using].features
    with transaction.atomic(using=using, durable=True):
        if features.has_select_for_update:
            waiting = waiting.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
        else:  # SQLite: whoever begins with a write has the database alone, and whoever begins by reading has not
            unsent(using).filter(pk=0).update(attempts=0)
        rows = list(waiting.order_by("not_before", "id")[:CHUNK])
        if not rows:
            return None
        until = timezone.now() + CLAIM
        unsent(using).filter(pk__in=[row.pk for row in rows]).update(
            not_before=until,
            attempts=F("attempts") + 1,
            last_error="",  # a row that rests has an error, and one that is claimed has none
        )
    return _Claim(rows, rows[0].not_before or due, until)


def _send(using: str, claim: _Claim) -> Relayed:
    """Send the rows outside of any transaction, ten by ten, then note what became of each."""
    sent: dict[int, str] = {}
    errors: dict[int, SqsError] = {}
    outage = None
    last_start = time.monotonic() + LAST_START
    for start in range(0, len(claim.rows), BATCH_SIZE):
        if outage or time.monotonic() > last_start:
            break
        outage = _send_ten(claim.rows[start : start + BATCH_SIZE], sent, errors)
    if outage:
        errors = {row.pk: errors.get(row.pk, outage) for row in claim.rows if row.pk not in sent}
    _note(using, claim, sent, errors, outage)
    return Relayed(len(sent), errors, outage)


def _send_ten(rows: list[OutboxMessage], sent: dict[int, str], errors: dict[int, SqsError]) -> SqsError | None:
    """Send up to ten rows. Returns the error that would meet every other row as well, if there was one."""
    messages = {}
    for row in rows:
        try:
            messages[row.pk] = addressed(row.body)
        except EndpointsNotConfigured as error:
            errors[row.pk] = error
    try:
        sent.update(zip(messages, SqSManager.send_many(messages.values()), strict=True))
    except SomeNotSent as some:
        sent.update({pk: arrived for pk, arrived in zip(messages, some.message_ids, strict=True) if arrived})
        pks = list(messages)
        errors.update({pks[position]: error for position, error in some.errors.items()})
        if not any(some.message_ids):
            return next((error for error in some.errors.values() if isinstance(error, OUTAGES)), None)
    return None


def _note(
    using: str, claim: _Claim, sent: dict[int, str], errors: dict[int, SqsError], outage: SqsError | None
) -> None:
    now = timezone.now()
    if sent:
        _note_sent(using, sent, now)
    notes: dict[tuple[datetime, str], list[int]] = {}
    for row in claim.rows:
        if row.pk in sent:
            continue
        error = errors.get(row.pk)
        if error and error.permanent:
            # A message that SQS refuses must not be tried over and over before all that waits behind it.
            due = now + min(LONGEST_REST, timedelta(seconds=2 ** min(row.attempts + 1, 12)))
        elif error and not outage:
            due = now
        else:  # it keeps its place
            due = claim.first_due
        notes.setdefault((due, str(error or "")), []).append(row.pk)
    for (due, reason), pks in notes.items():
        mine = unsent(using).filter(pk__in=pks, not_before=claim.until)  # not what somebody else claimed meanwhile
        mine.update(not_before=due, last_error=reason)


def _note_sent(using: str, sent: dict[int, str], now: datetime) -> None:
    """One statement, whose SQL is written out: Django takes longer to make it than all the rest of a relay's work."""
    connection = connections[using]
    cases, places = " ".join(["WHEN %s THEN %s"] * len(sent)), ", ".join(["%s"] * len(sent))
    ids = [value for pair in sent.items() for value in pair]
    statement = (  # made of placeholders alone; every value is a parameter
        f"UPDATE sqs_outboxmessage SET message_id = CASE id {cases} END, sent_at = %s, not_before = NULL, "  # noqa: S608 # nosec B608
        f"last_error = '' WHERE id IN ({places}) AND sent_at IS NULL"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*ids, connection.ops.adapt_datetimefield_value(now), *sent])


def end_rests(*, using: str | None = None) -> int:
    """Make due what rests after SQS refused it, and leave alone what is claimed. Returns how many rows."""
    using = using or router.db_for_write(OutboxMessage)
    now = timezone.now()
    return unsent(using).filter(not_before__gt=now).exclude(last_error="").update(not_before=now)
