"""Chapter 8, When things fail: what its exercise asks, and how it looks at the answers.

Django's models are imported inside of the functions: its settings are there when the lab is open.
"""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from .calling import TIMEOUT, Raised, attempt, call, expect, record, shown
from .listening import everything_said
from .question import Wrong, question
from .queues import MAX_BATCH, client, counts, fill, fresh, noted, take_all

LAB = {"queue": False}

DAY = 86_400  # seconds
VISIBILITY_TIMEOUT = 180  # seconds; this and the next four are what the exercise says
OUTAGE = 3600
GIVE_UP_AFTER = 2 * 3600
PAUSE = 3 * DAY
LOOKED_AT_EVERY = 7 * DAY
LONGEST_RETENTION = 14 * DAY  # SQS's limit

MOMENT = 0.2  # seconds that the first of two deliveries works, unless the second is done before
TOO_LARGE = "x" * 2 * 2**20  # twice the 1 MiB that a message may have


@question(
    hints=[
        "In a record ApproximateReceiveCount is a text. What is 30 * '2' in Python?",
        "Doubling is a power of two: 2**0 is 1, 2**1 is 2, 2**2 is 4. The first delivery has the count 1.",
        "min(a, b) is the smaller one: min(..., 3600).",
    ],
    why="A short trouble is over quickly, and a server in a long one is not hit again and again by every message.",
)
def q1(lab, seconds_to_wait):
    """seconds_to_wait(record): 30, 60, 120 ... seconds, at most an hour, as a whole number."""
    for count, right in [(1, 30), (2, 60), (3, 120), (7, 1920), (40, 3600), (8, 3600)]:
        found = call(seconds_to_wait, record("a-message", {"image_id": 1}, ApproximateReceiveCount=str(count)))
        if isinstance(found, str):
            raise Wrong("a text", f"it returned a text of {len(found)} characters: the count in a record is a text")
        if isinstance(found, int) and found > 43_200:
            raise Wrong("too long", f"after delivery {count} it is more than the twelve hours that SQS takes")
        if found == right and not isinstance(found, int):
            raise Wrong("no whole number", f"it returned {found}; boto3 takes only a whole number")
        if found == 2 * right:
            raise Wrong("one too many", f"after delivery {count} it is {found}: the count begins with 1")
        expect(found, right, f"after delivery {count} ")


@question(
    hints=[
        "Delivery 1 comes at once, delivery 2 after 180 seconds, delivery 3 after 360. Which one comes after an hour?",
        "A dead letter keeps the time at which it was first sent. The oldest one has waited for the three days of the "
        "pause and for all of its deliveries, before a person has seven days to look.",
        "Both retentions are in seconds, and 14 days, 1,209,600 seconds, is the most that SQS takes.",
    ],
    why="An outage, and a holiday, cost some time and no message.",
)
def q2(lab, numbers):
    """Deliveries and retentions with which the outage, the pause and the week of the exercise lose nothing."""
    count, kept, dead = (numbers[name] for name in ("max_receive_count", "queue_retention", "dead_letter_retention"))
    last, tries = (count - 1) * VISIBILITY_TIMEOUT, count * VISIBILITY_TIMEOUT
    if last < OUTAGE:
        raise Wrong(
            "too few", f"the last of {count} deliveries comes {last // 60} minutes after the first, within the hour"
        )
    if tries > GIVE_UP_AFTER:
        raise Wrong("too many", f"with {count} deliveries, what can never succeed is tried for {tries // 60:,} minutes")
    if max(kept, dead) > LONGEST_RETENTION or min(kept, dead) < 60:
        raise Wrong("not possible", "SQS takes a retention from 60 seconds to 14 days, in seconds")
    if kept < PAUSE + tries:
        raise Wrong(
            "pause", f"the queue keeps a message for {kept / DAY:.2f} days: a pause and {count} deliveries are more"
        )
    if dead < LOOKED_AT_EVERY + PAUSE + tries:
        raise Wrong(
            "dead letters",
            f"a dead letter is kept for {dead / DAY:.2f} days from when it was first sent. Take off a pause and "
            f"{count} deliveries, and less than a week is left",
        )


@question(
    hints=[
        "Between looking and noting there is a gap. Let the database decide: write the row first, and see whether the "
        "unique key lets you.",
        "Row and work belong into one `with transaction.atomic():`. If work raises, the row goes with it, and a second "
        "delivery waits until it is known how the first one ends.",
        "get_or_create, as the first thing in the transaction, gives the row, and whether it is new.",
    ],
    why="SQS may deliver twice, and nobody is charged twice.",
)
def q3(lab, process_once):
    """process_once(key, work): True when work was done now, False when it was done before."""
    from django.db import IntegrityError

    from workshop_django.inbox.models import ReceivedMessage

    def rows(key):
        return ReceivedMessage.objects.filter(idempotency_key=key).count()

    def fails():
        ReceivedMessage.objects.create(idempotency_key=f"{other}-half")
        raise IntegrityError("the work met a key that is taken, and not yours")

    key, other = (f"message-{secrets.token_hex(8)}" for _ in range(2))
    rows_at_work = []
    with _no_row_left():
        results = [call(process_once, key, lambda: rows_at_work.append(rows(key))) for _ in range(2)]
        expect(
            (results, len(rows_at_work)), ([True, False], 1), "for a message that comes twice, with the calls of work, "
        )
        _two_at_once(process_once)
        if rows_at_work == [0]:
            raise Wrong(
                "row last",
                "work is called before the row is written. SQLite lets only one transaction write at a time, so here "
                "nothing happens; with PostgreSQL both deliveries would work",
            )
        outcome = attempt(process_once, other, fails)
        if rows(other) or rows(f"{other}-half"):
            raise Wrong("left behind", "work raised an exception, and a row is still there, of the message or of work")
        if not isinstance(outcome, Raised):
            raise Wrong(
                "swallowed", f"work raised an exception, and it returned {outcome}: a loss, if that is taken for done"
            )


