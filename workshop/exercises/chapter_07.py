"""Chapter 7, Django sends on save: what its exercise asks, and how it looks at the answers.

Django is imported inside of the functions: its settings are there when the lab is open.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps

import boto3

from .calling import Raised, attempt, call, kind
from .question import NotAttempted, Wrong, question

LAB = {}

LONGEST_CLAIM = timedelta(hours=1)
EFFECTS = ("neither", "ghost", "lost", "both")


@question(
    hints=[
        "The message leaves at once, whatever becomes of the transaction. Who can tell you when it is committed?",
        "transaction.on_commit takes a function and calls it later: on_commit(lambda: ...). It forgets it after a "
        "rollback.",
    ],
    why="A database takes back what it wrote, and a queue never: a message that left too early tells of nothing.",
)
def q1(lab, save_image):
    """save_image(title, approve) sends one message after the commit of the outermost transaction, and no other."""
    from django.db import transaction

    from workshop_django.sqs import outbox

    with _stage() as stage:
        asked = []

        def approve(image):
            asked.append(getattr(image, "pk", None))

        def refuse(image):
            raise _Refused("this image may not be kept")

        def saved_and_taken_back(title, approve):
            with transaction.atomic():
                save_image(title, approve)
                early = len(stage.take())
                transaction.set_rollback(True)
            return early

        outcome = attempt(save_image, "Refused", refuse)
        if isinstance(outcome, Raised) and "callback must be a callable" in str(outcome):
            raise Wrong(
                "on_commit got what the sending returned, so the message had left already; give it a function that "
                "sends later: lambda: SqSManager.send(...)"
            )
        if not isinstance(outcome, Raised):
            raise Wrong("approve raised an exception, and save_image returned as if all were well; let it go on")
        if not isinstance(outcome.error, _Refused):
            raise Wrong(f"save_image raised {outcome}")
        if stage.new_images():
            raise Wrong("approve raised an exception, and the image is still there; both belong into one transaction")
        if stage.take():
            raise Wrong(
                "approve refused the image, and its message is in the queue: a ghost, for the image does not exist"
            )

        image = call(save_image, "Hills", approve)
        if asked != stage.new_images() or len(asked) != 1:
            raise Wrong("approve must be called once, with the image that was saved")
        if getattr(image, "pk", None) != asked[0]:
            raise Wrong(f"it returned {image!r}; it should return the image")
        outbox.relay()  # to store the row alone is a way, too: then all sending is the relay's
        sent = stage.take()
        if not sent:
            raise Wrong("the image was saved, and no message arrived in the queue")
        if len(sent) > 1:
            raise Wrong(
                f"one image was saved, and {len(sent)} messages arrived in the queue (the relay has run, too: a row of "
                "the outbox that was sent and has no sent_at is sent again)"
            )
        if sent[0] != image.pk:
            raise Wrong("the message that arrived is not the announcement of this image")

        if call(wraps(save_image)(saved_and_taken_back), "River", approve):
            raise Wrong(
                "the caller had opened a transaction, too, and the message left before its end. A caller may still "
                "roll back, so behind your own `with` block is too early: on_commit waits for the outermost"
            )


@question(
    hints=[
        "Think of two accidents, one after the other: more_work raises, and SQS is away. What is stored then, and what "
        "was sent?",
        "Who commits the image, and with it what else? A row that is committed with the image can wait for the relay. "
        "Everything that is stored or sent in a step of its own can be missing.",
        "SQS away inside of atomic() is an exception: the image is taken back, too, so nothing is lost. bulk_create "
        "sends no signal.",
    ],
    why="In a review, this is the question to ask of every line that sends: what if the next line fails?",
)
def q2(lab, effects):
    """effects: for each of the functions a to e, whether it can leave a ghost, a lost message, both or neither."""
    right = {"a": "ghost", "b": "lost", "c": "neither", "d": "lost", "e": "ghost"}
    if not isinstance(effects, dict) or set(effects) != set(right):
        raise Wrong(f"a dictionary with the keys {', '.join(right)} was expected")
    if all(value in (..., None) for value in effects.values()):
        raise NotAttempted
    given = {name: value.strip().lower() if isinstance(value, str) else value for name, value in effects.items()}
    for name, value in given.items():
        if value in (..., None):
            raise Wrong(f"{name} has no answer yet")
        if value not in EFFECTS:
            raise Wrong(f"{name} is {value!r}; write one of {', '.join(map(repr, EFFECTS))}")
    for name, value in given.items():
        if value != right[name]:
            raise Wrong(f"{name} is not {value!r}. {_think(name, value)}")


@question(
    hints=[
        "The images and their messages belong into one transaction: with transaction.atomic():",
        "images = Image.objects.bulk_create([Image(title=title) for title in titles]); then, still inside, "
        "outbox.enqueue(announcement(image)) for each.",
    ],
    why="bulk_create is what an import uses, and an import without messages is noticed weeks later.",
)
def q3(lab, save_all):
    """save_all(titles): one INSERT for the images, one outbox row for each, all of it or nothing."""
    from workshop_django.gallery.announcement import announcement
    from workshop_django.gallery.models import Image
    from workshop_django.sqs.models import OutboxMessage

    _require_function(save_all)
    with _stage() as stage:
        titles = ["Dawn", "Noon", "Night"]
        with _Statements() as statements:
            images = call(statements.noted(save_all), titles)
        saved = list(Image.objects.filter(pk__in=stage.new_images()).order_by("pk"))
        if [image.title for image in saved] != titles:
            raise Wrong(f"of three images, {len(saved)} were saved with their titles")
        if statements.count("INSERT", Image) > 1:
            raise Wrong(
                f"it used {statements.count('INSERT', Image)} INSERTs for three images. Three are quick enough; three "
                "thousand are not: bulk_create needs one"
            )
        bodies = list(OutboxMessage.objects.order_by("pk").values_list("body", flat=True))
        if not bodies and stage.take():
            raise Wrong(
                "the messages were sent, and not stored in the outbox: if SQS is away, they are lost. Use "
                "outbox.enqueue"
            )
        if not bodies:
            raise Wrong("the outbox has no message: bulk_create sends no signal, so enqueue each one yourself")
        if len(bodies) != 3:
            raise Wrong(f"the outbox has {len(bodies)} messages for three images")
        if sorted(bodies, key=str) != sorted((announcement(image) for image in saved), key=str):
            if any(body["data"]["image_id"] is None for body in bodies if _is_message(body)):
                raise Wrong("a message names the image None: it was made before the image was saved, and had no id yet")
            raise Wrong("the messages in the outbox are not the announcements of the three images")
        if [getattr(image, "pk", None) for image in _listed(images)] != [image.pk for image in saved]:
            raise Wrong("it should return the list of the images that were saved")
        stage.take()

        with _Statements(fail="INSERT", model=OutboxMessage) as statements:
            outcome = attempt(statements.noted(save_all), titles)
        if not isinstance(outcome, Raised):
            raise Wrong("a message could not be stored, and it returned as if all were well; let the exception go on")
        if len(stage.new_images()) > 3:
            raise Wrong(
                "the messages could not be stored, and the images were: nobody will ever announce them. Put both into "
                "one transaction.atomic()"
            )

        with _Statements(fail="INSERT", model=OutboxMessage, after=1) as statements:
            attempt(statements.noted(save_all), titles)
        if OutboxMessage.objects.count() not in (3, 6):
            raise Wrong("after a failure in the middle, some of the messages are stored and the images are not")


@question(
    hints=[
        "Store the row now, where the caller's transaction is. Sending waits: transaction.on_commit(...).",
        "The function for on_commit catches whatever send raises, and writes it into row.last_error.",
        "Create the row with not_before=timezone.now() + timedelta(minutes=1), so that no relay takes it meanwhile. "
        "After success, set row.message_id and row.sent_at; after a failure, not_before=None. Save the row.",
    ],
    why="The save never waits for an outage to end, and what could not be sent is there, with its reason.",
)
def q4(lab, enqueue):
    """enqueue(msg, send) stores the row in the caller's transaction, and sends after its commit, never raising."""
    from django.db import transaction

    from workshop_django.sqs import SqSManager
    from workshop_django.sqs.errors import SqsUnavailable
    from workshop_django.sqs.models import OutboxMessage

    _require_function(enqueue)
    with _stage() as stage:
        calls = []

        def send(msg):
            calls.append(msg)
            return SqSManager.send(msg)

        def away(msg):
            calls.append(msg)
            raise SqsUnavailable("SQS is away, in this check")

        def broken(msg):
            calls.append(msg)
            raise RuntimeError("something else is broken, in this check")

        @wraps(enqueue)
        def rolled_back(msg, send):
            with transaction.atomic():
                enqueue(msg, send)
                inside = OutboxMessage.objects.count(), len(calls)
                transaction.set_rollback(True)
            return inside

        @wraps(enqueue)
        def two_committed(msg, send):
            with transaction.atomic():
                enqueue(msg, away)
                return enqueue(_message(2), send)

        @wraps(enqueue)
        def committed(msg, send):
            with transaction.atomic():
                return enqueue(msg, send)

        stored, sent = call(rolled_back, _message(1), send)
        if sent:
            raise Wrong("it sent before the commit: after a rollback the message would be a ghost. Use on_commit")
        if not stored:
            raise Wrong(
                "before the commit there is no row: it is not in the caller's transaction, and what dies after the "
                "commit loses the message. Store the row at once, and only send later"
            )
        if OutboxMessage.objects.exists():
            raise Wrong("the transaction was rolled back, and the row is still in the outbox")
        if calls:
            raise Wrong("the transaction was rolled back, and the message was sent")

        row = call(committed, _message(1), send)
        if not isinstance(row, OutboxMessage):
            raise Wrong(f"it returned {_shown(row)}; it should return the row, an OutboxMessage")
        if OutboxMessage.objects.count() != 1:
            raise Wrong(f"one message was enqueued, and the outbox has {OutboxMessage.objects.count()} rows")
        row.refresh_from_db()
        if row.body != _message(1):
            raise Wrong(f"the row's body is {_shown(row.body)}; it should be the message, as a dictionary")
        if not calls:
            raise Wrong("the transaction was committed, and send was not called")
        if calls != [_message(1)]:
            raise Wrong("send must be called once, with the message")
        if row.sent_at is None:
            raise Wrong("the message was sent, and the row has no sent_at: the relay will send it again")
        if not row.message_id:
            raise Wrong("the row does not keep the message_id that send returned")
        if stage.take() != [1]:
            raise Wrong("the message did not arrive in the queue once")
        _require_sent_once_beside_a_relay(enqueue)

        for refuses, reason in ((away, "SQS is away"), (broken, "something else is broken")):
            outcome = attempt(committed, _message(1), refuses)
            if isinstance(outcome, Raised):
                raise Wrong(
                    f"send raised {type(outcome.error).__name__}, and so did the save, although it is committed. The "
                    "function that on_commit calls must catch every exception of send"
                )
            row = OutboxMessage.objects.filter(pk=getattr(outcome, "pk", None)).first()
            if row is None:
                raise Wrong("send raised an exception, and the row is gone: so is the message")
            if row.sent_at is not None:
                raise Wrong("send raised an exception, and the row has a sent_at: no relay will look at it again")
            if reason not in row.last_error:
                raise Wrong("send raised an exception, and the row's last_error does not say what it was")
            if row.message_id:
                raise Wrong("send raised an exception, and the row has a message_id")
            if row.not_before and row.not_before > _now() + LONGEST_CLAIM:
                raise Wrong("send raised an exception, and the row's not_before keeps the relay away for hours")

        row = call(two_committed, _message(1), send)
        row.refresh_from_db()
        if row.sent_at is None or _message(2) not in calls:
            raise Wrong("of two messages in one transaction, the first could not be sent, and so the second was not")


