"""Chapter 7, Django sends on save: what its exercise asks, and how it looks at the answers.

Django is imported inside of the functions: its settings are there when the lab is open.
"""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from threading import Event

from . import queues
from .calling import TIMEOUT, Raised, attempt, call, expect, expect_each, shown
from .question import Wrong, question

LAB = {}

LONGEST_CLAIM = timedelta(hours=1)


@question(
    hints=[
        "The message leaves at once, whatever becomes of the transaction. Who can tell you when it is committed?",
        "transaction.on_commit(...) calls a function after the commit of the outermost transaction. After a rollback, "
        "it forgets it.",
        "transaction.on_commit(lambda: SqSManager.send(addressed(announcement(image))))",
    ],
    why="A message leaves when its image is there for everybody, and none tells of an image that never was.",
)
def q1(lab, save_image):
    """save_image(title, approve) sends one message after the commit of the outermost transaction, and no other."""
    from django.db import transaction

    from workshop_django.gallery.models import Image
    from workshop_django.sqs import outbox

    _empty(lab)

    def refuse(image):
        raise _Refused("this image may not be kept")

    outcome = attempt(save_image, "Refused", refuse)
    if not isinstance(outcome, Raised):
        raise Wrong("swallowed", "approve raised an exception, and save_image returned as if all were well")
    if not isinstance(outcome.error, _Refused):
        raise Wrong("raised", f"save_image raised {outcome}")
    if Image.objects.filter(title="Refused").exists():
        raise Wrong("kept", "approve raised an exception, and the image is still there")
    if _images_in(lab):
        raise Wrong("ghost", "approve refused the image, and its message is in the queue: a ghost")

    @wraps(save_image)
    def inside(title, approve):
        with transaction.atomic():
            return save_image(title, approve), _images_in(lab)

    approved = []
    image, early = call(inside, "Hills", approved.append)
    outbox.relay()  # to store a row alone is a way, too: then all sending is the relay's
    if early:
        raise Wrong("early", "the caller had opened a transaction, too, and the message left before its end")
    if not isinstance(image, Image) or approved != [image]:
        raise Wrong("returned", f"it returned {shown(image)}, and approve got {shown(approved)}: both get the image")
    if (sent := _images_in(lab)) != [image.pk]:
        raise Wrong("messages", f"one image was saved, number {image.pk}, and the queue got messages about {sent}")


@question(
    hints=[
        "Think of two accidents, one after the other: more_work raises, and SQS is away. What is stored then, and what "
        "was sent?",
        "What is committed together with the image can wait for the relay. What is stored or sent in a step of its own "
        "can be missing.",
        "SQS away inside of atomic() is an exception: it takes back the image, too, and so nothing is lost.",
    ],
    why="You can ask of every line that sends: what if the next one fails?",
)
def q2(lab, effects):
    """effects: for each of the functions a to e, whether it can leave a ghost, a lost message, both or neither."""
    expect_each(
        effects,
        {"a": "ghost", "b": "lost", "c": "neither", "d": "lost", "e": "ghost"},
        {
            "a": "Let more_work raise. Then let SQS be away, which raises inside of the transaction. What is left?",
            "b": "Let more_work raise. Then let SQS be away at the moment after the commit. Who sends later?",
            "c": "What is committed together with the image, and who sends it later?",
            "d": "Outside of atomic(), each line is a commit of its own. Let the power fail between two of them",
            "e": "On a day when SQS is there, let more_work raise. When SQS is away, who sends later?",
        },
    )


@question(
    hints=["Two things belong together: the images and their messages.", "with transaction.atomic(): around both."],
    why="An import that fails in the middle can be run again, and no image is without its message.",
)
def q3(lab, save_all):
    """save_all(titles): one INSERT for the images, one outbox row for each, all of it or nothing."""
    from workshop_django.gallery.announcement import announcement
    from workshop_django.gallery.models import Image
    from workshop_django.sqs.models import OutboxMessage

    _empty(lab)
    statements = _Statements()
    images = call(statements.noted(save_all), ["Hills", "Lake", "River"])
    saved = list(Image.objects.order_by("pk"))
    found = list(images) if hasattr(images, "__iter__") else images
    if [image.title for image in saved] != ["Hills", "Lake", "River"] or found != saved:
        raise Wrong("returned", f"for three titles it returned {shown(images)}; {shown(saved)} are in the database")
    if (inserts := statements.count("INSERT", Image)) > 1:
        raise Wrong("inserts", f"it saved three images with {inserts} INSERTs; for thousands, that takes long")
    bodies = list(OutboxMessage.objects.order_by("pk").values_list("body", flat=True))
    if bodies != [announcement(image) for image in saved]:
        raise Wrong("messages", f"three images were saved, and the outbox has {shown(bodies)}")
    outcome = attempt(_Statements(refused=OutboxMessage).noted(save_all), ["Dawn", "Noon"])
    if Image.objects.count() > len(saved):
        raise Wrong("half", "the messages could not be stored, and the images were: nobody will ever announce them")
    if not isinstance(outcome, Raised):
        raise Wrong("swallowed", "the messages could not be stored, and it returned as if all were well")


