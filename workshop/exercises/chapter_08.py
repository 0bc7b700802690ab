"""Chapter 8, When things fail: what its exercise asks, and how it looks at the answers.

Django's models are imported inside of the functions: its settings are there when the lab is open.
"""

import json
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from .calling import TIMEOUT, Raised, attempt, call, kind, record
from .listening import everything_said
from .question import Wrong, question
from .queues import client, counts, fill, fresh, take_all

LAB = {"queue": False}

FIRST_WAIT, LONGEST_WAIT = 30, 3600  # seconds, as the exercise says
SQS_LONGEST = 43_200  # seconds: a visibility timeout of 12 hours is the most that SQS takes

DAY = 86_400  # seconds
VISIBILITY_TIMEOUT = 180  # seconds; this and the next four are what the exercise says
OUTAGE = 3600
GIVE_UP_AFTER = 2 * 3600
PAUSE = 3 * DAY
LOOKED_AT_EVERY = 7 * DAY
LONGEST_RETENTION = 14 * DAY  # SQS's limit

KEY = "a-receivers-key-that-nobody-may-see-Zt4Rw8"
MAX_RECEIVES = 32  # in a check with 14 messages, also for an answer that takes them one by one
MOMENT = 0.2  # seconds that the first of two deliveries works, unless the second is done before
TOO_LARGE = "x" * 2 * 2**20  # twice the 1 MiB that a message may have


@question(
    hints=[
        "A record has {'attributes': {'ApproximateReceiveCount': '2', ...}, ...}. What is 30 * '2' in Python?",
        "Doubling is a power of two: 2**0 is 1, 2**1 is 2, 2**2 is 4. The first delivery has the count 1.",
        "min(a, b) is the smaller one: min(..., 3600).",
    ],
    why="A short trouble is over quickly, and a server in a long one is not hit again and again by every message.",
)
def q1(lab, seconds_to_wait):
    """seconds_to_wait(record): 30, 60, 120 ... seconds, at most an hour, as a whole number."""
    waits = [_wait(seconds_to_wait, count) for count in range(1, 8)]
    if waits[:3] == [60, 120, 240]:
        raise Wrong("after the first delivery it waits for 60 seconds: the count begins with 1, and 2**1 is 2 already")
    if waits[0] == LONGEST_WAIT:
        raise Wrong("it waits for an hour after the first delivery; is it max where it should be min?")
    if waits[0] != FIRST_WAIT:
        raise Wrong(f"after the first delivery it waits for {waits[0]} seconds, and it should be {FIRST_WAIT}")
    if waits[:3] == [30, 60, 90]:
        raise Wrong("after the third delivery it waits for 90 seconds, and it should be 120: twice as long each time")
    for number, (found, wait) in enumerate(zip(waits, [30, 60, 120, 240, 480, 960, 1920], strict=True), start=1):
        if found != wait:
            raise Wrong(f"after delivery {number} it waits for {found} seconds, and it should be {wait}")
    for number in (40, 12, 8):
        found = _wait(seconds_to_wait, number)
        if found > SQS_LONGEST:
            raise Wrong(
                f"after delivery {number} it waits for more than twelve hours. SQS refuses that, and the message comes "
                "back after the queue's own timeout; keep to an hour at the most"
            )
        if found != LONGEST_WAIT:
            raise Wrong(f"after delivery {number} it waits for {found} seconds, and it should be {LONGEST_WAIT}")