@question(
    hints=[
        "Take the rows one after the other. Claim a row, send it outside of any transaction, note what became of it.",
        "One statement can both ask and claim: OutboxMessage.objects.filter(pk=row.pk, sent_at=None, <free>)"
        ".update(not_before=<in a minute>) returns 1 for the one relay that has it, and 0 for every other.",
        "<free> is Q(not_before__lte=now). try: send(row.body) ... except Exception as error: "
        "row.last_error = str(error). Save, and go on with the next row.",
    ],
    why="This is the half of the outbox that runs for years, at times twice at once, beside rows that nobody can send.",
)
def q5(lab, relay):
    """relay(send) -> how many were sent: oldest first, each claimed, one bad row harming no other."""
    from workshop_django.sqs.models import OutboxMessage

    with _stage():
        if (nothing := call(relay, _Sends())) != 0:
            raise Wrong(f"with nothing to send it returned {_shown(nothing)}; return how many were sent, 0")
        _relay_in_order(relay, OutboxMessage)
        _relay_beside_a_bad_row(relay, OutboxMessage)
        _relay_leaves_claimed_rows(relay, OutboxMessage)
        _relay_twice_at_once(relay, OutboxMessage)
        _relay_dies(relay, OutboxMessage)


def _require_sent_once_beside_a_relay(enqueue) -> None:
    """A relay looks right after the commit, and again while `send` is at work."""
    from django.db import transaction
    from django.db.models import Q

    from workshop_django.sqs.models import OutboxMessage

    msg, sent, kept_too_long = _message(3), [], []

    def relay_looks():
        rows = OutboxMessage.objects.filter(body=msg, sent_at=None)
        if rows.filter(Q(not_before=None) | Q(not_before__lte=_now())).update(sent_at=_now(), message_id="by a relay"):
            sent.append("by the relay")

    def send(msg):
        kept_too_long.extend(OutboxMessage.objects.filter(body=msg, not_before__gt=_now() + LONGEST_CLAIM))
        relay_looks()
        sent.append("by enqueue")
        return "an-id"

    @wraps(enqueue)
    def committed(msg, send):
        with transaction.atomic():
            transaction.on_commit(relay_looks)
            enqueue(msg, send)

    call(committed, msg, send)
    if len(sent) > 1:
        raise Wrong(
            "between the commit and the end of send the row waits for everybody, and a relay that looks now sends it "
            "a second time. Claim it from the start, with a not_before a minute ahead, and free it if send fails"
        )
    if kept_too_long:
        raise Wrong("who dies while send is at work keeps every relay away for more than an hour; claim for a minute")