@question(
    hints=[
        "Both mistakes are about moments: one between the commit and the end of send, one when send raises.",
        "A row is claimed where it is created: not_before=timezone.now() + timedelta(minutes=1).",
        "In send_now: try as before, and except Exception as error: row.last_error = str(error), and "
        "row.not_before = timezone.now(). Save the row in both cases.",
    ],
    why="A save never fails because of SQS, and what could not be sent is there, with its reason, for the relay.",
)
def q4(lab, enqueue):
    """enqueue(msg, send) stores the row in the caller's transaction, and sends after its commit, never raising."""
    from django.db import transaction

    from workshop_django.sqs.models import OutboxMessage

    _empty(lab)
    sent, claims = [], []

    def relay_looks():
        if OutboxMessage.objects.filter(sent_at=None, not_before__lte=_now()).update(sent_at=_now()):
            sent.append("by a relay")

    def send(msg):
        claims.extend(OutboxMessage.objects.filter(sent_at=None).values_list("not_before", flat=True))
        relay_looks()
        sent.append("by enqueue")
        return "an-id"

    def away(msg):
        raise RuntimeError("SQS is away, in this check")

    def inside(rollback):
        @wraps(enqueue)
        def run(msg, send):
            with transaction.atomic():
                transaction.on_commit(relay_looks)
                there = enqueue(msg, send), OutboxMessage.objects.count(), list(sent)
                transaction.set_rollback(rollback)
                return there

        return run

    _, stored, early = call(inside(rollback=True), _message(1), send)
    if not stored or OutboxMessage.objects.exists():
        raise Wrong("not stored", "the row is not in the caller's transaction: stored at once, and gone by a rollback")
    row, _, early = call(inside(rollback=False), _message(1), send)
    if not isinstance(row, OutboxMessage):
        raise Wrong("returned", f"it returned {shown(row)}; the row was expected")
    if early or not sent:
        raise Wrong("early", "send must be called after the commit, and it was called before it, or never")
    if len(sent) > 1:
        raise Wrong("twice", "a relay looked between the commit and the end of send, and sent the message, too")
    if not all(claim and claim < _now() + LONGEST_CLAIM for claim in claims):
        raise Wrong("claim", "if the process dies in send, no relay takes the row within an hour")
    row.refresh_from_db()
    if row.sent_at is None or row.message_id != "an-id":
        raise Wrong("not noted", "the message was sent, and the row has no sent_at or not the message_id")
    outcome = attempt(inside(rollback=False), _message(2), away)
    if isinstance(outcome, Raised):
        raise Wrong("caller", f"send raised an exception after the commit, and the caller met it: {outcome}")
    row = OutboxMessage.objects.filter(idempotency_key="image-2").first()
    if row is None or row.sent_at or "SQS is away" not in row.last_error:
        raise Wrong("reason", "send raised an exception, and there is no unsent row with the reason in its last_error")
    if row.not_before is None or row.not_before > _now():
        raise Wrong("not free", "send raised an exception, and the row's not_before still keeps the relays away")


@question(
    hints=[
        "Between the look and the row.save() that claims, the other relay looks, too. Both must be one step.",
        "waiting.filter(pk=row.pk).update(not_before=...) changes the row only where it is still free.",
        "It returns 1 for the one relay that gets the row, and 0 for the other, which goes on: if not ...: continue",
    ],
    why="You can run two relays, or a new version beside the old one, and each message leaves once.",
)
def q5(lab, relay):
    """relay(send) -> how many were sent: each row by one relay, outside of a transaction, a bad row harming none."""
    from workshop_django.sqs.models import OutboxMessage

    # alone; the other relay looks while one sends; it looks after each of its statements, and sends quickly or slowly
    for moment, slowly in [*((moment, False) for moment in range(13)), *((moment, True) for moment in range(2, 5))]:
        _empty(lab)
        for image in (1, 2, 3):
            OutboxMessage.objects.create(body=_message(image))
        sends, total = _two_relays(relay, moment, slowly)
        if sends.in_transaction:
            raise Wrong(
                "transaction", "a transaction is open while it sends: nobody else can save, as long as SQS is slow"
            )
        if len(sends.images) > len(set(sends.images)):
            raise Wrong(
                "twice", "two relays ran at once, and a message left twice: both saw its row before either had it"
            )
        if not all(claim and claim < _now() + LONGEST_CLAIM for claim in sends.claims):
            raise Wrong("claim", "a relay that dies while it sends keeps its row for more than an hour")
        sent = sends.images if moment == 0 else sorted(sends.images)  # oldest first, as long as nobody else sends
        first, bad, last = OutboxMessage.objects.order_by("pk")
        if sent != [1, 3] or not all(row.sent_at and row.message_id == "an-id" for row in (first, last)):
            raise Wrong("rows", f"of three rows, the second cannot be sent, and of the others it sent {sent}")
        if bad.sent_at or "cannot be sent" not in bad.last_error or bad.not_before is None or bad.not_before > _now():
            raise Wrong("bad row", "send raised an exception; its row must say why, and be free for the next relay")
        expect(total, 2, "of three rows two could be sent; ")


