"""The pipeline run and watched: images saved, and what each part did with their messages, and when.

    with Demonstration(lab, apps=3) as demonstration, demonstration.function():
        travel = demonstration.save("photo.jpg", file)     # through the gallery's own form; raises Refused
        for event in demonstration.watch([travel]): ...    # Event(at, "Amazon SQS", "took its message"), ...

The times are the parts' own: the outbox row's, SQS's SentTimestamp, the event source mapping's, the thumbnail row's.
On one machine they share a clock.
"""

import os
import queue
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.test.utils import override_settings

from lambda_function import lambda_handler
from workshop.foreseen import Foreseen
from workshop.functions.event_source_mapping import EventSourceMapping
from workshop.functions.invocation import Invocation
from workshop.lab import tunnel
from workshop.lab.extra_receiver import ExtraReceiver
from workshop.lab.lab import FUNCTION_TIMEOUT, MAX_RECEIVE_COUNT, Lab
from workshop.lab.processes import free_port
from workshop.names import RECEIVER_PATH
from workshop_django.gallery.forms import ImageForm
from workshop_django.gallery.models import Image
from workshop_django.image_sync.models import Thumbnail
from workshop_django.sqs.models import OutboxMessage

SENDER = "Django sender"
QUEUE = "Amazon SQS"
FUNCTION = "AWS Lambda"
RECEIVER = "Django receiver"

LOCAL_WAIT = MAX_RECEIVE_COUNT * (FUNCTION_TIMEOUT + 5)  # seconds: the function reports before its timeout
REAL_WAIT = 90  # seconds: a cold function on AWS, and a first delivery that may be tried again
RETRY_SECONDS = 1  # that a failed message stays hidden: nobody wants to wait for the queue's own timeout
NOT_JSON = "image 1 is ready, please fetch it"


class Refused(Foreseen):
    """The gallery's form does not take this file. The message is its reason."""


@dataclass(frozen=True)
class Event:
    """What a part of the pipeline did. `at` in seconds since the epoch; `bad` marks a failure."""

    at: float
    where: str
    what: str
    bad: bool = False


@dataclass
class Travel:
    """A message on its way. `image` and `row`, its outbox row, are None for one that no image belongs to.

    `failures` are the reasons of its deliveries that failed; `deleted` counts those that did not; `body` is what the
    dead-letter queue has of it.
    """

    name: str
    message_id: str
    saved: Event
    image: Image | None = None
    row: OutboxMessage | None = None
    failures: list[str] = field(default_factory=list)
    deleted: int = 0
    body: str | None = None
    told: set[str] = field(default_factory=set)  # the receivers whose thumbnail an event has told of


@dataclass
class Receiver:
    """One of the apps. `thumbnails()` is what it has made, as a queryset; its files lie in `media`."""

    name: str
    url: str
    key: str
    media: Path
    thumbnails: Callable


@dataclass(frozen=True)
class Arrival:
    receiver: Receiver
    at: float
    thumbnail: Path


@dataclass
class Batch:
    """Messages that the function was given together. `failed`: the reason of each that it reported."""

    ids: list[str]
    received_at: float
    records: dict[str, dict] = field(default_factory=dict)
    handled_at: float = 0
    deleted_at: float = 0
    cold: bool = False
    failed: dict[str, str] = field(default_factory=dict)