def _relay_in_order(relay, rows_of) -> None:
    _fill(rows_of, 1, 2, 3)
    sends = _Sends()
    result = call(relay, sends)
    if sends.not_messages:
        raise Wrong(f"send got {sends.not_messages[0]}; give it the row's body, a dictionary")
    if not sends.images:
        if rows_of.objects.filter(sent_at=None, not_before__gt=_now()).exists():
            raise Wrong(
                "it claimed the rows, and then called send for none of them. A queryset asks the database anew each "
                "time, and after the claim no row is free: make a list() of it before you claim"
            )
        raise Wrong("three rows wait, and it called send for none of them")
    if len(sends.images) != len(set(sends.images)):
        raise Wrong("it sent a row twice")
    if len(sends.images) < 3:
        raise Wrong(f"three rows wait, and it sent {len(sends.images)}; go on until none waits")
    if sends.images != [1, 2, 3]:
        raise Wrong("it did not send the oldest first: a receiver would see the last change before the first")
    if sends.in_transaction:
        raise Wrong(
            "it sends while a transaction is open. As long as SQS is slow, no other process can save: claim in a "
            "short transaction, and send after it"
        )
    if sends.sent_too_early:
        raise Wrong(
            "when send is called, the row has its sent_at already. A relay that dies now has lost the message: first "
            "send, then note it"
        )
    for row in rows_of.objects.all():
        if row.sent_at is None:
            raise Wrong("a row was sent, and has no sent_at: the next relay sends it again")
        if row.message_id != sends.id_of(row):
            raise Wrong("a row was sent, and its message_id is not what send returned")
    if result != 3:
        raise Wrong(f"it sent three rows and returned {_shown(result)}; return how many were sent")
    again = _Sends()
    if call(relay, again) != 0 or again.images:
        raise Wrong("called again, it sent or counted rows that were sent before")


