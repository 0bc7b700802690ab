"""Chapter 5, Run the Lambda handler: what its exercise asks, and how it looks at the answers."""

import asyncio
import inspect
import json
import selectors

import aiohttp

from workshop.functions.invocation import LambdaContext
from workshop.lab.processes import free_port

from .calling import Raised, attempt, call, call_handler, failures, perform_handler, record
from .listening import everything_said
from .question import Wrong, question
from .servers import RecordingServer

LAB = {"django": False, "queue": False}

KEY = "3Uk9-a-key-that-nobody-may-see-x7Lq"


@question(
    hints=[
        "The list is right, and so is its place. Look at one entry of it: what does Lambda read there?",
        'In chapter 5 the handler of the workshop returned [{"itemIdentifier": "message-bad"}, ...].',
    ],
    why="With a wrong key in it Lambda counts the whole batch as failed: good messages are done again and again.",
)
def q1(lab, handler):
    """The handler reports exactly the records whose body is not JSON, as Lambda reads it."""
    if _failures_of(handler, []):
        raise Wrong("it reports a failure for an event without records")
    mixed = [record("first", {"image_id": 1}), record("second", "not JSON"), record("third", {"image_id": 3})]
    response = call_handler(handler, mixed)
    if isinstance(response, dict) and "batchItemFailures" not in response:
        names = ", ".join(map(repr, response)) or "nothing"
        raise Wrong(
            f"what it returns has no 'batchItemFailures' (it has {names}): Lambda concludes that all went well, and "
            "the bad messages are deleted"
        )
    _require_reported(failures(response), mixed, {"second"})
    _require_reported(_failures_of(handler, [record("only", "{")]), [record("only", "{")], {"only"})


@question(
    hints=[
        "Two things raise: json.loads for the poison message, and raise_for_status. Each should fail one record.",
        "gather(..., return_exceptions=True) returns the exceptions in the place of the results, in the same order.",
        "zip(event['Records'], results): whoever has an exception as its result goes into batchItemFailures.",
    ],
    why="One bad endpoint would repeat every good delivery of its batch, and bring all of it to the dead-letter queue.",
)
def q2(lab, deliver_all):
    """deliver_all(event) posts every record, and returns the failures of those that did not reach all their apps."""

    def handler(event, context):
        return asyncio.run(deliver_all(event))

    if not inspect.iscoroutinefunction(deliver_all):
        raise Wrong("deliver_all is not an async function; the handler runs it with asyncio.run(deliver_all(event))")
    if _failures_of(handler, []):
        raise Wrong("it reports a failure for an event without records")
    with RecordingServer() as server:

        def message(*paths):
            apps = [{"endpoint": server.url(path), "key": KEY} for path in paths]
            return {"apps": apps, "data": {"image_id": 1}}

        nobody = {"apps": [{"endpoint": f"http://127.0.0.1:{free_port()}/", "key": KEY}], "data": {}}
        event = [
            record("busy", message("/503")),
            record("slow", message("/200/later?slow")),
            record("poison", "not JSON"),
            record("half", message("/200?half", "/500")),
            record("nobody", nobody),
            record("good", message("/200?good")),
        ]
        invocation = perform_handler(handler, event)
        if error := invocation.exception:
            raise Wrong(
                f"one bad record, and the handler raises {type(error).__name__}: Lambda concludes that the whole batch "
                "has failed. Catch what a record raises, and report that record"
            )
        failed = failures(invocation.result)
        arrived = server.paths()
    for name, path in [("slow", "/200/later?slow"), ("good", "/200?good")]:
        if path not in arrived:
            raise Wrong(f"the good record {name!r} was not delivered, because others of its batch had failed")
        if arrived.count(path) > 1:
            raise Wrong(f"the good record {name!r} was delivered {arrived.count(path)} times")
    if not failed:
        raise Wrong("it reports no failure, so Lambda deletes every message, also those that reached nobody")
    if {"slow", "good"} & failed:
        wrongly = ", ".join(sorted({"slow", "good"} & failed))
        raise Wrong(f"it reports records that were delivered ({wrongly}): they would be delivered again")
    for name, what in [
        ("busy", "a record whose app answered 503 counts as delivered; aiohttp raises for that only if you ask it to"),
        ("poison", "the poison message is not reported: it would vanish, and nobody would look for the cause"),
        ("nobody", "a record whose app could not be reached is not reported, so it is deleted"),
        ("half", "a record with two apps, of which one answered 500, counts as delivered; it must reach all its apps"),
    ]:
        if name not in failed:
            raise Wrong(what)
    _require_reported(failed, event, {"busy", "poison", "half", "nobody"})


