"""The pipeline run and watched: images saved, and what each part did with their messages, and when.

    with Demonstration(lab, apps=3) as demonstration:
        travel = demonstration.save("photo.jpg", file)     # through the gallery's own form; raises Refused
        demonstration.wait_for([travel])
        demonstration.events(travel)                       # [Event(at, "Amazon SQS", "took the message"), ...]

The times are the parts' own: the outbox row's, SQS's SentTimestamp, the event source mapping's, the receiver's
row's and its thumbnail file's. On one machine they share a clock.
"""

import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.test.utils import override_settings
from pyngrok import ngrok

from lambda_function import lambda_handler
from workshop.functions.event_source_mapping import EventSourceMapping
from workshop.functions.invocation import Invocation
from workshop.lab.extra_receiver import ExtraReceiver
from workshop.lab.lab import FUNCTION_TIMEOUT, Lab
from workshop.names import RECEIVER_PATH
from workshop_django.gallery.forms import ImageForm
from workshop_django.gallery.models import Image
from workshop_django.image_sync.models import Thumbnail
from workshop_django.sqs.models import OutboxMessage

from .events import FUNCTION, QUEUE, RECEIVER, SENDER, Event

LOCAL_WAIT = FUNCTION_TIMEOUT + 10  # seconds: the function reports before its timeout, whatever happens
REAL_WAIT = 90  # seconds: a cold function on AWS, and a first delivery that may be tried again


class Refused(ValueError):
    """The gallery's form does not take this file. The message is its reason."""


@dataclass(frozen=True)
class Travel:
    """A message on its way. `image` and `row`, its outbox row, are None for one that no image belongs to."""

    name: str
    message_id: str
    image: Image | None = None
    row: OutboxMessage | None = None


@dataclass
class Delivery:
    """A message handed to the function once, with the batch it was in. Times in seconds since the epoch.

    `failure` is None, or what the function's log says; `finished_at` is when those of the batch that did not fail
    were deleted.
    """

    received_at: float
    batch: list[str]
    sent_at: float | None = None
    handled_at: float | None = None
    finished_at: float | None = None
    failure: str | None = None
    failed_apps: int = 0
    cold: bool = False


@dataclass
class Receiver:
    """One of the apps. `thumbnails()` is what it has made, as a queryset; its files lie in `media`."""

    name: str
    url: str
    key: str
    media: Path
    thumbnails: Callable
    tunnel: bool = True

    @property
    def entry(self) -> str:
        """As settings.SYNC_ENDPOINTS has it."""
        return f"{self.url}|{self.key}"


@dataclass
class Arrival:
    """What one receiver made of a message, and when."""

    receiver: Receiver
    at: float
    thumbnail: Path
    thumbnail_at: float


@dataclass
class Watch:
    """Listens to the event source mapping, and stands before the handler to see what the records say."""

    deliveries: dict[str, list[Delivery]] = field(default_factory=dict)
    news: threading.Event = field(default_factory=threading.Event)
    changing: threading.Lock = field(default_factory=threading.Lock)  # hold it to see a batch as a whole
    _batch: list[str] = field(default_factory=list)  # the one in hand: there is one poller

    def handler(self, event: dict, context) -> dict:
        for record in event["Records"]:
            sent = record["attributes"].get("SentTimestamp")
            self.deliveries[record["messageId"]][-1].sent_at = int(sent) / 1000 if sent else None
        return lambda_handler(event, context)

    def observe(self, what: str, detail: dict) -> None:
        now = time.time()
        with self.changing:
            if what == "received":
                self._batch = detail["ids"]
                for message_id in self._batch:
                    self.deliveries.setdefault(message_id, []).append(Delivery(now, self._batch))
            for message_id in self._batch:
                delivery = self.deliveries[message_id][-1]
                if what == "handled":
                    invocation: Invocation = detail["invocation"]
                    delivery.handled_at, delivery.cold = now, invocation.cold
                    if message_id in detail["failed"]:
                        delivery.failure, delivery.failed_apps = _failure(invocation, message_id)
                elif what == "deleted":
                    delivery.finished_at = now
        self.news.set()


