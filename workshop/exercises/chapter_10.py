"""Chapter 10, Make it fast: what its exercise asks, and how it looks at the answers."""

import copy
import itertools
import math
from collections import Counter

from . import queues
from .calling import call, expect, shown
from .question import Wrong, question

LAB = {"django": False, "queue": False}

REQUESTS = ("SendMessage", "SendMessageBatch")
FAST = [4, 2, 2, 90, 2]  # milliseconds of the five rounds: in the fourth the machine was busy
SLOW = [7, 8, 6, 6, 95]
PARTS = {"send": 10.0, "deliver": 20.0, "thumbnail": 50.0}  # milliseconds


@question(
    hints=[
        "One request can carry ten messages. What is it called?",
        "send_message_batch(QueueUrl=..., Entries=[{'Id': ..., 'MessageBody': ...}, ...]), for ten bodies at a time.",
        "for start in range(0, len(bodies), 10): ten = bodies[start : start + 10]",
    ],
    why="A tenth of the requests is a tenth of the ways to SQS and back, and of the bill.",
)
def q1(lab, send_all):
    """Any number of bodies, each sent once, in as few requests as SQS allows."""
    for count in (25, 10, 1, 0):
        sqs = queues.client()
        url = queues.fresh(sqs, "send-all")
        sent = [queues.noted(sqs, operation) for operation in REQUESTS]
        bodies = [f"body {number}" for number in range(count)]
        call(send_all, sqs, url, list(bodies))
        requests, least = sum(map(len, sent)), math.ceil(count / 10)
        arrived = Counter(message["Body"] for message in queues.take_all(sqs, url))
        if missing := Counter(bodies) - arrived:
            raise Wrong("lost", f"of {count} messages {missing.total()} did not arrive, such as {min(missing)!r}")
        if arrived != Counter(bodies):
            raise Wrong("twice", f"{count} messages were to be sent, and {arrived.total()} arrived")
        if requests > least:
            raise Wrong("requests", f"{count} messages took {requests} requests, and SQS needs no more than {least}")


@question(
    hints=[
        "Which of the two runs when the machine is busy for a moment? Let them take turns.",
        "A loop over the rounds, and in it a and then b, each with the clock read before and after.",
        "Keep each time in a list: statistics.median(times) is not moved by one slow run.",
    ],
    why="What the machine does meanwhile meets both alike, and one slow run moves neither result.",
)
def q2(lab, in_turn):
    """A B A B ..., and the median of each."""
    now, order = [0.0], []

    def way(name, times):
        taking = itertools.cycle(times)

        def do():
            order.append(name)
            now[0] += next(taking)

        return do

    found = call(in_turn, way("a", FAST), way("b", SLOW), 5, lambda: now[0])
    if order == list("aaaaabbbbb"):
        raise Wrong(
            "blocks",
            "all rounds of a ran first, and then those of b: what the machine does in one of the two "
            "halves looks like a difference between a and b",
        )
    expect("".join(order), "ab" * 5, "as the order of the calls ")
    if isinstance(found, (tuple, list)) and len(found) == 2 and math.isclose(found[0], sum(FAST) / 5):
        raise Wrong(
            "mean",
            "the results are means: one slow run in five, when the machine was busy, made a ten times as "
            "slow as it usually is",
        )
    expect(tuple(found) if isinstance(found, (tuple, list)) else found, (2, 7), "for the medians of five rounds ")


@question(
    hints=[
        "How long does the whole take now? And how long when that one part takes its new time?",
        "Only the one part changes: parts[part] / factor. The others stay as long as they are.",
        "before = sum(parts.values()); after = before - parts[part] + parts[part] / factor",
    ],
    why="Before you make a part faster, you know what the whole can gain by it.",
)
def q3(lab, gain):
    """How many times as fast the whole becomes: Amdahl's law."""
    for part, factor, expected in [("thumbnail", 5, 2.0), ("send", 2, 80 / 75), ("deliver", 1, 1.0)]:
        parts = copy.copy(PARTS)
        found = call(gain, parts, part, factor)
        if parts != PARTS:
            raise Wrong("changed", "it changed the dictionary of the parts, which is somebody else's")
        if not isinstance(found, (int, float)):
            raise Wrong("returned", f"it returned {shown(found)}, and a number was expected")
        if math.isclose(found, factor) and factor != 1:
            raise Wrong(
                "the part alone",
                f"it returned {found}: that is what the part gains, and the others are as slow as before",
            )
        if math.isclose(found, 1 / expected) and expected != 1:
            raise Wrong(
                "upside down", f"it returned {found:.2f}, the new time as a share of the old one; faster is more than 1"
            )
        if not math.isclose(found, expected, rel_tol=0.01):
            raise Wrong(
                "returned",
                f"for {part} {factor} times as fast it returned {found:.2f}, and {expected:.2f} was expected",
            )