@question(
    hints=[
        "Delivery 1 comes at once, delivery 2 after 180 seconds, delivery 3 after 360. Which one comes after an hour?",
        "A dead letter keeps the time at which it was first sent. The oldest one has waited for the three days of the "
        "pause and for all of its deliveries, before a person has seven days to look.",
        "Both retentions are in seconds, and 14 days, 1,209,600 seconds, is the most that SQS takes.",
    ],
    why="These three numbers decide whether an outage, or a holiday, costs some time or some messages.",
)
def q2(lab, numbers):
    """Deliveries and retentions with which the outage, the pause and the week of the exercise lose nothing."""
    count, kept, dead = _three_numbers(numbers)
    last = (count - 1) * VISIBILITY_TIMEOUT
    if last < OUTAGE:
        raise Wrong(
            f"with max_receive_count {count} the last delivery comes {last // 60} minutes after the first, and the "
            "receiver may be away for 60: messages with which nothing is wrong become dead letters"
        )
    tries = count * VISIBILITY_TIMEOUT
    if tries > GIVE_UP_AFTER:
        raise Wrong(
            f"with max_receive_count {count} a message that can never succeed is put aside after "
            f"{tries // 60:,} minutes; within 120 was asked for"
        )
    for name, seconds in (("queue_retention", kept), ("dead_letter_retention", dead)):
        if seconds <= 400:
            raise Wrong(f"{name} is {seconds} seconds: SQS counts seconds, and a day has {DAY:,} of them")
        if seconds > LONGEST_RETENTION:
            raise Wrong(f"{name} is {seconds / DAY:.1f} days, and SQS takes 14 days at the most")
    if kept < PAUSE + tries:
        raise Wrong(
            f"the queue keeps messages for {_time(kept)}. After a pause of three days there must be time left for all "
            f"{count} deliveries, {tries // 60} minutes, or SQS throws the message away between two of them"
        )
    if dead < LOOKED_AT_EVERY:
        raise Wrong(
            f"the dead-letter queue keeps messages for {_time(dead)}, and somebody looks every seven days: some are "
            "gone before anybody has seen them"
        )
    if dead < LOOKED_AT_EVERY + PAUSE + tries:
        raise Wrong(
            f"the dead-letter queue keeps messages for {_time(dead)}, counted from when they were first sent. One that "
            f"came during the pause has used up three days and {tries // 60} minutes before it gets there, and a week "
            "must be left"
        )


@question(
    hints=[
        "Between looking and noting there is a gap. Let the database decide: write the row first, and see whether the "
        "unique key lets you.",
        "Row and work belong into one `with transaction.atomic():`. If work raises, the row goes with it, and a second "
        "delivery waits until it is known how the first one ends.",
        "The row in a transaction.atomic() of its own inside of the other: only around that one, catch IntegrityError "
        "and return False. Then call work. Or let get_or_create, as the first thing in the transaction, tell you.",
    ],
    why="SQS delivers at least once: a receiver that cannot stand duplicates will, on some day, charge somebody twice.",
)
def q3(lab, process_once):
    """process_once(key, work): True when work was done now, False when it was done before."""
    from workshop_django.inbox.models import ReceivedMessage

    with _no_row_left():

        def rows(key):
            return ReceivedMessage.objects.filter(idempotency_key=key).count()

        first, second, taken, third = (f"message-{secrets.token_hex(8)}" for _ in range(4))
        done = []

        def work():
            done.append("work")
            seen.append(rows(first))

        seen = []
        result = call(process_once, first, work)
        if not done:
            raise Wrong("work was not called for a message that is new")
        if len(done) > 1:
            raise Wrong(f"work was called {len(done)} times for one delivery")
        if result is not True:
            raise Wrong(f"it returned {result!r} for a message that is new; it should return True")
        if rows(first) != 1:
            raise Wrong("there is no row with the key afterwards, so a second delivery cannot be known")
        result = call(process_once, first, work)
        if len(done) > 1:
            think = (
                ". Write the row first: its unique key stops the second delivery before any work is done, and nothing "
                "has to be taken back"
            )
            raise Wrong(f"the same message came a second time, and work was called again{'' if seen[0] else think}")
        if result is not False:
            raise Wrong(f"the same message came a second time, and it returned {result!r}; it should return False")

        def fails():
            ReceivedMessage.objects.create(idempotency_key=f"{second}-half")
            raise _WorkFailed("the work failed in its middle")

        outcome = attempt(process_once, second, fails)
        if not isinstance(outcome, Raised):
            raise Wrong(
                f"work raised an exception, and it returned {outcome!r}: the sender would take that for done. Let the "
                "exception go on"
            )
        if rows(second):
            raise Wrong(
                "work raised an exception, and the row with the key is still there: the retry would find it, and do "
                "nothing. Put both into one transaction"
            )
        if rows(f"{second}-half"):
            raise Wrong(
                "work raised an exception, and what it had stored before is still there: the retry would store it "
                "twice. Let work run inside of the transaction, too"
            )
        if call(process_once, second, lambda: None) is not True:
            raise Wrong("work failed once, the message came again, and work was not called")

        _two_at_once(process_once)
        if seen == [0]:
            raise Wrong(
                "work is called before the row is written. SQLite lets only one transaction write at a time, so here "
                "nothing happens; with PostgreSQL both deliveries would work. Write the row first"
            )

        def meets_another_unique_key():
            ReceivedMessage.objects.create(idempotency_key=taken)

        call(process_once, taken, lambda: None)
        outcome = attempt(process_once, third, meets_another_unique_key)
        if not isinstance(outcome, Raised):
            raise Wrong(
                f"work itself met an IntegrityError, and it returned {outcome!r}: a failure is taken for a duplicate, "
                "and the message is lost. Catch IntegrityError around the row alone, or look whether the key is there"
            )