def _relay_beside_a_bad_row(relay, rows_of) -> None:
    _fill(rows_of, 1, 2, 3)
    sends = _Sends(bad={2})
    outcome = attempt(relay, sends)
    if isinstance(outcome, Raised):
        raise Wrong(
            f"one row could not be sent, and relay raised {type(outcome.error).__name__}; whatever send raises, note "
            "it in the row's last_error and go on"
        )
    if 3 not in sends.images:
        raise Wrong("one row could not be sent, and the row behind it was not sent either; go on with the next")
    if sends.images.count(2) > 1:
        raise Wrong("it tried the row that could not be sent more than once in one call; leave it for the next call")
    good, bad, other = rows_of.objects.order_by("pk")
    if bad.sent_at is not None:
        raise Wrong("send raised an exception, and the row has a sent_at: its message is lost")
    if "cannot be sent" not in bad.last_error:
        raise Wrong("the row that could not be sent does not say why: write str(error) into its last_error")
    if good.sent_at is None or other.sent_at is None:
        raise Wrong("beside a row that could not be sent, a good one has no sent_at")
    if outcome != 2:
        raise Wrong(f"two of three rows could be sent, and it returned {_shown(outcome)}")
    _wait_an_hour(rows_of)
    again = _Sends()
    if call(relay, again) != 1 or again.images != [2]:
        raise Wrong("an hour later, the row that had failed would have gone through, and it was not tried again")