class Demonstration:
    """The receivers of a lab, their tunnels, and the function that serves them.

    `apps` receivers: the lab's own Django, and more that each run by themselves. On a real account the function is
    there: then no message is taken from the queue here.
    """

    def __init__(self, lab: Lab, *, apps: int = 1):
        self.lab = lab
        self.on_aws = lab.settings.real_aws
        # A free ngrok account has one name, so with the real agent only the first receiver has a tunnel.
        self.many_tunnels = not lab.settings.ngrok_authtoken
        self.travels: dict[str, Travel] = {}
        self._sqs = boto3.client("sqs")
        self._batch: Batch | None = None  # the one in hand: there is one poller
        self._batches: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self._mapping = EventSourceMapping(lab.queue_url, self._handler, observer=self._observe)
        hosts = {"127.0.0.1", urlsplit(lab.receiver_endpoint).hostname}
        os.environ["ENDPOINT_ALLOWLIST"] = ",".join(sorted(hosts))  # the deployed function has one, too
        self.receivers = [
            Receiver(RECEIVER, lab.receiver_endpoint, lab.app_key, lab.folder / "media", Thumbnail.objects.all)
        ]
        self.extra = [ExtraReceiver(lab.folder, f"app-{number}") for number in range(2, 1 + apps)]
        try:
            with ThreadPoolExecutor(apps) as pool:
                list(pool.map(ExtraReceiver.start, self.extra))
            for number, extra in enumerate(self.extra, start=2):
                url = self.expose(extra.server.port)
                self.receivers.append(Receiver(f"{RECEIVER} {number}", url, extra.key, extra.media, extra.thumbnails))
        except BaseException:
            self.close()
            raise
        if self.extra:
            self.receivers[0].name += " 1"

    def __enter__(self) -> "Demonstration":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        for receiver in self.extra:
            receiver.stop()

    def expose(self, port: int) -> str:
        """The endpoint that the function reaches at a port: through a tunnel, where there may be another one."""
        return (tunnel.connect(port) if self.many_tunnels else f"http://127.0.0.1:{port}") + RECEIVER_PATH

    def function(self) -> AbstractContextManager:
        """While it lasts the function is given what the queue holds; on AWS, the deployed one takes it by itself."""
        return nullcontext() if self.on_aws else self._mapping

    # Sending

    def save(self, name: str, file, mode: str = "") -> Travel:
        """Save an image as the gallery's page does, which sends its message. Raises Refused, with nothing stored.

        With a `mode` of breakage the message will fail at the last receiver.
        """
        file.seek(0, os.SEEK_END)
        form = ImageForm(data={}, files={"file": UploadedFile(file, name=name, size=file.tell())})
        file.seek(0)
        if not form.is_valid():
            raise Refused(" ".join(reason for reasons in form.errors.values() for reason in reasons))
        # The other receivers must know the image before its message comes; that is sent after the commit.
        with override_settings(SYNC_ENDPOINTS=self._endpoints(mode)), transaction.atomic():
            image = form.save()
            for extra in self.extra:
                extra.add(image)
        row = OutboxMessage.objects.get(idempotency_key=image.announcement_id)
        saved = Event(row.created_at.timestamp(), SENDER, f"saved {name} and its message")
        return self._begin(Travel(name, row.message_id, saved, image, row))

    def _endpoints(self, mode: str) -> list[str]:
        """As settings.SYNC_ENDPOINTS has them."""
        *others, last = [(receiver.url, receiver.key) for receiver in self.receivers]
        if mode == "bad-key":
            last = last[0], secrets.token_urlsafe(32)
        elif mode == "receiver-down":
            # Nobody listens on a port that was free a moment ago. The tunnel to it is open all the same.
            last = self.expose(free_port()), last[1]
        return ["|".join(app) for app in [*others, last]]

    def send_poison(self) -> Travel:
        """A message that is not JSON, as when another program writes to the queue."""
        answer = self._sqs.send_message(QueueUrl=self.lab.queue_url, MessageBody=NOT_JSON)
        saved = Event(time.time(), "Another program", "sent a message that is not JSON", bad=True)
        return self._begin(Travel("the message that is not JSON", answer["MessageId"], saved))

    def _begin(self, travel: Travel) -> Travel:
        self.travels[travel.message_id] = travel
        return travel

    # Watching

    def watch(self, travels: list[Travel]) -> Iterator[Event]:
        """What happens to these messages, in order, until each has ended: arrived, or a dead letter.

        It ends, too, when no end can be expected any more.
        """
        happened = [travel.saved for travel in travels]
        deadline = time.monotonic() + (REAL_WAIT if self.on_aws else LOCAL_WAIT)
        while time.monotonic() < deadline and not all(map(self._ended, travels)):
            with suppress(queue.Empty):
                happened += self._events(self._batches.get(timeout=0.1))
                yield from sorted(happened, key=lambda event: event.at)
                happened = []
            yield from self._dead(travels)
        for travel in travels:
            happened += self._arrivals_to_tell(travel)
        yield from sorted(happened, key=lambda event: event.at)

    def _ended(self, travel: Travel) -> bool:
        if not travel.message_id:
            return True  # it waits in the outbox
        if self.on_aws:
            return self.arrived(travel)
        return travel.deleted > 0 or travel.body is not None

    def _events(self, batch: Batch) -> Iterator[Event]:
        """What happened to a batch, which is told as a whole."""
        travels = [self.travels[message_id] for message_id in batch.ids if message_id in self.travels]
        for travel in travels:
            if not travel.failures and (sent := batch.records[travel.message_id]["attributes"].get("SentTimestamp")):
                at = max(travel.saved.at, int(sent) / 1000)  # whole milliseconds, rounded down
                yield Event(at, QUEUE, f"took the message of {travel.name}")
        start = ", and started cold" if batch.cold else ""
        yield Event(batch.received_at, FUNCTION, f"got {_names(travels)}{start}")
        for travel in travels:
            yield from self._arrivals_to_tell(travel, at_the_latest=batch.handled_at)
        done, failed = [], []
        for travel in travels:
            if reason := batch.failed.get(travel.message_id):
                failed.append(travel)
                travel.failures.append(reason)
                tried = f"try {len(travel.failures)} of {MAX_RECEIVE_COUNT} failed: {reason}"
                yield Event(batch.handled_at, FUNCTION, f"{travel.name}: {tried}", bad=True)
            else:
                done.append(travel)
                travel.deleted += 1
        if done:
            yield Event(batch.handled_at, FUNCTION, f"reported success for {len(done)} of {len(travels)}")
            yield Event(batch.deleted_at, QUEUE, f"deleted {_names(done)}")
        if failed:
            yield Event(batch.deleted_at, QUEUE, f"keeps {_names(failed)}")

    def _arrivals_to_tell(self, travel: Travel, at_the_latest: float = float("inf")) -> Iterator[Event]:
        for arrival in self.arrivals(travel):
            name = arrival.receiver.name
            if name not in travel.told:
                travel.told.add(name)
                yield Event(min(arrival.at, at_the_latest), name, f"got {travel.name} and made its thumbnail")

    def _dead(self, travels: list[Travel]) -> Iterator[Event]:
        """Looks into the dead-letter queue for what has no try left."""
        hopeless = {t.message_id: t for t in travels if len(t.failures) >= MAX_RECEIVE_COUNT and t.body is None}
        for message in self.dead_letters() if hopeless else []:
            if travel := hopeless.get(message["MessageId"]):
                travel.body = message["Body"]
                yield Event(time.time(), QUEUE, f"moved {travel.name} to the dead-letter queue", bad=True)

    def dead_letters(self) -> list[dict]:
        url = self.lab.dead_letter_queue_url
        answer = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return answer.get("Messages", [])

    def arrived(self, travel: Travel) -> bool:
        return len(self.arrivals(travel)) == len(self.receivers)

    def arrivals(self, travel: Travel) -> list[Arrival]:
        """One for each thumbnail that a receiver has made of this image."""
        return [
            Arrival(receiver, made.made_at.timestamp(), receiver.media / made.file.name)
            for receiver in (self.receivers if travel.image else [])
            for made in receiver.thumbnails().filter(image=travel.image)
        ]

    def reason(self, travel: Travel) -> str:
        """Why a message did not arrive, in words."""
        if not travel.message_id:
            return f"It waits in the outbox: {travel.row.last_error}"
        if travel.failures:
            return f"The function reported: {travel.failures[-1]}."
        if self.on_aws:
            return (
                f"It did not arrive within {REAL_WAIT} s. Is the function deployed (python3 -m workshop deploy --aws), "
                "and may it post to your tunnel's host? Its own words: python3 -m workshop logs --aws"
            )
        return f"It did not arrive within {LOCAL_WAIT} s. The log files are in {self.lab.folder}."

    # What the event source mapping tells, on its own thread

    def _handler(self, event: dict, context) -> dict:
        self._batch.records = {record["messageId"]: record for record in event["Records"]}
        return lambda_handler(event, context)

    def _observe(self, what: str, detail: dict) -> None:
        now = time.time()
        if what == "received":
            self._batch = Batch(detail["ids"], now)
        elif what == "handled":
            batch, invocation = self._batch, detail["invocation"]
            batch.handled_at, batch.cold = now, invocation.cold
            for message_id in detail["failed"]:
                batch.failed[message_id] = _reason(invocation, message_id)
                self._sqs.change_message_visibility(
                    QueueUrl=self.lab.queue_url,
                    ReceiptHandle=batch.records[message_id]["receiptHandle"],
                    VisibilityTimeout=RETRY_SECONDS,
                )
        else:
            self._batch.deleted_at = now
            self._batches.put(self._batch)


def _reason(invocation: Invocation, message_id: str) -> str:
    """Why a message failed, from the lines that the function logged."""
    if invocation.error:
        return invocation.error["errorMessage"]
    said = [line.partition(f"Message {message_id} will be delivered again: ")[2] for line in invocation.log]
    return next(filter(None, said), "the function reported it as failed")


def _names(travels: list[Travel]) -> str:
    return " and ".join(", ".join(travel.name for travel in travels).rsplit(", ", 1)) or "a message of somebody else"