class Demonstration:
    """The receivers of a lab, their tunnels, and the function that serves them.

    `apps` receivers: the lab's own Django, and more that each run by themselves. `on_aws` tells that the queue is
    on a real account and has its function there: then no message is taken from it here.
    """

    def __init__(self, lab: Lab, *, apps: int = 1, on_aws: bool = False):
        self.lab = lab
        self.watch = Watch()
        self.on_aws = on_aws
        self.extra: list[ExtraReceiver] = []
        self._first = ""  # the id of the message that was sent first
        self.receivers = [
            Receiver(RECEIVER, lab.receiver_endpoint, lab.app_key, lab.folder / "media", Thumbnail.objects.all)
        ]
        watch = self.watch
        self.mapping = EventSourceMapping(
            lab.queue_url,
            lambda event, context: watch.handler(event, context),  # one object, so that only its first call is cold
            observer=watch.observe,
        )
        self._allowlist_before = os.environ.get("ENDPOINT_ALLOWLIST")
        hosts = {"127.0.0.1", urlsplit(lab.receiver_endpoint).hostname}
        os.environ["ENDPOINT_ALLOWLIST"] = ",".join(sorted(hosts))  # the deployed function has one, too
        try:
            self._add_receivers(apps - 1)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Demonstration":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        for receiver in self.extra:
            receiver.stop()
        self.extra.clear()
        if self._allowlist_before is None:
            os.environ.pop("ENDPOINT_ALLOWLIST", None)
        else:
            os.environ["ENDPOINT_ALLOWLIST"] = self._allowlist_before

    def _add_receivers(self, count: int) -> None:
        if count == 0:
            return
        self.extra = [ExtraReceiver(self.lab.folder, f"app-{number}") for number in range(2, 2 + count)]
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(ExtraReceiver.start, self.extra))
        self.receivers[0].name += " 1"
        for number, extra in enumerate(self.extra, start=2):
            url = self.expose(extra.server.port) + RECEIVER_PATH
            self.receivers.append(
                Receiver(
                    f"{RECEIVER} {number}", url, extra.key, extra.media, extra.thumbnails, tunnel=self.many_tunnels
                )
            )

    @property
    def many_tunnels(self) -> bool:
        """A free ngrok account has one domain, so with the real agent only the first receiver has a tunnel."""
        return not self.lab.settings.ngrok_authtoken

    def expose(self, port: int) -> str:
        """The address that the function reaches a port at: a tunnel's, where there may be another one."""
        return ngrok.connect(port).public_url if self.many_tunnels else f"http://127.0.0.1:{port}"

    # Sending

    def function(self) -> AbstractContextManager:
        """While it lasts the function is given what the queue holds; on AWS, the deployed one takes it by itself."""
        return nullcontext() if self.on_aws else self.mapping

    def save(self, name: str, file, endpoints: list[str] | None = None) -> Travel:
        """Save an image as the gallery's page does, which sends its message. Raises Refused, with nothing stored.

        `endpoints` are the message's, as SYNC_ENDPOINTS has them; without, every receiver's.
        """
        entries = endpoints or [receiver.entry for receiver in self.receivers]
        file.seek(0, os.SEEK_END)
        upload = UploadedFile(file, name=name, size=file.tell())
        file.seek(0)
        form = ImageForm(data={}, files={"file": upload})
        if not form.is_valid():
            raise Refused(" ".join(reason for reasons in form.errors.values() for reason in reasons))
        # The other receivers must know the image before its message comes; that is sent after the commit.
        with override_settings(SYNC_ENDPOINTS=entries), transaction.atomic():
            image = form.save()
            for extra in self.extra:
                extra.add(image)
        row = OutboxMessage.objects.get(idempotency_key=image.announcement_id)
        self._first = self._first or row.message_id
        return Travel(name, row.message_id, image, row)

    # Watching

    def wait_for(self, travels: list[Travel], on_news: Callable[[], None] = lambda: None) -> None:
        """Return when each travel has ended, well or not, or when no end can be expected any more.

        `on_news()` is called in this thread, again and again meanwhile.
        """
        deadline = time.monotonic() + (REAL_WAIT if self.on_aws else LOCAL_WAIT)
        while time.monotonic() < deadline and not all(self.ended(travel) for travel in travels):
            self.watch.news.wait(0.1)
            self.watch.news.clear()
            on_news()

    def ended(self, travel: Travel) -> bool:
        if not travel.message_id:
            return True  # it waits in the outbox
        deliveries = self.deliveries(travel)
        if deliveries:
            return deliveries[-1].finished_at is not None
        return self.arrived(travel)

    def arrived(self, travel: Travel) -> bool:
        return len(self.arrivals(travel)) == len(self.receivers)

    def deliveries(self, travel: Travel) -> list[Delivery]:
        return self.watch.deliveries.get(travel.message_id, [])

    def arrivals(self, travel: Travel) -> list[Arrival]:
        """One for each thumbnail that a receiver has made of this image."""
        found = []
        for receiver in self.receivers:
            for made in receiver.thumbnails().filter(image=travel.image):
                at, path = made.made_at.timestamp(), receiver.media / made.file.name
                found.append(Arrival(receiver, at, path, max(at, path.stat().st_mtime)))
        return found

    def reason(self, travel: Travel) -> str:
        """Why a message did not arrive, in words."""
        if not travel.message_id:
            return f"It waits in the outbox: {OutboxMessage.objects.get(pk=travel.row.pk).last_error}"
        deliveries = self.deliveries(travel)
        if deliveries and deliveries[-1].failure:
            return f"The function reported: {deliveries[-1].failure}."
        if self.on_aws:
            return (
                f"It did not arrive within {REAL_WAIT} s. Is the function deployed (python3 -m workshop deploy --aws), "
                "and may it post to your tunnel's host? Its own words: python3 -m workshop logs --aws"
            )
        return f"It did not arrive within {LOCAL_WAIT} s. The log files are in {self.lab.folder}."

    def events(self, travel: Travel) -> list[Event]:
        """All that happened to a message that arrived, in order."""
        saved_at = travel.row.created_at.timestamp()
        events = [Event(saved_at, SENDER, "saved the image, its message in the outbox")]
        if travel.row.sent_at:
            events.append(Event(travel.row.sent_at.timestamp(), SENDER, "noted in the outbox that SQS has it"))
        first = " (boto3 made its client first)" if travel.message_id == self._first else ""
        arrivals = self.arrivals(travel)
        handled_at = None
        for delivery in self.deliveries(travel):
            handled_at = delivery.handled_at
            if delivery.sent_at:  # whole milliseconds, rounded down
                events.append(Event(max(saved_at, delivery.sent_at), QUEUE, f"took the message{first}"))
            start = ", and started cold" if delivery.cold else ""
            events.append(Event(delivery.received_at, FUNCTION, f"got it from the queue{start}"))
            events.append(Event(delivery.handled_at, FUNCTION, delivery.failure or "reported success"))
            if not delivery.failure:
                events.append(Event(delivery.finished_at, QUEUE, "deleted the message"))
        for arrival in arrivals:
            # Some file systems round their times: no thumbnail is later than the function's report of it.
            made_at = min(arrival.thumbnail_at, handled_at or arrival.thumbnail_at)
            way = "through the tunnel" if arrival.receiver.tunnel else "at its own address"
            events.append(Event(arrival.at, arrival.receiver.name, f"got it {way}; the key was right"))
            events.append(Event(max(arrival.at, made_at), arrival.receiver.name, "had the thumbnail ready"))
        return sorted(events, key=lambda event: event.at)


def _failure(invocation: Invocation, message_id: str) -> tuple[str, int]:
    """Why a message failed, from the lines that the function logged; and how many apps it did not reach."""
    if invocation.error:
        return invocation.error["errorMessage"], 0
    reason, failed_apps = "the function reported it as failed", 0
    for line in invocation.log:
        _, _, said = line.partition(f"Message {message_id} will be delivered again: ")
        if said:
            reason, apps = re.fullmatch(r"(.*?)(?: \((\d+) of \d+ apps\))?", said).groups()
            failed_apps = int(apps or 1)
    return reason, failed_apps