def _relay_leaves_claimed_rows(relay, rows_of) -> None:
    now = _now()
    _fill(rows_of, 1, 2)
    rows_of.objects.filter(body=_message(1)).update(not_before=now + timedelta(seconds=30))
    rows_of.objects.filter(body=_message(2)).update(not_before=now - timedelta(seconds=30))
    sends = _Sends()
    call(relay, sends)
    if 1 in sends.images:
        raise Wrong("it sent a row whose not_before is in the future: another relay has claimed it")
    if 2 not in sends.images:
        raise Wrong(
            "it left a row whose not_before has passed. The relay that claimed it has died, so it is free again"
        )


def _relay_twice_at_once(relay, rows_of) -> None:
    def other_relay(sends):
        _require_same_message_once(sends, lambda: call(relay, sends.of_the_other()))

    _fill(rows_of, 1, 2)
    sends = _Sends(while_sending=other_relay)
    call(relay, sends)
    sends.require_each_once("one looked while the other was sending. Claim a row before you send it")

    for moment in range(1, 13):
        _fill(rows_of, 1, 2)
        sends = _Sends()
        with _Statements(after=moment) as statements:
            statements.then = lambda sends=sends: other_relay(sends)
            call(statements.noted(relay), sends)
        sends.require_each_once(
            "between looking for rows and claiming them, there is a moment in which another relay sees the same rows. "
            "Look and claim in one transaction, or claim with an update() whose filter asks again whether the row is "
            "free"
        )
        if not statements.reached:
            break


def _relay_dies(relay, rows_of) -> None:
    _fill(rows_of, 1)
    claims = []

    def die(sends):
        claims.extend(rows_of.objects.values_list("not_before", flat=True))
        raise _PowerCut

    attempt(relay, _Sends(while_sending=die))
    if claims and claims[0] and claims[0] > _now() + LONGEST_CLAIM:
        raise Wrong("a relay that dies keeps its row for more than an hour; claim it for a minute or so")
    _wait_an_hour(rows_of)
    sends = _Sends()
    call(relay, sends)
    if sends.images != [1]:
        raise Wrong(
            "a relay died while it was sending, and its row is never sent again: a claim must run out, which "
            "not_before does by itself"
        )