@question(
    hints=[
        "An answer holds ten messages at most, so ask in a loop until an answer has none. With VisibilityTimeout=0 "
        "the same ten may come each time: hide them while you look, for 30 seconds.",
        "At the end give each message back: change_message_visibility(QueueUrl=..., ReceiptHandle=..., "
        "VisibilityTimeout=0). Until then keep the receipt handles in a list.",
        "json.loads raises ValueError for what is no JSON. What is JSON need not be an object: "
        'body.get("data") if isinstance(body, dict) else None.',
    ],
    why="A dead letter is the only evidence of what went wrong, and its body holds keys: look, show little, take none.",
)
def q4(lab, look):
    """look(sqs, dead_letter_queue_url) -> {message id: its data}, of all; they stay, and stay visible."""
    sqs = client()
    url = fresh(sqs, "look-dlq", VisibilityTimeout="30")
    apps = [{"endpoint": "https://receiver.example/", "key": KEY}]
    data = [{"image_id": number} for number in range(1, 11)]
    sent = fill(sqs, url, [json.dumps({"apps": apps, "data": one}) for one in data])
    expected = {message_id: json.loads(body)["data"] for message_id, body in sent.items()}
    poison = fill(sqs, url, ["not JSON", json.dumps({"apps": apps}), '["a list"]'])
    expected |= dict.fromkeys(poison)
    with everything_said() as said, _counted_receives(sqs):
        found = attempt(look, sqs, url, timeout=10)
    _require_an_end(found, "look")
    if not isinstance(found, dict):
        raise Wrong(f"it returned {kind(found)}; return a dict of message ids and data")
    visible, in_flight = counts(sqs, url)
    if visible + in_flight < len(expected):
        raise Wrong("some dead letters are gone: whoever looks must delete nothing, for they are the only evidence")
    if KEY in f"{found}{str(said)}":
        raise Wrong("a receiver's key is in what it returned or printed; return the data of a body, nothing else of it")
    if not found.keys() <= expected.keys():
        raise Wrong("some ids are not those of the dead letters; use each message's MessageId, and send nothing again")
    if len(found) == 10:
        raise Wrong(
            "it returned 10 of 13 dead letters. An answer holds ten at most, and with VisibilityTimeout=0 the next "
            "answer may hold the same ten: hide them while you look, and give them back at the end"
        )
    if found.keys() != expected.keys():
        raise Wrong(f"it returned {len(found)} of 13 dead letters; ask again until an answer is empty")
    for message_id, body in poison.items():
        if found[message_id] is not None:
            raise Wrong(f"a body without data, {_shown(body)}, should have None; it has {_shown(found[message_id])}")
    if found != expected:
        example = next(message_id for message_id in expected if found[message_id] != expected[message_id])
        raise Wrong(
            f"for a message with the data {expected[example]} it returned {_shown(found[example])}, which is not that"
        )
    if in_flight:
        raise Wrong(
            f"{in_flight} dead letters are in flight afterwards: a colleague who looks now sees nothing, and believes "
            "that all is well. Give each back, with a visibility timeout of 0"
        )


