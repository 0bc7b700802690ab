"""Chapter 2, Send with SqSManager: what its exercise asks, and how it looks at the answers."""

import json
import re
from unittest.mock import patch

from botocore.exceptions import ClientError
from botocore.session import Session

from .calling import Raised, attempt, call, expect, shown
from .question import Wrong, question
from .queues import client, fresh, take_all

LAB = {"django": False, "queue": False}

BATCH_SIZE = 10  # entries of a request, SQS's maximum
MAX_BYTES = 1_048_576  # of a message, and of a request: 1 MiB
TOO_LATE = 1_000  # seconds of delay; SQS's maximum is 900
REFUSED_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # as SendMessage's page says


@question(
    hints=[
        "Two lines: where the client is made, and what becomes of the message.",
        "__init__ runs once for a sender, and json.dumps makes JSON of a dict.",
        'self.sqs = boto3.client("sqs") in __init__, and MessageBody=json.dumps(msg).',
    ],
    why="One connection serves all messages, and every language can read them.",
)
def q1(lab, Sender):  # noqa: N803  (a class)
    """Sender(queue_url).send(msg) sends JSON, and makes one client, however often it sends."""
    url = fresh(client(), "exercise-2")
    messages = [{"data": {"image_id": 1}}, {"data": {"title": "olá", "public": True, "album": None}}, {"data": {}}]
    with patch.object(Session, "create_client", autospec=True, side_effect=Session.create_client) as made:
        sender = call(Sender, url)
        ids = [call(getattr(sender, "send", None), message, timeout=20) for message in messages]
    arrived = {message["MessageId"]: message["Body"] for message in take_all(client(), url)}
    if len(arrived) != len(messages):
        raise Wrong("count", f"three messages were sent, and {len(arrived)} arrived in the queue")
    for body in arrived.values():
        if _parsed(body) not in messages:
            raise Wrong("not JSON", f"what arrived is not the message as JSON: {shown(body)}")
    if [_parsed(arrived.get(str(id_))) for id_ in ids] != messages:
        raise Wrong("returned", f"send returned {shown(ids[0])}; the MessageId of the message was expected")
    if made.call_count > 1:
        raise Wrong("clients", f"for three messages it made {made.call_count} boto3 clients; make one, and keep it")


@question(
    hints=[
        "The request succeeds although entries fail. The answer has a second list beside Successful.",
        "answer.get('Failed') holds an entry for each one that was not sent, with its Id.",
        "if failed := answer.get('Failed'): raise RuntimeError(...), with the Id of each entry in failed.",
    ],
    why="Whoever sends a batch learns of each message that did not leave, and can send it again.",
)
def q2(lab, send_batch):
    """send_batch(sqs, queue_url, entries) -> {Id: MessageId}; a RuntimeError names the entries that failed."""
    sqs = client()
    url = fresh(sqs, "exercise-2")
    entries = [{"Id": name, "MessageBody": f"picture of a {name}"} for name in ("hill", "lake")]
    result = call(send_batch, sqs, url, entries)
    expect(result, {entry_id: id_ for id_, entry_id in _sent(sqs, url).items()}, "for two good entries ")
    _lose(sqs, "valley")  # an error inside of SQS, which is nobody's fault
    entries += [
        {"Id": "river", "MessageBody": "picture of a river", "DelaySeconds": TOO_LATE},
        {"Id": "valley", "MessageBody": "picture of a valley"},
    ]
    outcome, arrived = attempt(send_batch, sqs, url, entries), list(_sent(sqs, url).values())
    if not isinstance(outcome, Raised):
        raise Wrong("silent", "two of four entries were not sent, and it returned as if all had been")
    if not isinstance(outcome.error, RuntimeError):
        raise Wrong("error", f"two of four entries were not sent, and it raised {outcome}; a RuntimeError was expected")
    if sorted(arrived) != ["hill", "lake"]:
        raise Wrong("others", f"two of four entries are good, to be sent once each, and {len(arrived)} arrived")
    named = set(re.findall("hill|lake|river|valley", str(outcome.error)))
    if missing := {"river", "valley"} - named:
        raise Wrong("not named", f"the error does not name {min(missing)!r}, which was not sent: {outcome.error}")
    if named & {"hill", "lake"}:
        raise Wrong("named", f"the error names entries that were sent, too: {outcome.error}")