@question(
    hints=[
        "Which line must go, and what gives a message back before its time is over?",
        "change_message_visibility with VisibilityTimeout=0. Done at once, it makes the loop meet the message again.",
        "Keep the receipt handles in a list, and give all back behind the loop.",
    ],
    why="The evidence is still there, and a colleague who looks now sees it, too.",
)
def q4(lab, look):
    """look(sqs, url) -> the ids of all dead letters; they stay, and stay visible."""
    sqs = client()
    asked = noted(sqs, "ReceiveMessage")
    given_back = noted(sqs, "ChangeMessageVisibilityBatch")
    url = fresh(sqs, "look-dlq", VisibilityTimeout="30")
    sent = fill(sqs, url, [f"letter {number}" for number in range(13)])
    found = call(look, sqs, url, timeout=10)
    if (most := max((len(parameters["Entries"]) for parameters in given_back), default=0)) > MAX_BATCH:
        raise Wrong("batch", f"it gives {most} back in one request: AWS refuses more than ten, and all stay hidden")
    visible, in_flight = counts(sqs, url)
    if visible + in_flight < len(sent):
        raise Wrong(
            "gone", f"of {len(sent)} dead letters {visible + in_flight} are left, and they are the only evidence"
        )
    if in_flight:
        raise Wrong(
            "hidden", f"{in_flight} dead letters are in flight afterwards: a colleague who looks now misses them"
        )
    if not all(parameters.get("WaitTimeSeconds") for parameters in asked):
        raise Wrong("short polling", "it asks without long polling: an answer can be empty although letters are there")
    if not isinstance(found, (list, tuple, set)) or sorted(found) != sorted(sent):
        raise Wrong("returned", f"all {len(sent)} ids, each once, were expected, and it returned {shown(found)}")


@question(
    hints=[
        "For each message: repair, send, and only then delete.",
        "What raises for one message must neither end the loop nor lead to delete_message.",
        "try: send_message(...), except Exception: continue. What stays is in flight, so the loop ends.",
    ],
    why="A redrive is done on bad days and by tired people, and this one can break off at any line.",
)
def q5(lab, redrive):
    """redrive(sqs, dead_letter_queue_url, queue_url, repair) -> how many were sent; no message is ever lost."""
    sqs = client()
    source, target = fresh(sqs, "redrive-dlq", VisibilityTimeout="120"), fresh(sqs, "redrive")
    good = [f"letter {number}" for number in range(11)]
    fill(sqs, source, ["puzzle", *good[:6], "giant", *good[6:]])

    def repair(body):
        if body == "puzzle":
            raise ValueError("nobody knows how to repair this one")
        return TOO_LARGE if body == "giant" else f"{body}, repaired"

    with everything_said():  # a log line for each that stays would fill the notebook
        result = attempt(redrive, sqs, source, target, repair, timeout=15)
    arrived = sorted(message["Body"] for message in take_all(sqs, target))
    left = sum(counts(sqs, source))
    if left + len(set(arrived)) < len(good) + 2:
        raise Wrong("lost", f"of {len(good) + 2} dead letters {left} are there, and {len(arrived)} were sent: a loss")
    if isinstance(result, Raised):
        raise Wrong("raised", f"one message could not be repaired or sent, and redrive ended: it raised {result}")
    if left > 2 and len(arrived) == len(good):
        raise Wrong(
            "not deleted", f"{left - 2} messages were sent, and are not deleted: the next redrive sends them again"
        )
    if arrived != sorted(f"{body}, repaired" for body in good):
        raise Wrong("others", f"of {len(good)} good messages, each to be sent once, what arrived is {shown(arrived)}")
    expect(result, len(good), f"for {len(good)} messages that were sent ")


@contextmanager
def _no_row_left():
    """Rows that the block adds to what the receiver has stored go at its end."""
    from workshop_django.inbox.models import ReceivedMessage

    known = list(ReceivedMessage.objects.values_list("pk", flat=True))
    try:
        yield
    finally:
        ReceivedMessage.objects.exclude(pk__in=known).delete()


def _two_at_once(process_once) -> None:
    """A second delivery comes while the first one is at work."""
    from workshop_django.inbox.models import ReceivedMessage

    key = f"message-{secrets.token_hex(8)}"
    done, at_work, second_ended = [], threading.Event(), threading.Event()

    def work():
        first = not at_work.is_set()
        at_work.set()
        if first:
            second_ended.wait(MOMENT)  # a second delivery that waits for this one ends later
        done.append(first)

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(attempt, process_once, key, work)
        at_work.wait(TIMEOUT)
        known_early = ReceivedMessage.objects.filter(idempotency_key=key).exists()
        attempt(process_once, key, work)
        second_ended.set()
        running.result()
    if len(done) > 1:
        raise Wrong(
            "same moment", "two deliveries came at the same moment, and both worked: both looked, and saw nothing"
        )
    if known_early:
        raise Wrong(
            "known early",
            "while work goes on, others see the row already: a second delivery is told that all is done, and if work "
            "fails then, nobody ever does it",
        )