@question(
    hints=[
        "For each message: repair, send, and only then delete. Whatever raises on the way must keep you from deleting.",
        "try: ... except Exception: left += 1. It belongs around one message, not around the loop. A message that "
        "stays is in flight, so the loop ends when an answer has no messages.",
        'Message attributes come only if you ask: receive_message(..., MessageAttributeNames=["All"]). Then '
        'send_message(..., MessageAttributes=message.get("MessageAttributes", {})).',
    ],
    why="A redrive is done on bad days and by tired people, so it must be safe to break off at any line.",
)
def q5(lab, redrive):
    """redrive(sqs, dead_letter_queue_url, queue_url, repair) -> (sent, left); no message is ever lost."""
    sqs = client()
    source, target = fresh(sqs, "redrive-dlq", VisibilityTimeout="120"), fresh(sqs, "redrive")
    label = {"trace": {"DataType": "String", "StringValue": "dead-letter-7"}}
    fill(sqs, source, [f"letter {number}" for number in range(1, 11)])
    fill(sqs, source, ["evidence", "puzzle", "giant"])
    fill(sqs, source, ["labelled"], MessageAttributes=label)
    asked = []

    def repair(body):
        asked.append(body)
        if body == "puzzle":
            raise ValueError("nobody knows how to repair this one")
        return {"evidence": None, "giant": TOO_LARGE}.get(body, f"{body}, repaired")

    with everything_said(), _counted_receives(sqs):  # a log line for each that stays would fill the notebook
        outcome = attempt(redrive, sqs, source, target, repair, timeout=10)
    if isinstance(outcome, Raised) and isinstance(outcome.error, _AskedTooOften):
        _require_an_end(outcome, "redrive")
    arrived = take_all(sqs, target)
    texts = [message["Body"] for message in arrived]
    left = sum(counts(sqs, source))
    went = [f"letter {number}" for number in range(1, 11)] + ["labelled"]
    if not asked:
        raise Wrong("repair was not called" + (f"; it raised {outcome}" if isinstance(outcome, Raised) else ""))
    if isinstance(asked[0], dict):
        raise Wrong("repair got the whole message; give it the Body, a text")
    if left + len(arrived) < 14:
        raise Wrong(
            f"there were 14 dead letters, and now there are {left}, with {len(arrived)} in the queue. The difference "
            "is lost: delete a message only after it was sent, and only if it was"
        )
    if set(texts) & {"None", "null", "evidence", "evidence, repaired"}:
        raise Wrong("repair returned None for a message, which should stay where it is, and it was sent")
    if set(texts) & {*went, "puzzle"}:
        raise Wrong("a message was sent as it was; send what repair returned")
    if isinstance(outcome, Raised):
        raise Wrong(
            f"it raised {outcome}. One message that cannot be repaired or sent should stay, and the others go on"
        )
    if len(set(texts)) < len(texts):
        raise Wrong("some messages were sent twice")
    if missing := [body for body in went if f"{body}, repaired" not in texts]:
        raise Wrong(
            f"of 11 good messages, {11 - len(missing)} were sent. An answer holds ten messages at most, and one that "
            "stays, because it is too large for example, must not keep others back. An exception of your own code may "
            "be caught, too: print what you catch"
        )
    if left > 3:
        raise Wrong(f"{left - 3} messages were sent and not deleted: the next redrive sends them again")
    if len(asked) > len(set(asked)):
        raise Wrong("repair was called twice for a message; one that stays comes again at once if nothing hides it")
    [labelled] = [message for message in arrived if message["Body"] == "labelled, repaired"]
    if labelled.get("MessageAttributes", {}).get("trace", {}).get("StringValue") != "dead-letter-7":
        raise Wrong("a message had a message attribute, and it arrived without it; SQS gives them only if you ask")
    if not isinstance(outcome, (tuple, list)) or tuple(outcome) != (11, 3):
        raise Wrong(f"it returned {_shown(outcome)}; 11 messages were sent and 3 left, so (11, 3) was expected")
    _require_nothing_lost_without_a_queue(sqs, redrive)


class _WorkFailed(Exception):
    """What the work of a check raises."""


class _AskedTooOften(Exception):
    """What the client of a check raises when it is asked for messages again and again."""


@contextmanager
def _counted_receives(sqs):
    """A loop over a queue whose messages come back at once would never end: stop it."""
    asked = 0

    def count(**details):
        nonlocal asked
        asked += 1
        if asked > MAX_RECEIVES:
            raise _AskedTooOften

    sqs.meta.events.register("before-call.sqs.ReceiveMessage", count)
    try:
        yield
    finally:
        sqs.meta.events.unregister("before-call.sqs.ReceiveMessage", count)


def _require_an_end(outcome: object, name: str) -> None:
    if not isinstance(outcome, Raised):
        return
    if isinstance(outcome.error, _AskedTooOften):
        raise Wrong(
            f"it asked the dead-letter queue for messages {MAX_RECEIVES} times and did not end: with "
            "VisibilityTimeout=0 a message that stays comes again at once. Hide them while you work, for 30 seconds"
        )
    raise Wrong(f"{name} raised {outcome}")