@question(
    hints=[
        "How long is 'olá', in characters and in bytes?",
        "'olá'.encode() is the text in UTF-8, as bytes; it has four.",
        "Put length = len(body.encode()) at the beginning of the loop, and use it in both lines.",
    ],
    why="Each request fits, in every language, and none is paid for that was not needed.",
)
def q3(lab, batches):
    """batches(bodies): in order, at most ten and 1,048,576 bytes each, as few as that allows."""
    half = MAX_BYTES // 2
    for bodies, sizes, what in [
        ([], [], "no body"),
        ([f"body {number}" for number in range(20)], [10, 10], "20 small bodies"),
        (
            ["." * half, "," * half, "small"],
            [2, 1],
            "two bodies of half a MiB each, which fit exactly, and a small one",
        ),
        (["." * half, "," * (half + 1)], [1, 1], "two bodies that are one byte too much together"),
        (["á" * 300_000, "ã" * 300_000], [1, 1], "two bodies of 300,000 characters, 600,000 bytes each"),
    ]:
        cut = call(lambda given: [list(batch) for batch in batches(given)], list(bodies))
        found = [len(batch) for batch in cut]
        if any(sum(len(body.encode()) for body in batch) > MAX_BYTES for batch in cut):
            raise Wrong("too large", f"for {what} it makes batches of {found}: more than 1,048,576 bytes in one")
        if max(found, default=0) > BATCH_SIZE:
            raise Wrong("too many", f"for {what} it makes batches of {found}; a request takes ten entries")
        if [body for batch in cut for body in batch] != bodies:
            raise Wrong("bodies", f"for {what} it makes batches of {found}; all bodies, in their order, were expected")
        if found != sizes:
            raise Wrong("more", f"for {what} it makes batches of {found}, and {sizes} is enough")


@question(
    hints=[
        "All three are settled in the line with json.dumps: two arguments.",
        "ensure_ascii=False is what keeps the characters; without it, they are written as escapes.",
        "json.dumps(msg, allow_nan=False): in ASCII, so that a character is a byte.",
    ],
    why="What you send can be read by any program, and a mistake is found where it was made.",
)
def q4(lab, body_of):
    """body_of(msg): strict JSON of characters that SQS takes, at most 1 MiB; else a ValueError."""
    message = {"data": {"title": "olá \x00 \uffff 🚀", "size": 1.5, "album": None}}
    body = call(body_of, message)
    if not isinstance(body, str) or _parsed(body) != message:
        raise Wrong("returned", f"for {message} it returned {shown(body)}; the same as JSON was expected")
    if REFUSED_CHARACTERS.search(body):
        raise Wrong("character", f"the body holds a character that SQS refuses: {ascii(body)}")
    for number in (float("nan"), float("-inf")):
        _require_value_error(body_of, {"data": {"ratio": [number]}}, f"a message with {number} in it")
    room = MAX_BYTES - len(call(body_of, {"text": ""}))  # JSON may be written with spaces or without
    if len(call(body_of, {"text": "." * room})) != MAX_BYTES:
        raise Wrong("returned", "a message whose body has exactly 1,048,576 bytes is changed")
    for text, what in (("." * (room + 1), "a body of 1,048,577 bytes"), ("á" * 600_000, "600,000 times á")):
        _require_value_error(body_of, {"text": text}, what)
    escaped = attempt(body_of, {"text": "á" * 200_000})  # as escapes it is too large, in UTF-8 it is not
    if not isinstance(escaped, Raised) and len(escaped.encode()) > MAX_BYTES:
        raise Wrong("accepted", f"for 200,000 times á it returned a body of {len(escaped.encode()):,} bytes")