@dataclass
class _Sends:
    """A `send`: it notes in which circumstances it is called, and lets another relay look the first time."""

    images: list[int] = field(default_factory=list)
    claims: list = field(default_factory=list)
    in_transaction: bool = False
    meanwhile: Callable[[], None] | None = None

    def __call__(self, msg: dict) -> str:
        from django.db import connection

        from workshop_django.sqs.models import OutboxMessage

        image = msg["data"]["image_id"]
        self.in_transaction |= connection.in_atomic_block
        self.claims.append(OutboxMessage.objects.get(idempotency_key=msg["id"]).not_before)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile and not self.in_transaction:
            meanwhile()
        if image == 2:
            raise RuntimeError("image 2 cannot be sent")
        self.images.append(image)
        return "an-id"


def _two_relays(relay, moment: int, slowly: bool) -> tuple[_Sends, int]:
    """What both have sent, and the sum of what they returned. `slowly`: the other is still sending when one goes on."""
    sends, returned = _Sends(), []
    others: list[Future] = []
    is_sending, may_go_on = Event(), Event()

    def slow_send(msg):
        is_sending.set()
        may_go_on.wait(TIMEOUT / 2)
        return sends(msg)

    def the_other():
        if not slowly:
            returned.append(call(relay, sends))
            return
        others.append(pool.submit(call, relay, slow_send))
        others[0].add_done_callback(lambda other: is_sending.set())  # it may have found nothing to send
        is_sending.wait(TIMEOUT / 2)

    with ThreadPoolExecutor(max_workers=1) as pool:
        if moment == 1:
            sends.meanwhile = the_other
        try:
            returned.append(call(_Statements(then=the_other, after=moment - 1).noted(relay), sends))
        finally:
            may_go_on.set()
        returned += [other.result() for other in others]
    return sends, sum(returned)


class _Refused(Exception):
    """What `approve` raises."""


class _Statements:
    """The statements that a function sends to the database: counted, and those that fill `refused` fail.

    `then` is called once, after the `after`-th statement that is in no transaction.
    """

    def __init__(self, *, refused=None, then: Callable[[], None] | None = None, after: int = 0):
        self.refused, self.then, self.after = refused, then, after
        self.seen: list[str] = []
        self.outside = 0

    def noted(self, function: Callable) -> Callable:
        """The function, to be called on a thread of its own, with the database connection of that thread."""
        from django.db import connection

        @wraps(function)
        def run(*args):
            with connection.execute_wrapper(self._execute):
                return function(*args)

        return run

    def count(self, kind: str, model) -> int:
        return sum(sql.startswith(kind) and model._meta.db_table in sql for sql in self.seen)

    def _execute(self, execute, sql, params, many, context):
        from django.db import DatabaseError

        self.seen.append(sql)
        if self.refused and self.count("INSERT", self.refused):
            raise DatabaseError("the outbox cannot be written, in this check")
        result = execute(sql, params, many, context)
        if self.then and not context["connection"].in_atomic_block and not sql.startswith("BEGIN"):
            self.outside += 1
            if self.outside == self.after:
                self.then()
        return result


def _empty(lab) -> None:
    """No images, no rows in the outbox, no messages in the queue."""
    from workshop_django.gallery.models import Image
    from workshop_django.sqs.models import OutboxMessage

    Image.objects.all().delete()
    OutboxMessage.objects.all().delete()
    queues.take_all(queues.client(), lab.queue_url)


def _images_in(lab) -> list[int]:
    """Take what is in the queue: the number of the image that each message tells of."""
    bodies = [json.loads(message["Body"]) for message in queues.take_all(queues.client(), lab.queue_url)]
    return [body["data"]["image_id"] for body in bodies]


def _message(image: int) -> dict:
    return {"id": f"image-{image}", "data": {"image_id": image}}


def _now():
    from django.utils import timezone

    return timezone.now()