@question(
    hints=[
        "session.post(..., json=data, headers=...) with two headers: Authorization, and Idempotency-Key.",
        "A status from 200 to 299 is a success. answer.ok is true for redirects, too, and aiohttp follows those unless "
        "you say allow_redirects=False.",
        "except aiohttp.ClientError as error: return type(error).__name__ says why, and holds no key.",
    ],
    why="The key in a log can be read by everyone who may read logs, and the Idempotency-Key makes repeats harmless.",
)
def q3(lab, deliver):
    """deliver(session, app, data, message_id) posts once; returns None for 2xx, and else a text that says why."""
    if not inspect.iscoroutinefunction(deliver):
        raise Wrong("deliver is not an async function")
    with RecordingServer() as server, everything_said() as said:

        def result_for(endpoint, message_id="message-7"):
            return _in_a_session(deliver, {"endpoint": endpoint, "key": KEY}, {"image_id": 7}, message_id)

        result = result_for(server.url("/200"))
        if not server.requests:
            raise Wrong("nothing arrived at the app")
        idempotency_key = _key_of_delivery(server.requests[-1])
        result_for(server.url("/200"))
        if _key_of_delivery(server.requests[-1]) != idempotency_key:
            raise Wrong("the same message was delivered twice, with two different keys in Idempotency-Key")
        result_for(server.url("/200"), "message-8")
        if _key_of_delivery(server.requests[-1]) == idempotency_key:
            raise Wrong(
                "two messages had the same Idempotency-Key: the app takes the second for a repetition. It must depend "
                "on the message_id"
            )
        if result is not None:
            raise Wrong(f"the app answered 200, and it returned {_shown(result)}; return None for a success")
        for status in (201, 202, 204):
            if (result := result_for(server.url(f"/{status}"))) is not None:
                raise Wrong(f"it takes {status} for a failure ({_shown(result)}); every status from 200 to 299 is fine")
        refused = f"http://127.0.0.1:{free_port()}/"
        for endpoint, what in [
            (server.url("/503"), "the app answered 503"),
            (server.url("/401"), "the app answered 401"),
            (server.url("/302"), "the app answered 302, a redirect"),
            (refused, "nobody listens at the endpoint"),
            ("not an address", "the endpoint is no URL"),
        ]:
            result = _in_a_session(deliver, {"endpoint": endpoint, "key": KEY}, {"image_id": 7}, "message-7", what=what)
            if "/elsewhere" in server.paths():
                raise Wrong(
                    "it follows a redirect: whoever answers decides where the next request goes. "
                    "Say allow_redirects=False"
                )
            if result is None:
                raise Wrong(f"{what}, and it returned None, which means success; return a text that says why")
            if not isinstance(result, str) or not result:
                raise Wrong(f"{what}, and it returned {_shown(result)}; return a text that says why")
            if KEY in result:
                raise Wrong(f"{what}, and the text that it returned holds the app's key; leave the key out")
    if KEY in str(said):
        raise Wrong("the app's key is in what it logs or prints: on AWS that is CloudWatch, which many people read")


