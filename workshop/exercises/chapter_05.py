"""Chapter 5, Run the Lambda handler: what its exercise asks, and how it looks at the answers."""

import json

import aiohttp

from workshop.lab.processes import free_port

from .calling import Raised, attempt, call, expect, failures, invoke, kind, record, shown
from .listening import everything_said
from .question import Wrong, question
from .servers import RecordingServer

LAB = {"django": False, "queue": False}

KEY = "3Uk9-a-key-that-nobody-may-see-x7Lq"


@question(
    hints=[
        "The list is right, and so is its place. Look at one entry of it: what does Lambda read there?",
        "In chapter 5 the handler of the workshop returned a list of failures. What is the key of one of them?",
        'An entry is {"itemIdentifier": <the messageId>}.',
    ],
    why="The bad messages come again, and the good ones are done.",
)
def q1(lab, handler):
    """The handler reports exactly the records whose body is not JSON, as Lambda reads it."""
    mixed = [record("first", {"image_id": 1}), record("second", "not JSON"), record("third", {"image_id": 3})]
    response = invoke(handler, mixed)
    if isinstance(response, dict) and "batchItemFailures" not in response:
        raise Wrong("all is well", f"it returned {shown(response)}: without batchItemFailures, all is deleted as done")
    _require_reported(failures(response), {"second"})
    _require_reported(failures(invoke(handler, [record("only", "{"), mixed[0]])), {"only"})
    _require_reported(failures(invoke(handler, mixed[:1])), set())


@question(
    hints=[
        "Two things raise: json.loads for the poison message, and raise_for_status. Each should fail one record.",
        "A try around all that is done for one record. What does it do with the record's messageId?",
        'except Exception: failed.append({"itemIdentifier": record["messageId"]}), and return that list.',
    ],
    why="One bad endpoint costs one message some time, and the rest of its batch nothing.",
)
def q2(lab, deliver_all):
    """deliver_all(event) posts every record, and returns the failures of those that did not reach all their apps."""
    with RecordingServer() as server:

        def message(*urls):
            return {"apps": [{"endpoint": url, "key": KEY} for url in urls], "data": {"image_id": 1}}

        records = [
            record("busy", message(server.url("/503"))),
            record("slow", message(server.url("/200/later?slow"))),
            record("poison", "not JSON"),
            record("half", message(server.url("/200?half"), server.url("/500"))),
            record("other half", message(server.url("/500"), server.url("/200?half"))),
            record("nobody", message(f"http://127.0.0.1:{free_port()}/")),
            record("good", message(server.url("/200?good"))),
        ]
        response = attempt(deliver_all, {"Records": records})
        arrived = server.paths()
    if isinstance(response, Raised):
        raise Wrong("whole batch", f"it raised {response}: Lambda concludes that the whole batch has failed")
    failed = failures(response)
    for name, path in [("slow", "/200/later?slow"), ("good", "/200?good")]:
        if arrived.count(path) != 1:
            raise Wrong("good", f"the good record {name!r} was delivered {arrived.count(path)} times, not once")
    _require_reported(failed, {"busy", "poison", "half", "other half", "nobody"})


@question(
    hints=[
        "Two messages may have the same data. Which of the arguments is another one for each message?",
        "A timeout of aiohttp is a TimeoutError, and no ClientError. And what does %s write of a dict?",
        "message_id is the key; except (aiohttp.ClientError, TimeoutError); and log app['endpoint'].",
    ],
    why="A repetition is recognised, a silent server fails one message, and whoever reads logs learns no key.",
)
def q3(lab, deliver):
    """deliver(session, app, data, message_id) posts once; returns None for 2xx, and else a text that says why."""

    async def run(endpoint, message_id="message-7"):
        timeout = aiohttp.ClientTimeout(total=0.5 if "never" in endpoint else 5)  # seconds
        async with aiohttp.ClientSession(timeout=timeout) as session:
            return await deliver(session, {"endpoint": endpoint, "key": KEY}, {"image_id": 7}, message_id)

    with RecordingServer() as server, everything_said() as said:
        for message_id in ("message-7", "message-7", "message-8"):
            expect(call(run, server.url("/200"), message_id), None, "for an app that answered 200 ")
        again, first, other = ([request.headers.get("Idempotency-Key") for request in server.requests] + [None] * 3)[:3]
        if not first or first != again:
            raise Wrong("another key", "the same message was delivered twice, and the app takes it for two")
        if first == other:
            raise Wrong(
                "same key", "two messages had the same Idempotency-Key: the app takes the second for a repetition"
            )
        arrived = [(one.headers.get("Authorization"), json.loads(one.body)) for one in server.requests]
        if arrived != [(f"Token {KEY}", {"image_id": 7})] * 3:
            raise Wrong("arrived", f"what arrived at the app is not what it should: {shown(arrived[0])}")
        expect(call(run, server.url("/201")), None, "for an app that answered 201 ")
        nobody = f"http://127.0.0.1:{free_port()}/"
        texts = [attempt(run, url) for url in (server.url("/503"), nobody, server.url("/never"))]
    if isinstance(texts[2], Raised):
        raise Wrong("timeout", f"a server did not answer in time, and it raised {texts[2]}")
    for text, what in zip(texts, ("the app answered 503", "nobody is there", "no answer came"), strict=True):
        if not isinstance(text, str) or not text:
            raise Wrong("no reason", f"{what}, and instead of a text that says so: {shown(text)}")
    if KEY in f"{said}{texts}":
        raise Wrong("the key", "the app's key is in what it logs, prints or returns, which many people read")