class _Refused(Exception):
    """What `approve` raises."""


class _PowerCut(BaseException):
    """What ends a relay in the middle of its work."""


@dataclass
class _Stage:
    """The queue of one check, and the images that it found before."""

    sqs: object
    queue_url: str
    before: set[int]

    def take(self) -> list:
        """Receive and delete what is in the queue. Returns the numbers of the images."""
        found = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        bodies = [json.loads(message["Body"]) for message in found]
        return [body["data"]["image_id"] if _is_message(body) else None for body in bodies]

    def new_images(self) -> list[int]:
        from workshop_django.gallery.models import Image

        return sorted(Image.objects.exclude(pk__in=self.before).values_list("pk", flat=True))


@contextmanager
def _stage() -> Iterator[_Stage]:
    """A queue of its own, an empty outbox, and no signal. Afterwards the database is as it was before."""
    from django.conf import settings
    from django.db.models.signals import post_save

    from workshop_django.gallery.models import Image
    from workshop_django.gallery.signals import announce_new_image
    from workshop_django.sqs.models import OutboxMessage

    sqs = boto3.client("sqs")
    queue_url = sqs.create_queue(QueueName="exercise-7")["QueueUrl"]
    connected = post_save.disconnect(announce_new_image, sender=Image)
    rows = list(OutboxMessage.objects.values())
    before = set(Image.objects.values_list("pk", flat=True))
    OutboxMessage.objects.all().delete()
    # Not with override_settings: it sends a signal at which SqSManager makes a new client, and that takes a while.
    settings.SQS_QUEUE_URL, queue_url_before = queue_url, settings.SQS_QUEUE_URL
    try:
        yield _Stage(sqs, queue_url, before)
    finally:
        settings.SQS_QUEUE_URL = queue_url_before
        if connected:
            post_save.connect(announce_new_image, sender=Image)
        Image.objects.exclude(pk__in=before).delete()
        OutboxMessage.objects.all().delete()
        for row in rows:
            OutboxMessage.objects.create(**row)
            OutboxMessage.objects.filter(pk=row["id"]).update(created_at=row["created_at"])
        sqs.delete_queue(QueueUrl=queue_url)


class _Statements:
    """The statements that a function sends to the database: noted, and one of them failing or followed by `then`.

    `fail` and `model`: the statements of that kind on that model's table fail, after the first `after` of them.
    `then` is called once, after the `after`-th statement that is in no transaction.
    """

    def __init__(self, *, fail: str = "", model=None, after: int = 0):
        self.fail, self.model, self.after = fail, model, after
        self.then: Callable[[], None] | None = None
        self.reached = False
        self.seen: list[str] = []
        self.outside = 0

    def __enter__(self) -> "_Statements":
        return self

    def __exit__(self, *exception) -> None:
        self.then = None

    def noted(self, function: Callable) -> Callable:
        """The function, to be called on a thread of its own, with the database connection of that thread."""
        from django.db import connection

        @wraps(function)
        def run(*args):
            with connection.execute_wrapper(self._execute):
                return function(*args)

        return run

    def count(self, kind: str, model) -> int:
        return sum(sql.lstrip().upper().startswith(kind) and model._meta.db_table in sql for sql in self.seen)

    def _execute(self, execute, sql, params, many, context):
        from django.db import DatabaseError

        fails = self.fail and sql.startswith(self.fail) and self.model._meta.db_table in sql
        if fails and self.count(self.fail, self.model) >= self.after:
            raise DatabaseError("the outbox cannot be written, in this check")
        self.seen.append(sql)
        result = execute(sql, params, many, context)
        if self.then and not context["connection"].in_atomic_block and not sql.startswith("BEGIN"):
            self.outside += 1
            if self.outside == self.after:
                self.reached = True
                self.then()
        return result


