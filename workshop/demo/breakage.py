"""A failure on purpose: one message is broken, and travels to the dead-letter queue; the others arrive.

    breakage = Breakage(demonstration, "bad-key")
    breakage.send("broken.jpg", file)
    ...                                                # the others are saved; all wait in the queue together
    for event in breakage.run(others): ...             # as it happens, until the dead-letter queue has it
    breakage.dead_letters()
    breakage.verdict(others)                           # [], or what was not as it should be, in sentences

Needs a lab with a short visibility timeout, or the retries take long.
"""

import json
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

import boto3

from workshop.lab.lab import MAX_RECEIVE_COUNT
from workshop.lab.processes import free_port
from workshop.names import RECEIVER_PATH

from .demonstration import Delivery, Demonstration, Travel
from .events import FUNCTION, QUEUE, SENDER, Event

LONGEST = 60  # seconds that a broken message may take to the dead-letter queue

NOT_JSON = "image 1 is ready, please fetch it"


@dataclass(frozen=True)
class Mode:
    """`saved` ends the sentence on the broken message's saving; `story` and `remedy` are sentences for people."""

    saved: str
    story: str
    remedy: str


MODES = {
    "bad-key": Mode(
        "its message has a wrong key",
        "One message carries a key that the receiver does not know, as after a key was changed on one side only. "
        "The receiver answers 401.",
        "Give the sender the receiver's key. APP_KEY_FALLBACKS lets both keys in while a key is being changed.",
    ),
    "receiver-down": Mode(
        "its message goes to a Django that is off",
        "One message is addressed to a Django that is not running.",
        "Start that Django again. A short outage mends itself, as long as tries are left.",
    ),
    "poison": Mode(
        "",
        "One message is not JSON, as when another program writes to the queue. No receiver ever sees it.",
        "Correct the program that sent it. To send the same text again cannot help.",
    ),
}


@dataclass(frozen=True)
class DeadLetter:
    """A message in the dead-letter queue: its body without keys, and why each of its deliveries failed."""

    message_id: str
    body: str
    reasons: list[str]