class _Context:
    """A context whose time goes by as work is done, and not else."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@question(
    hints=[
        "When must it look at the clock: once, or before each record? And what counts get_remaining_time_in_millis?",
        "Three seconds are 3000 milliseconds. A record that was not begun has failed, as far as Lambda is concerned.",
        'if context.get_remaining_time_in_millis() < 3000: failed.append({"itemIdentifier": ...}) and continue.',
    ],
    why="What was done stays done, and only the rest comes again.",
)
def q4(lab, handle):
    """handle(records, work, context): what is not begun with three seconds left is reported."""

    def failed_of(bodies, seconds):
        context, begun = _Context(seconds), []

        def work(body):
            begun.append(body)
            context.seconds -= 2
            if body == "broken":
                raise ValueError("this one fails")

        response = call(handle, [record(f"record {body}", body) for body in bodies], work, context)
        if context.seconds <= 0:
            raise Wrong("stopped", f"of {seconds} seconds none was left: Lambda would have stopped it, with no report")
        return failures(response), begun

    failed, begun = failed_of(["1", "broken", "3", "4", "5"], 8)
    if begun != ["1", "broken", "3"]:
        raise Wrong("given up", f"it had 8 seconds, a record takes 2, and it worked on {begun}; three can be begun")
    _require_reported(failed, {"record broken", "record 4", "record 5"})
    failed, begun = failed_of(["1", "2", "3", "4", "5"], 30)
    if len(begun) < 5:
        raise Wrong("given up", f"it had 30 seconds, five records take 10, and it worked on {len(begun)} of them")
    _require_reported(failed, set())
    failed, begun = failed_of(["1", "2"], 2.5)
    if begun:
        raise Wrong("stopped", "it was called with 2.5 seconds left, and began with a record all the same")
    _require_reported(failed, {"record 1", "record 2"})


@question(
    hints=[
        "What does Lambda do with a message that is in no report? And how long does failed_groups live?",
        "What is skipped must be reported, too.",
        "A set that is made inside of handler is new in each call.",
    ],
    why="The order within a group holds, nothing of it is lost, and no failure is remembered for ever.",
)
def q5(lab, batch_handler):
    """batch_handler(work) makes a handler: partial failures, and order within each group of a FIFO queue."""
    worked, broken = [], {"a2"}

    def work(name):
        worked.append(name)
        if name in broken:
            raise RuntimeError("this work cannot be done now")

    def failed_of(*names):
        worked.clear()
        records = [record(name, "{" if name == "c1" else json.dumps(name), MessageGroupId=name[0]) for name in names]
        records = [one | {"eventSourceARN": one["eventSourceARN"] + ".fifo"} for one in records]
        with everything_said():  # a line for each failure would fill the notebook
            return failures(invoke(handler, records))

    if not callable(handler := call(batch_handler, work)):
        raise Wrong("no handler", f"batch_handler(work) returned {kind(handler)}; a function was expected")
    failed = failed_of("a1", "b1", "a2", "b2", "c1", "a3", "b3")
    if "a3" in worked:
        raise Wrong("order", "a record was worked on although an earlier one of its group had failed")
    if worked != ["a1", "b1", "a2", "b2", "b3"]:
        raise Wrong("others", f"work was called for {worked}; a failure holds up its own group, once, and no other")
    _require_reported(failed, {"a2", "a3", "c1"})
    broken.clear()
    if failed_of("a2", "a3") or worked != ["a2", "a3"]:
        raise Wrong("remembered", f"the failed records came again, all would have gone well, and it worked on {worked}")


def _require_reported(failed: set[str], expected: set[str]) -> None:
    if lost := sorted(expected - failed):
        raise Wrong(
            "lost", f"{lost[0]!r} is not done, and is not reported ({sorted(failed)}): Lambda deletes its message"
        )
    if again := sorted(failed - expected):
        raise Wrong("again", f"it reports {again[0]!r}, with which nothing is wrong: that would be delivered again")