@question(
    hints=[
        "asyncio.wait(tasks, timeout=seconds) returns two sets, (done, pending), and raises nothing.",
        "get_remaining_time_in_millis() counts milliseconds; timeout= wants seconds. Keep one back.",
        "tasks = {message_id: asyncio.create_task(delivery)} starts them all. Cancel what is pending. "
        "A done task's exception() says whether it failed. And asyncio.wait refuses to wait for no task at all.",
    ],
    why="A function that is stopped by its timeout reports nothing: all of its batch comes again, the delivered ones, "
    "too.",
)
def q4(lab, finish_in_time):
    """finish_in_time(deliveries, context) -> the ids of the deliveries that raised, or were late and are cancelled."""
    if not inspect.iscoroutinefunction(finish_in_time):
        raise Wrong("finish_in_time is not an async function")
    if (nothing := _finish(finish_in_time, {}, seconds=10)[0]) != []:
        raise Wrong(f"without any delivery it returned {_shown(nothing)}; an empty list was expected")
    waits = {"quick": 0, "broken": None, "never": 60}
    failed, running = _finish(finish_in_time, waits, seconds=10)
    _require_in_time(failed, {"broken", "never"}, waits)
    if running:
        raise Wrong("the late delivery was reported as failed and still runs: it might succeed after all. Cancel it")
    waits = {"never": 60, "slow": 20, "quick": 0}
    failed, _ = _finish(finish_in_time, waits, seconds=30)
    _require_in_time(failed, {"never"}, waits)


@question(
    hints=[
        "A loop over the records: try to parse and to work; on any exception, note the id as failed.",
        'record["attributes"].get("MessageGroupId") is None for a standard queue. There, records are independent.',
        "Keep a set of the groups that have failed, made anew in each call of the handler. A record of such a group is "
        "failed, too, without any work.",
    ],
    why="This is the core of every Lambda function behind a queue, and each of its rules saves or loses messages.",
)
def q5(lab, batch_handler):
    """batch_handler(work) makes a handler: partial failures, and order within each group of a FIFO queue."""
    worked, broken = [], set()

    def work(data, message_id):
        worked.append((data, message_id))
        if message_id in broken:
            raise RuntimeError("this work cannot be done now")

    handler = call(batch_handler, work)
    if not callable(handler):
        raise Wrong(f"batch_handler(work) returned {_shown(handler)}; it must return the handler, a function")
    if _failures_of(handler, []):
        raise Wrong("the handler reports a failure for an event without records")
    if worked:
        raise Wrong("work was called for an event without records")

    broken.add("two")
    standard = [record("one", {"n": 1}), record("two", {"n": 2}), record("poison", "{"), record("four", {"n": 4})]
    failed = _failures_of(handler, standard)
    if any(message_id == "poison" for _, message_id in worked):
        raise Wrong("work was called for a body that is not JSON; that record has failed without it")
    if worked and isinstance(worked[0][0], str):
        raise Wrong("work got the body as text; give it what json.loads makes of it")
    if not worked:
        raise Wrong(
            "work was never called, not even for the first record, with which nothing is wrong. Does something raise "
            "before it? data is all that json.loads makes of the body, here {'n': 1}, and in an event of a standard "
            "queue the attributes have no MessageGroupId"
        )
    expected = [({"n": 1}, "one"), ({"n": 2}, "two"), ({"n": 4}, "four")]
    if strange := [called for called in worked if called not in expected]:
        data, message_id = map(_shown, strange[0])
        raise Wrong(
            f"work got {data} as data and {message_id} as message_id; {{'n': 1}} and 'one', for example, were expected"
        )
    if ({"n": 4}, "four") not in worked:
        raise Wrong(
            "in an event of a standard queue the records behind a failed one were not worked on. These have no "
            "MessageGroupId, so they are independent"
        )
    if worked != expected:
        order = ", ".join(message_id for _, message_id in worked)
        raise Wrong(f"work was called for {order}; once for each record, in the order of the event, was expected")
    _require_reported(failed, standard, {"two", "poison"})

    worked.clear()
    broken.add("a2")
    groups = {"a1": "a", "b1": "b", "a2": "a", "b2": "b", "a3": "a", "c1": "c", "a4": "a", "c2": "c", "b3": "b"}
    fifo = [record(name, "{" if name == "c1" else {}, MessageGroupId=group) for name, group in groups.items()]
    failed = _failures_of(handler, fifo)
    done = [message_id for _, message_id in worked]
    if {"a3", "a4"} & set(done):
        raise Wrong("FIFO: a group's record was worked on although an earlier one of the same group had failed")
    if "c2" in done:
        raise Wrong("FIFO: a group's record was worked on although an earlier one, which was not JSON, had failed")
    if missing := [name for name in ("a1", "b1", "b2", "b3") if name not in done]:
        raise Wrong(
            f"FIFO: {', '.join(missing)} was not worked on. A failure holds up the rest of its own group alone, not "
            "that of others"
        )
    if done != ["a1", "b1", "a2", "b2", "b3"]:
        raise Wrong(f"FIFO: the records were worked on in the order {', '.join(done)}, not in that of the event")
    if unreported := [name for name in ("a3", "a4", "c2") if name not in failed]:
        raise Wrong(
            f"FIFO: {', '.join(unreported)} was not worked on and not reported either: Lambda would delete it, and it "
            "would be lost"
        )
    _require_reported(failed, fifo, {"a2", "a3", "a4", "c1", "c2"})

    broken.clear()
    again = [record("a2", {}, MessageGroupId="a"), record("a3", {}, MessageGroupId="a")]
    if _failures_of(handler, again):
        raise Wrong(
            "the failed records came again, all would have gone well, and they were reported. A warm handler is called "
            "many times: does something live outside of it that remembers the failure?"
        )