class _Sends:
    """A `send`: it notes what it is called for, in which circumstances, and raises for what is bad."""

    def __init__(self, bad=(), while_sending: Callable[["_Sends"], None] | None = None):
        self.bad, self.while_sending = set(bad), while_sending
        self.images: list[int] = []
        self.not_messages: list[str] = []
        self.in_transaction = self.sent_too_early = False
        self.trouble: Wrong | None = None

    def __call__(self, msg) -> str:
        from django.db import connection

        from workshop_django.sqs.models import OutboxMessage

        if not _is_message(msg):
            self.not_messages.append(_shown(msg))
            return "no message"
        image = msg["data"]["image_id"]
        self.images.append(image)
        self.in_transaction |= connection.in_atomic_block
        self.sent_too_early |= OutboxMessage.objects.filter(body=msg, sent_at__isnull=False).exists()
        if self.while_sending:
            then, self.while_sending = self.while_sending, None
            then(self)
        if image in self.bad:
            raise RuntimeError(f"image {image} cannot be sent")
        return f"id-of-{image}"

    def of_the_other(self) -> "_Sends":
        """The same list of what was sent, for another relay."""
        other = _Sends()
        other.images = self.images
        return other

    def id_of(self, row) -> str:
        return f"id-of-{row.body['data']['image_id']}"

    def require_each_once(self, twice_because: str) -> None:
        if self.trouble:
            raise self.trouble
        if twice := sorted({image for image in self.images if self.images.count(image) > 1}):
            count = "both rows were" if len(twice) > 1 else "a row was"
            raise Wrong(f"two relays ran at once, and {count} sent twice: {twice_because}")
        if sorted(self.images) != [1, 2]:
            raise Wrong("two relays ran at once, and a row was sent by neither")


def _require_same_message_once(sends: _Sends, run: Callable) -> None:
    try:
        run()
    except Wrong as wrong:
        sends.trouble = Wrong(f"while one relay was at work, another one was called, and {wrong}")


def _fill(rows_of, *images: int) -> None:
    """The outbox with one row for each image, the oldest first."""
    rows_of.objects.all().delete()
    for image in images:
        rows_of.objects.create(body=_message(image))


def _wait_an_hour(rows_of) -> None:
    """All claims and rests are one hour older now."""
    from django.db.models import F

    rows_of.objects.filter(not_before__isnull=False).update(not_before=F("not_before") - LONGEST_CLAIM)


def _message(image: int) -> dict:
    return {"id": f"image-{image}", "data": {"image_id": image}}


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("data"), dict) and "image_id" in value["data"]


def _now():
    from django.utils import timezone

    return timezone.now()


def _think(name: str, value: str) -> str:
    """What to think about, for a wrong answer to one function of question 2."""
    if name == "a" and value in ("lost", "both"):
        return "When SQS is away, the sending raises inside of the transaction: what becomes of the image then"
    if name == "a":
        return "Let more_work raise: the image is taken back, and the message has left"
    if name == "b" and value in ("ghost", "both"):
        return "After a rollback, on_commit forgets the function, so there is no message without an image"
    if name == "b":
        return "Let SQS be away at the moment after the commit: robust=True hides the error, and who sends then"
    if name == "c":
        return "The image and the row are committed together or not at all, and the relay sends the row later"
    if name == "d" and value in ("ghost", "both"):
        return "The row is stored after the image, so there is never one without the other's commit"
    if name == "d":
        return "There are two commits. Let more_work raise between them"
    if value in ("lost", "both"):
        return "When SQS is away, the message is stored in the transaction of the image; what is lost"
    return "The outbox is only used when SQS is away. On all other days, what is left when more_work raises"


def _require_function(value: object) -> None:
    if not callable(value):
        raise Wrong(f"a function was expected, and this is {kind(value)}")


def _listed(value: object) -> list:
    return list(value) if isinstance(value, (list, tuple)) or hasattr(value, "model") else []


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"a {type(value).__name__}"