@question(
    hints=[
        "enumerate counts from 0 in each batch; its second argument says where to begin.",
        "try the request; after a ClientError, send each entry of this batch alone.",
        "One entry alone, in a try of its own: after a ClientError its position is one of those not sent.",
    ],
    why="Forty-nine good messages leave, whatever is wrong with the fiftieth, and you know which one to look at.",
)
def q5(lab, send_many):
    """send_many(sqs, queue_url, bodies): all that can be sent, once; NotSent has the positions of the others."""
    sqs = client()
    url = fresh(sqs, "exercise-2", MaximumMessageSize="1024")
    good = [f"body {number}" for number in range(11)]
    result = attempt(send_many, sqs, url, list(good))
    if isinstance(result, Raised):
        raise Wrong("raised", f"eleven messages could be sent, and it raised {result}")
    if sorted(_sent(sqs, url).values()) != sorted(good):
        raise Wrong("others", "eleven good messages were sent, and they did not arrive once each")
    _lose(sqs, "body 12")
    bodies = [*good, "body 11", "body 12", "body 13"]
    bodies[3] = "." * 2000
    what = "of 14 messages one is too large, and one fails inside of SQS"
    outcome, arrived = attempt(send_many, sqs, url, list(bodies)), list(_sent(sqs, url).values())
    if not isinstance(outcome, Raised):
        raise Wrong("silent", f"{what}, and it returned as if all had been sent")
    if sorted(arrived) != sorted(body for n, body in enumerate(bodies) if n not in (3, 12)):
        raise Wrong("others", f"{what}; the other twelve must be sent once each, and {len(arrived)} arrived")
    positions = getattr(outcome.error, "positions", None)
    if not isinstance(positions, (list, tuple, set)) or sorted(positions) != [3, 12]:
        raise Wrong("positions", f"{what}: positions 3 and 12. It raised {outcome}")
    long = ["." * 2000, "," * 2000]
    url = fresh(sqs, "exercise-2")
    result = attempt(send_many, sqs, url, list(long))
    if isinstance(result, Raised) or sorted(_sent(sqs, url).values()) != sorted(long):
        raise Wrong("refused", "this queue takes 1 MiB, and two messages of 2,000 bytes were not sent once each")


def _require_value_error(body_of, message: dict, what: str) -> None:
    outcome = attempt(body_of, message)
    if not isinstance(outcome, Raised):
        raise Wrong("accepted", f"{what} goes through; a ValueError was expected")
    if not isinstance(outcome.error, ValueError):
        raise Wrong("error", f"for {what} it raised {outcome}; a ValueError was expected")


def _lose(sqs, word: str) -> None:
    """From now on messages with this word in their body fail as they do when something goes wrong inside of SQS."""
    lost: list[str] = []

    def take_out(params, **about):
        lost[:] = [entry["Id"] for entry in params["Entries"] if word in entry["MessageBody"]]
        return params | {"Entries": [entry for entry in params["Entries"] if entry["Id"] not in lost]}

    def report(parsed, **about):
        failed = [{"Id": id_, "SenderFault": False, "Code": "InternalError", "Message": "Try again."} for id_ in lost]
        if failed:
            parsed["Failed"] = [*parsed.get("Failed", []), *failed]

    def refuse(params, **about):
        if word in params["MessageBody"]:
            raise ClientError({"Error": {"Code": "InternalError", "Message": "Try again."}}, "SendMessage")

    sqs.meta.events.register("provide-client-params.sqs.SendMessageBatch", take_out)
    sqs.meta.events.register("after-call.sqs.SendMessageBatch", report)
    sqs.meta.events.register("provide-client-params.sqs.SendMessage", refuse)


def _sent(sqs, url: str) -> dict[str, str]:
    """{MessageId: body}, of a picture its name alone; the messages are deleted."""
    return {m["MessageId"]: m["Body"].removeprefix("picture of a ") for m in take_all(sqs, url)}


def _parsed(body: str | None) -> object:
    try:
        return json.loads(body or "")
    except ValueError:
        return None