def _wait(seconds_to_wait, count: int) -> int:
    outcome = attempt(seconds_to_wait, record("a-message", {"image_id": 1}, ApproximateReceiveCount=str(count)))
    if isinstance(outcome, Raised) and isinstance(outcome.error, TypeError):
        raise Wrong(f"it raised {outcome}. In a record ApproximateReceiveCount is a text: make a number of it")
    if isinstance(outcome, Raised):
        raise Wrong(f"after delivery {count} it raised {outcome}")
    if isinstance(outcome, str):
        raise Wrong(
            f"it returned a text, {_shown(outcome)}. In a record ApproximateReceiveCount is a text, too, and 30 times "
            "a text repeats it 30 times: make a number of it"
        )
    if isinstance(outcome, bool) or not isinstance(outcome, (int, float)):
        raise Wrong(f"it returned {kind(outcome)}; return a number of seconds")
    if not isinstance(outcome, int):
        raise Wrong(f"it returned {outcome}; boto3 takes only a whole number, an int")
    return outcome


def _time(seconds: int) -> str:
    """In days and, where it is not whole days, what is over."""
    days, rest = divmod(seconds, DAY)
    return f"{days} days" + (f" and {rest / 60:.0f} minutes" if rest else "")


def _three_numbers(numbers: object) -> list[int]:
    names = ["max_receive_count", "queue_retention", "dead_letter_retention"]
    if not isinstance(numbers, dict):
        raise Wrong(f"a dict was expected, and this is {kind(numbers)}")
    for name in names:
        if name not in numbers:
            raise Wrong(f"numbers has no {name!r}")
        value = numbers[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
            raise Wrong(f"{name} is {value!r}; write a whole number")
    return [int(numbers[name]) for name in names]


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
    """A second delivery comes while the first one is at work: once that succeeds, and once it fails."""
    from workshop_django.inbox.models import ReceivedMessage

    for first_fails in (False, True):
        key = f"message-{secrets.token_hex(8)}"
        done, at_work, second_ended = [], threading.Event(), threading.Event()

        def work(key=key, done=done, at_work=at_work, second_ended=second_ended, fails=first_fails):
            if at_work.is_set():
                done.append("second")
                second_ended.set()
                return
            at_work.set()
            second_ended.wait(MOMENT)  # a second delivery that waits for this one ends later
            if fails:
                raise _WorkFailed("the work of the first delivery failed")
            done.append("first")

        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(attempt, process_once, key, work)
            at_work.wait(TIMEOUT)
            known_early = ReceivedMessage.objects.filter(idempotency_key=key).exists()
            second = attempt(process_once, key, work)
            second_ended.set()
            running.result()
        if known_early:
            raise Wrong(
                "while work still goes on, others can already see the row: a second delivery would be told that all "
                "is done, and its message deleted. If work then fails, nobody ever does it. Row and work belong into "
                "one transaction"
            )
        if len(done) > 1:
            raise Wrong(
                "two deliveries of one message came at the same moment, and both worked. Both looked before either of "
                "them had noted the key"
            )
        if first_fails and second is False:
            raise Wrong(
                "a second delivery came while the first was at work, and was told that all is done. Then the first "
                "one failed: nothing was done, and the message is deleted. The second one must wait until it is known "
                "how the first one ends, as a unique key in a transaction makes it do"
            )


def _require_nothing_lost_without_a_queue(sqs, redrive) -> None:
    source, target = fresh(sqs, "redrive-dlq", VisibilityTimeout="120"), fresh(sqs, "redrive")
    fill(sqs, source, ["one", "two"])
    sqs.delete_queue(QueueUrl=target)
    with everything_said(), _counted_receives(sqs):
        outcome = attempt(redrive, sqs, source, target, lambda body: body, timeout=10)
    if (left := sum(counts(sqs, source))) < 2:
        raise Wrong(f"the queue was not there, so nothing could be sent, and {2 - left} of 2 dead letters are lost")
    if not isinstance(outcome, Raised) and (not isinstance(outcome, (tuple, list)) or tuple(outcome) != (0, 2)):
        raise Wrong(f"the queue was not there, 2 messages stayed, and it returned {_shown(outcome)}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"a long {type(value).__name__}"