def _failures_of(handler, records) -> set[str]:
    return failures(call_handler(handler, records))


def _require_reported(failed: set[str], records: list[dict], expected: set[str]) -> None:
    ids = {item["messageId"] for item in records}
    if failed & {item["receiptHandle"] for item in records}:
        raise Wrong("it reports a receiptHandle; Lambda knows a failed record by its messageId")
    if strangers := failed - ids:
        raise Wrong(f"it reports {_shown(min(strangers))}, which is not the messageId of a record in the event")
    if lost := sorted(expected - failed):
        raise Wrong(f"the failed record {lost[0]!r} is not reported, so Lambda deletes its message")
    if wrongly := sorted(failed - expected):
        raise Wrong(f"it reports the record {wrongly[0]!r}, with which nothing is wrong: it would be delivered again")


def _in_a_session(deliver, app, data, message_id, what=""):
    async def run():
        async with aiohttp.ClientSession() as session:
            return await deliver(session, app, data, message_id)

    run.__name__ = f"{what}, and {deliver.__name__}" if what else deliver.__name__
    return call(run)


def _key_of_delivery(request) -> str:
    """The Idempotency-Key of a request that is right otherwise."""
    if request.method != "POST":
        raise Wrong(f"it sent a {request.method}; the app expects a POST")
    authorization = request.headers.get("Authorization")
    if authorization is None:
        raise Wrong("the header Authorization did not arrive")
    if authorization != f"Token {KEY}":
        raise Wrong("the header Authorization is not 'Token <key>', with the app's key")
    idempotency_key = request.headers.get("Idempotency-Key")
    if idempotency_key is None:
        raise Wrong("the header Idempotency-Key did not arrive: the app cannot tell a repetition from a new message")
    try:
        body = json.loads(request.body)
    except ValueError:
        raise Wrong("the body that arrived is not JSON; session.post(..., json=data) makes it so") from None
    if body == '{"image_id": 7}':
        raise Wrong("the data was made JSON twice, so a text arrived; session.post(..., json=data) does it by itself")
    if body != {"image_id": 7}:
        raise Wrong(f"the body that arrived is {body!r}, and the data was {{'image_id': 7}}")
    return idempotency_key