class Breakage:
    """One broken message of a demonstration, and what becomes of it and of the others. `mode` is one of MODES."""

    def __init__(self, demonstration: Demonstration, mode: str):
        self.demonstration = demonstration
        self.mode = mode
        self.about = MODES[mode]
        self.story = self.about.story
        if mode == "receiver-down" and demonstration.many_tunnels:
            self.story += " The tunnel to it is open, but nobody listens behind it: the tunnel answers 502."
        self.broken: Travel | None = None
        self._sqs = boto3.client("sqs")
        self._told: dict[str, int] = {}  # message id -> deliveries that run() has told of

    # Sending

    def send(self, name: str, file) -> Event:
        """Send the message that will fail. With several apps it fails at the last one alone."""
        if self.mode == "poison":
            answer = self._sqs.send_message(QueueUrl=self.demonstration.lab.queue_url, MessageBody=NOT_JSON)
            self.broken = Travel("the message that is not JSON", answer["MessageId"])
            return Event(time.time(), "Another program", "sent a message that is not JSON", bad=True)
        *fine, last = self.demonstration.receivers
        key = secrets.token_urlsafe(32) if self.mode == "bad-key" else last.key
        # Nobody listens on a port that was free a moment ago. The tunnel to it is open all the same.
        down = self.mode == "receiver-down"
        url = self.demonstration.expose(free_port()) + RECEIVER_PATH if down else last.url
        self.broken = self.demonstration.save(name, file, [*(app.entry for app in fine), f"{url}|{key}"])
        return self.saved(self.broken)

    def saved(self, travel: Travel) -> Event:
        bad = travel is self.broken
        what = f"saved {travel.name}; {self.about.saved}" if bad else f"saved {travel.name}"
        return Event(travel.row.created_at.timestamp(), SENDER, what, bad)

    # Watching

    def run(self, others: list[Travel]) -> Iterator[Event]:
        """Let the function have the queue. Yields what happens, until the dead-letter queue has the broken one."""
        news = self.demonstration.watch.news
        deadline = time.monotonic() + LONGEST
        with self.demonstration.mapping:
            while time.monotonic() < deadline:
                news.wait(0.1)
                news.clear()
                yield from self._new_events(others)
                if self._arrived():
                    return  # it should not have: verdict() says so
                if self._tries() >= MAX_RECEIVE_COUNT and self._waiting_in_dead_letter_queue():
                    yield Event(time.time(), QUEUE, "moved it to the dead-letter queue", bad=True)
                    return

    def _arrived(self) -> bool:
        return any(d.finished_at and not d.failure for d in self.demonstration.deliveries(self.broken))

    def _tries(self) -> int:
        return len(self.demonstration.deliveries(self.broken))

    def _new_events(self, others: list[Travel]) -> list[Event]:
        """What is finished and not yet told. A batch is told as a whole, so that its lines are in order."""
        batches: dict[tuple[str, ...], list[tuple[Travel, Delivery]]] = {}
        with self.demonstration.watch.changing:
            for travel in [self.broken, *others]:
                deliveries = self.demonstration.deliveries(travel)
                told = self._told.get(travel.message_id, 0)
                if len(deliveries) > told and deliveries[told].finished_at is not None:
                    batches.setdefault(tuple(deliveries[told].batch), []).append((travel, deliveries[told]))
                    self._told[travel.message_id] = told + 1
        return sorted(
            (event for members in batches.values() for event in self._batch(members)), key=lambda event: event.at
        )

    def _batch(self, members: list[tuple[Travel, Delivery]]) -> Iterator[Event]:
        first = members[0][1]
        broken = next((delivery for travel, delivery in members if travel is self.broken), None)
        fine = [travel for travel, delivery in members if not delivery.failure]
        yield Event(first.received_at, FUNCTION, self._received(len(members), broken))
        for travel in [self.broken, *fine] if broken and self._number(broken) == 1 else fine:
            for arrival in self.demonstration.arrivals(travel):
                name = arrival.receiver.name
                at = min(arrival.thumbnail_at, first.handled_at)
                yield Event(max(arrival.at, at), name, f"got {travel.name} and made its thumbnail")
        for travel, delivery in members:
            if delivery.failure:
                yield Event(delivery.handled_at, FUNCTION, self._failed(travel, delivery), bad=True)
        if fine:
            what = f"the other {len(fine)}, which arrived" if broken else _count(len(fine), "message")
            yield Event(first.finished_at, QUEUE, f"deleted {what}")
        if broken:
            left = MAX_RECEIVE_COUNT - self._number(broken)
            kept = f"keeps the broken one for try {self._number(broken) + 1}"
            yield Event(first.finished_at, QUEUE, kept if left else "has no try left for the broken one")

    def _received(self, size: int, broken: Delivery | None) -> str:
        if broken is None:
            return f"got {_count(size, 'message')}"
        again = " again" if self._number(broken) > 1 else ""
        return f"got the broken message{again}" if size == 1 else f"got {size} messages, the broken one among them"

    def _failed(self, travel: Travel, delivery: Delivery) -> str:
        if travel is not self.broken:
            return f"{travel.name} failed: {delivery.failure}"
        apps = len(self.demonstration.receivers)
        where = f" at {delivery.failed_apps} of {apps} apps" if apps > 1 and delivery.failed_apps else ""
        return f"try {self._number(delivery)} of {MAX_RECEIVE_COUNT} failed{where}: {delivery.failure}"

    def _number(self, delivery: Delivery) -> int:
        return 1 + next(
            position for position, other in enumerate(self.demonstration.deliveries(self.broken)) if other is delivery
        )

    def _waiting_in_dead_letter_queue(self) -> int:
        answer = self._sqs.get_queue_attributes(
            QueueUrl=self.demonstration.lab.dead_letter_queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    # The end of it

    def dead_letters(self) -> list[DeadLetter]:
        answer = self._sqs.receive_message(
            QueueUrl=self.demonstration.lab.dead_letter_queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [
            DeadLetter(
                message["MessageId"],
                without_keys(message["Body"]),
                [d.failure for d in self.demonstration.watch.deliveries.get(message["MessageId"], [])],
            )
            for message in answer.get("Messages", [])
        ]

    def verdict(self, others: list[Travel]) -> list[str]:
        """What is not as it should be, in sentences; nothing, if all is."""
        wrong = []
        dead = self.dead_letters()
        if [message.message_id for message in dead] != [self.broken.message_id]:
            wrong.append(f"The dead-letter queue holds {len(dead)} messages, not the broken one alone.")
        for travel in others:
            deliveries = self.demonstration.deliveries(travel)
            if not self.demonstration.arrived(travel) or len(deliveries) != 1 or deliveries[0].failure:
                wrong.append(f"{travel.name} did not arrive once: {self.demonstration.reason(travel)}")
        reached = [arrival.receiver.name for arrival in self.demonstration.arrivals(self.broken)]
        if len(reached) != (0 if self.mode == "poison" else len(self.demonstration.receivers) - 1):
            wrong.append(f"The broken message was processed by: {', '.join(reached) or 'nobody'}.")
        return wrong

    def praise(self, others: list[Travel]) -> str:
        """What to say where the verdict is empty."""
        sentences = ["As it should be: 1 message is in the dead-letter queue."]
        if others:
            one = len(others) == 1
            sentences.append(
                "The other message arrived, once." if one else f"The other {len(others)} arrived, once each."
            )
        apps = len(self.demonstration.receivers)
        if apps > 1 and self.mode != "poison":
            sentences.append(
                f"Of its {apps} apps, {apps - 1} got it {self._tries()} times and processed it once: "
                "they know it by its Idempotency-Key."
            )
        return " ".join(sentences)


def without_keys(body: str) -> str:
    """A message's body, with *** for each key."""
    try:
        message = json.loads(body)
        for app in message["apps"]:
            app["key"] = "***"
    except (ValueError, TypeError, KeyError):
        return re.sub(r'("key"\s*:\s*)"[^"]*"', r'\1"***"', body)
    return json.dumps(message)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
