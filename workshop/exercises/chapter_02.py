"""Chapter 2, Send with SqSManager: what its exercise asks, and how it looks at the answers."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakSet

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from .calling import Raised, attempt, call, kind
from .question import Wrong, question
from .queues import client, fresh, take_all

LAB = {"django": False, "queue": False}

BATCH_SIZE = 10  # entries of a request, SQS's maximum
MAX_BYTES = 1_048_576  # of a message, and of a request: 1 MiB
LONGEST_DELAY = 900  # seconds, SQS's maximum
A_MOMENT = 0.1  # seconds in which a second thread may begin to make a client
THREADS = 8  # at once
TIMEOUT = 20  # seconds


@question(
    hints=[
        "Two lines: where the client is made, and what becomes of the message.",
        "__init__ runs once for a sender: make the client there. And a dict becomes JSON with json.dumps.",
    ],
    why="A client for each message costs a new connection each time; str() of a dict is not JSON for anybody.",
)
def q1(lab, Sender):  # noqa: N803  (a class)
    """Sender(queue_url).send(msg) sends JSON, and makes one client, however often it sends."""
    _require_class(Sender, "send")
    url = fresh(client(), "exercise-2")
    messages = [_message(1), {"apps": [], "data": {"title": "olá", "public": True, "album": None}}, _message(3)]
    with _Watch() as watch:
        sender = _make(Sender, url)
        ids = [call(sender.send, msg, timeout=TIMEOUT) for msg in messages]
    arrived = {message["MessageId"]: message["Body"] for message in take_all(client(), url)}
    if len(arrived) != 3:
        raise Wrong(f"three messages were sent, and {len(arrived)} arrived in the queue")
    if any(not isinstance(message_id, str) for message_id in ids):
        raise Wrong(f"send returned {kind(ids[0])}; it should return the MessageId, a text")
    if set(ids) != set(arrived):
        raise Wrong("what send returned is not the MessageId of the message")
    for msg, message_id in zip(messages, ids, strict=True):
        try:
            body = json.loads(arrived[message_id])
        except ValueError:
            raise Wrong(f"what arrived is not JSON: {_shown(arrived[message_id])}") from None
        if body != msg:
            raise Wrong(f"{msg} was sent, and {_shown(arrived[message_id])} arrived")
    if watch.clients_made > 1:
        raise Wrong(f"for three messages it made {watch.clients_made} boto3 clients; make one, and keep it")


@question(
    hints=[
        "The request succeeds although entries fail. The answer has a second list beside Successful.",
        "if failed := answer.get('Failed'): raise RuntimeError(...), with the Id of each entry in failed.",
    ],
    why="A batch is answered with 200 whatever became of its entries, and who does not look loses messages.",
)
def q2(lab, send_batch):
    """send_batch(sqs, queue_url, entries) -> {Id: MessageId}; a RuntimeError names the entries that failed."""
    sqs = client()
    url = fresh(sqs, "exercise-2")
    good = _entries("hills", "lake")
    result = attempt(send_batch, sqs, url, list(good), timeout=TIMEOUT)
    if isinstance(result, Raised):
        empty = ". The list Failed can be there and be empty" if isinstance(result.error, RuntimeError) else ""
        raise Wrong(f"SQS took both entries, and it raised {result}{empty}")
    arrived = {message["MessageId"]: message["Body"] for message in take_all(sqs, url)}
    if len(arrived) != 2:
        raise Wrong(f"two good entries were sent, and {len(arrived)} messages arrived")
    if not isinstance(result, dict) or {name: arrived.get(value) for name, value in result.items()} != {
        entry["Id"]: entry["MessageBody"] for entry in good
    }:
        raise Wrong("it should return a dictionary with the MessageId of each Id")
    for failing in (["valley"], ["river", "valley"], ["forest", "river", "valley"]):
        names = ["forest", "river", "valley"]
        entries = [
            entry | ({"DelaySeconds": LONGEST_DELAY + 100} if entry["Id"] in failing else {})
            for entry in _entries(*names)
        ]
        outcome = attempt(send_batch, sqs, url, entries, timeout=TIMEOUT)
        arrived = len(take_all(sqs, url))
        what = f"SQS refused {len(failing)} of three entries"
        if not isinstance(outcome, Raised):
            raise Wrong(f"{what}, and it returned as if all had been sent; look at the answer's Failed")
        if not isinstance(outcome.error, RuntimeError):
            raise Wrong(f"{what}, and it raised {outcome}; it should be a RuntimeError that names the entries")
        if arrived != 3 - len(failing):
            raise Wrong(f"{what}, and {arrived} messages arrived; the others must be sent once each")
        named = [name for name in names if re.search(rf"\b{name}\b", str(outcome.error))]
        if set(failing) - set(named):
            raise Wrong(f"{what}, and the error does not name {min(set(failing) - set(named))!r}, which was not sent")
        if set(named) - set(failing):
            raise Wrong(f"{what}, and the error names {min(set(named) - set(failing))!r}, too, which was sent")


@question(
    hints=[
        "Keep a batch and its size. When the next body does not fit any more, that batch is done: begin a new one.",
        "SQS counts bytes: len(body.encode()). 'é' is one character and two bytes.",
        "if batch and (len(batch) == 10 or size + bytes > 1_048_576): yield batch, and begin anew. After the loop, "
        "the last batch is still in your hands.",
    ],
    why="Ten messages that fit one by one may not fit together, and SQS refuses such a request as a whole.",
)
def q3(lab, batches):
    """batches(bodies): in order, at most ten and 1,048,576 bytes each, as few as that allows."""
    if (none := _cut(batches, [])) != []:
        raise Wrong(f"without any body it gave {_shown(none)}; there should be no batch, not an empty one")
    _require_cut(batches, [f"body {number}" for number in range(23)], [10, 10, 3], "23 small bodies")
    _require_cut(batches, [f"body {number}" for number in range(20)], [10, 10], "20 small bodies")
    _require_cut(batches, ["." * 400_000] * 5, [2, 2, 1], "five bodies of 400,000 bytes")
    half = MAX_BYTES // 2
    _require_cut(batches, ["." * half, "," * half], [2], "two bodies of half a MiB each, which fit exactly")
    _require_cut(batches, ["." * half, "," * (half + 1)], [1, 1], "two bodies that are one byte too much together")
    _require_cut(
        batches, ["é" * 400_000, "è" * 400_000], [1, 1], "two bodies of 400,000 characters, 800,000 bytes each"
    )
    _require_cut(batches, ["." * MAX_BYTES, "small"], [1, 1], "a body of exactly 1 MiB, and a small one")
    outcome = attempt(lambda: list(batches(["small", "." * (MAX_BYTES + 1)])))
    if not isinstance(outcome, Raised):
        raise Wrong("a body of 1,048,577 bytes is in a batch; no request can take it, so raise a ValueError")
    if not isinstance(outcome.error, ValueError):
        raise Wrong(f"for a body of 1,048,577 bytes it raised {outcome}; it should be a ValueError")


@question(
    hints=[
        "environ.get(name, '').strip() is empty when the variable is missing, empty, or only blanks.",
        "The first three must be there. Of the two keys, one without the other is a problem; both or none is fine.",
        "Begin each sentence with the name of the variable that is missing: f'{name} is not set.' No values.",
    ],
    why="Whoever starts the server reads at once what is missing, instead of a user who saves an image at night.",
)
def q4(lab, problems):
    """problems(environ): a sentence for each missing variable, which names it; no values; [] when all is well."""
    _require_problems(problems, COMPLETE, [])
    _require_problems(problems, _without(COMPLETE, *KEYS), [], "the two AWS keys are not set: the server has a role")
    _require_problems(problems, COMPLETE | dict.fromkeys(KEYS, ""), [], "the two AWS keys are empty")
    for name in NEEDED:
        _require_problems(problems, _without(COMPLETE, name), [name])
        _require_problems(problems, COMPLETE | {name: ""}, [name], f"{name} is empty")
        _require_problems(problems, COMPLETE | {name: "  "}, [name], f"{name} is only blanks")
    for name in KEYS:
        _require_problems(problems, _without(COMPLETE, name), [name], f"{name} is not set, and its other half is")
        _require_problems(problems, COMPLETE | {name: ""}, [name], f"{name} is empty, and its other half is set")
    _require_problems(problems, _without(COMPLETE, *NEEDED), list(NEEDED), "three variables are not set")
    _require_problems(problems, {}, list(NEEDED), "nothing is set")


@question(
    hints=[
        "json.dumps(msg, allow_nan=False) raises ValueError or TypeError for what is not JSON. In send_many, note the "
        "position and go on.",
        "Make the client in __init__, or behind a lock. Then there is one, whatever the threads do.",
        "Give each entry its position as Id: str(position). The Ids in the answer's Failed and Successful are "
        "positions again.",
        "Raise NotSent at the very end, once, with all the positions: not JSON, too large, and Failed.",
    ],
    why="What a sender cannot send, it must say; and the forty-nine good messages must not suffer for the fiftieth.",
)
def q5(lab, QueueSender):  # noqa: N803  (a class)
    """QueueSender(queue_url): one client for all threads, strict JSON, batches, and the positions that failed."""
    _require_class(QueueSender, "send", "send_many")
    sqs = client()
    url = fresh(sqs, "exercise-2")
    _require_one_client(QueueSender, sqs, url)
    sender = _make(QueueSender, url)

    for value, name in ((float("nan"), "nan"), ({1, 2}, "a set")):
        outcome = attempt(sender.send, {"apps": [], "data": {"value": value}}, timeout=TIMEOUT)
        if not isinstance(outcome, Raised):
            raise Wrong(f"send takes a message with {name} in it, which is not JSON; it should raise an exception")
        if isinstance(outcome.error, (BotoCoreError, ClientError)):
            raise Wrong(f"for a message with {name} in it, it is boto3 that raises; find out before you ask SQS")

    if call(sender.send_many, [], timeout=TIMEOUT) != []:
        raise Wrong("send_many of no messages should return an empty list")
    with _Watch() as watch:
        ids = attempt(sender.send_many, [_message(number) for number in range(23)], timeout=TIMEOUT)
    if watch.most_entries > BATCH_SIZE:
        raise Wrong(f"{watch.most_entries} messages were in one request; SQS takes ten")
    if isinstance(ids, Raised):
        raise Wrong(f"send_many raised {ids}")
    _require_ids(ids, sqs, url, 23)
    if watch.requests > 3:
        raise Wrong(f"send_many used {watch.requests} requests for 23 messages; three are enough, ten to each")
    with _Watch() as watch:
        big = [_message(number) | {"text": "." * 400_000} for number in range(3)]
        ids = attempt(sender.send_many, list(big), timeout=TIMEOUT)
    if watch.largest > MAX_BYTES:
        raise Wrong("three messages of 400,000 bytes were in one request; AWS takes 1,048,576 bytes in all")
    if isinstance(ids, Raised):
        raise Wrong(f"send_many raised {ids}")
    _require_ids(ids, sqs, url, 3)
    _require_failures_named(sender, sqs, url)


NEEDED = ("SQS_QUEUE_URL", "AWS_REGION_NAME", "APP_KEY")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
COMPLETE = {
    "SQS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/images",
    "AWS_REGION_NAME": "eu-west-1",
    "APP_KEY": "a-key-Kq83nVx0",
    "AWS_ACCESS_KEY_ID": "an-id-Zt61mWb4",
    "AWS_SECRET_ACCESS_KEY": "a-secret-Jd27hRc9",
    "PATH": "/usr/bin",
}

_racing: WeakSet = WeakSet()  # classes seen to make two clients at once; a cached client would hide it the next time


class _Watch:
    """The boto3 clients that are made meanwhile, and the requests that send."""

    def __init__(self, refuse: str = ""):
        self.refuse = refuse  # entries with this text in their body are refused by SQS
        self.clients_made = self.requests = self.most_entries = self.largest = 0
        self._making = threading.Lock()
        self._another = threading.Event()

    def __enter__(self) -> "_Watch":
        watch, create, ask = self, Session.create_client, BaseClient._make_api_call

        def create_client(session, *args, **kwargs):
            with watch._making:
                watch.clients_made += 1
                if watch.clients_made > 1:
                    watch._another.set()
            watch._another.wait(A_MOMENT)
            return create(session, *args, **kwargs)

        def make_api_call(sqs, operation, arguments):
            return ask(sqs, operation, watch._noted(operation, arguments))

        self._put_back = create, ask
        Session.create_client, BaseClient._make_api_call = create_client, make_api_call
        return self

    def __exit__(self, *exception) -> None:
        Session.create_client, BaseClient._make_api_call = self._put_back

    def _noted(self, operation: str, arguments: dict) -> dict:
        if operation == "SendMessage":
            self.requests += 1
        if operation != "SendMessageBatch":
            return arguments
        self.requests += 1
        entries = [dict(entry) for entry in arguments.get("Entries", [])]
        self.most_entries = max(self.most_entries, len(entries))
        self.largest = max(self.largest, sum(len(str(entry.get("MessageBody")).encode()) for entry in entries))
        for entry in entries:
            if self.refuse and self.refuse in str(entry.get("MessageBody")):
                entry["DelaySeconds"] = LONGEST_DELAY + 100  # so SQS refuses this entry, and no other
        return arguments | {"Entries": entries}


def _require_one_client(sender_class, sqs, url: str) -> None:
    """Eight threads begin at once, with a new sender."""
    with _Watch() as watch:
        sender = _make(sender_class, url)
        start = threading.Barrier(THREADS)

        def begin(number):
            start.wait(TIMEOUT)
            return attempt(sender.send, _message(number), timeout=TIMEOUT)

        with ThreadPoolExecutor(THREADS) as threads:
            outcomes = list(threads.map(begin, range(THREADS)))
    if raised := [outcome for outcome in outcomes if isinstance(outcome, Raised)]:
        raise Wrong(f"send raised {raised[0]}")
    if sender_class in _racing or watch.clients_made > 1:
        _racing.add(sender_class)
        raise Wrong(
            "eight threads sent with one new sender at once, and more than one client was made. Make it before they "
            "begin, in __init__, or behind a lock"
        )
    _require_ids(outcomes, sqs, url, THREADS, "send")


def _require_ids(ids: object, sqs, url: str, number: int, name: str = "send_many") -> None:
    """The ids are those of the messages 0, 1, 2 ... which arrived."""
    arrived = {message["MessageId"]: message["Body"] for message in take_all(sqs, url)}
    if not isinstance(ids, list):
        raise Wrong(f"{name} returned {kind(ids)}; it should return a list of the MessageIds")
    if len(arrived) != number:
        raise Wrong(f"{number} messages were sent with {name}, and {len(arrived)} arrived")
    if sorted(_number(_parsed(body)) for body in arrived.values()) != list(range(number)):
        raise Wrong(f"what {name} sent is not the message as JSON: {_shown(min(arrived.values()))}")
    if [_number(_parsed(arrived.get(message_id))) for message_id in ids] != list(range(number)):
        raise Wrong(f"what {name} returned is not the MessageId of each message, in the order of the messages")


BAD = {3: "has nan in it", 5: "has a set in it", 8: "was refused by SQS", 12: "is too large"}


def _require_failures_named(sender, sqs, url: str) -> None:
    """All four kinds of bad messages at once; where that goes wrong, each alone, to find out which."""
    try:
        _require_others_sent(sender, sqs, url, list(BAD))
    except Wrong:
        for number in BAD:
            _require_others_sent(sender, sqs, url, [number])
        raise


def _require_others_sent(sender, sqs, url: str, bad: list[int]) -> None:
    messages = [_message(number) for number in range(13)]
    for number, change in {
        3: {"data": {"image_id": 3, "value": float("nan")}},
        5: {"data": {"image_id": 5, "value": {1, 2}}},
        8: {"text": "SQS refuses this one"},
        12: {"text": "." * MAX_BYTES},
    }.items():
        if number in bad:
            messages[number] |= change
    with _Watch(refuse="SQS refuses"):
        outcome = attempt(sender.send_many, messages, timeout=TIMEOUT)
    arrived = sorted(_number(_parsed(message["Body"])) for message in take_all(sqs, url))
    others = [number for number in range(13) if number not in bad]
    what = f"of 13 messages number {bad[0]} {BAD[bad[0]]}" if len(bad) == 1 else "of 13 messages four are bad"
    if not isinstance(outcome, Raised):
        raise Wrong(f"{what}, and send_many returned as if all had been sent")
    if len(set(arrived)) < len(arrived):
        raise Wrong(f"{what}, and others were sent twice")
    if arrived != others:
        raised = "" if hasattr(outcome.error, "positions") else f". It raised {outcome}"
        raise Wrong(f"{what}, and {len(arrived)} arrived; the other {len(others)} must be sent all the same{raised}")
    positions = getattr(outcome.error, "positions", None)
    if positions is None:
        raise Wrong(f"{what}, and it raised {outcome}; raise NotSent, with the positions")
    if not isinstance(positions, (list, tuple, set, frozenset)) or sorted(map(repr, positions)) != sorted(
        map(repr, bad)
    ):
        raise Wrong(f"{what}, and the positions are {_shown(positions)}; {bad} was expected")


def _require_class(value: object, *methods: str) -> None:
    if not isinstance(value, type):
        raise Wrong(f"a class was expected, and this is {kind(value)}")
    for method in methods:
        if not callable(getattr(value, method, None)):
            raise Wrong(f"{value.__name__} has no method {method}")


def _make(sender_class, url: str):
    outcome = attempt(sender_class, url, timeout=TIMEOUT)
    if isinstance(outcome, Raised):
        raise Wrong(f"{sender_class.__name__}(queue_url) raised {outcome}")
    return outcome


def _entries(*names: str) -> list[dict]:
    return [{"Id": name, "MessageBody": json.dumps({"apps": [], "data": {"title": name}})} for name in names]


def _cut(batches, bodies: list[str]) -> list:
    def cut():
        return [list(batch) for batch in batches(list(bodies))]

    cut.__name__ = getattr(batches, "__name__", "batches")
    if not callable(batches):
        raise Wrong(f"a function was expected, and this is {kind(batches)}")
    return call(cut)


def _require_cut(batches, bodies: list[str], sizes: list[int], what: str) -> None:
    result = _cut(batches, bodies)
    got = [len(batch) for batch in result]
    flat = [body for batch in result for body in batch]
    if 0 in got:
        raise Wrong(f"for {what} it gave batches of {got}; SQS refuses an empty one")
    if len(flat) != len(bodies):
        raise Wrong(f"for {what} it gave batches of {got}: {len(flat)} of {len(bodies)} bodies")
    if max(got) > BATCH_SIZE:
        raise Wrong(f"for {what} it gave batches of {got}; a request takes ten entries")
    if max(sum(len(str(body).encode()) for body in batch) for batch in result) > MAX_BYTES:
        raise Wrong(f"for {what} it gave batches of {got}; one of them has more than 1,048,576 bytes")
    if flat != bodies:
        raise Wrong(f"for {what} the bodies are not in the order in which they were given")
    if len(got) > len(sizes):
        raise Wrong(f"for {what} it gave batches of {got}; {sizes} is enough, and each request is paid for")


def _require_problems(problems, environ: dict, missing: list[str], what: str = "") -> None:
    what = what or (f"{missing[0]} is not set" if missing else "all five variables are set")
    found = call(problems, dict(environ))
    if not isinstance(found, (list, tuple)) or not all(isinstance(text, str) for text in found):
        raise Wrong(f"it returned {kind(found)}; it should return a list of sentences")
    for name, value in environ.items():
        if value.strip() and any(value in text for text in found):
            raise Wrong(f"a sentence holds the value of {name}; such sentences end in logs, so write only names")
    if not missing and found:
        raise Wrong(f"{what}, and that is fine, but it found a problem: {_shown(found[0])}")
    for name in missing:
        if not any(name in text for text in found):
            raise Wrong(f"{what}, and no sentence names {name}")
    if len(found) != len(missing):
        raise Wrong(f"{what}, and it returned {len(found)} sentences; write one for each variable that is missing")


def _without(environ: dict, *names: str) -> dict:
    return {name: value for name, value in environ.items() if name not in names}


def _message(number: int) -> dict:
    return {"apps": [], "data": {"image_id": number}}


def _parsed(body: str | None) -> object:
    try:
        return json.loads(body or "")
    except ValueError:
        return None


def _number(message: object) -> int:
    """The image's number in a message; -1 where it is no such message."""
    return message["data"].get("image_id", -1) if isinstance(message, dict) and "data" in message else -1


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{kind(value)} of {len(value)}" if hasattr(value, "__len__") else kind(value)