def _finish(finish_in_time, waits: dict, seconds: float) -> tuple[object, list[str]]:
    """What finish_in_time returns, as a sorted list, and the deliveries that still run after it.

    The function has `seconds` left, of a clock that jumps to the next event: no check waits for real.
    """
    running, begun = set(), {}

    async def delivery(name, wait):
        running.add(name)
        begun[name] = asyncio.get_running_loop().time()
        try:
            if wait is None:
                raise ConnectionError("this delivery fails")
            await asyncio.sleep(wait)
        finally:
            running.discard(name)

    async def run():
        deliveries = {name: delivery(name, wait) for name, wait in waits.items()}
        context = _Context(asyncio.get_running_loop(), seconds)
        try:
            result = await finish_in_time(dict(deliveries), context)
            left = context.get_remaining_time_in_millis() / 1000
            for _ in range(3):  # a cancelled task ends in the next round of the loop
                await asyncio.sleep(0)
            return result, left, sorted(running)
        finally:
            for coroutine in deliveries.values():
                if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                    coroutine.close()  # never started: Python would warn

    def run_with_jumping_clock():
        with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
            return runner.run(run())

    run_with_jumping_clock.__name__ = getattr(finish_in_time, "__name__", "finish_in_time")
    outcome = attempt(run_with_jumping_clock)
    if isinstance(outcome, Raised):
        raise Wrong(("" if waits else "without any delivery ") + _why_it_raised(outcome.error))
    result, left, still_running = outcome
    if len(begun) < len(waits) or len(set(begun.values())) > 1:
        raise Wrong(
            "a delivery was started only when another one had finished, or not at all: one that never answers holds up "
            "the rest. Start them all at once"
        )
    if left <= 0:
        raise Wrong(
            f"Lambda would have stopped it: the function had {seconds:g} seconds, and it did not return in that time. "
            "Wait no longer than the context allows, in seconds, less one"
        )
    if left < 0.5:
        raise Wrong("it waits until the last moment, and no time is left to report; keep one second back")
    return (sorted(result) if isinstance(result, (list, tuple, set, frozenset)) else _shown(result)), still_running


class _Context(LambdaContext):
    """A context on the clock of an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float):
        super().__init__("a-request", deadline=loop.time() + seconds)
        self._loop = loop

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - self._loop.time()) * 1000))


class _JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock does not wait: with nothing to do now, it is at once the time of what comes next."""

    def __init__(self):
        self._now = 0.0
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout=None):
                loop._now += timeout or 0
                return super().select(timeout and 0)

        super().__init__(Selector())

    def time(self) -> float:
        return self._now


def _why_it_raised(error: BaseException) -> str:
    text = f"it raised {type(error).__name__}: {str(error).rstrip('.') or 'no message'}"
    if isinstance(error, ConnectionError):
        return text + ". That is a delivery's own error, which should only put its id into the list"
    if isinstance(error, (TimeoutError, asyncio.CancelledError)):
        return text + ". When the time is over, it should return what it knows"
    return text


def _require_in_time(failed: object, expected: set[str], waits: dict) -> None:
    if not isinstance(failed, list):
        raise Wrong(f"it returned {failed}; a list of ids was expected")
    if "quick" in failed:
        raise Wrong(
            "a delivery that had long succeeded is reported, only because another one was late or failed. "
            "Ask each for its own outcome"
        )
    if "slow" in failed:
        raise Wrong(
            "with 30 seconds left, a delivery that took 20 was given up. Use the time that the context says, not a "
            "number of your own"
        )
    if "never" not in failed:
        raise Wrong("the delivery that was not finished in time is missing in the list: its message would be deleted")
    if "broken" in expected and "broken" not in failed:
        raise Wrong("the delivery that raised an exception is missing in the list: its message would be deleted")
    if set(failed) != expected:
        raise Wrong(f"it returned {failed!r}, and {sorted(expected)!r} was expected")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"a {type(value).__name__}"
