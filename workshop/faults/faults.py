"""The faults: what is broken, each by its name. Nothing may be lost or doubled by any of them.

A fault is given the pipeline, and a random generator that decides which of its forms it takes, at whom and when.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import psutil

from .pipeline import DELIVERY_TIMEOUT, Pipeline
from .proxy import Answer, Exchange, Misbehaviour, Proxy

TOO_LONG = 2.5  # seconds: the sender's boto3 client waits for 2
KILLED_WITHIN = 0.3  # seconds after the fault began, when the moment is any
SENDING = {"sender": "SendMessageBatch", "relay": "SendMessageBatch"}


@dataclass(frozen=True)
class Fault:
    name: str
    story: str  # a sentence for people
    inject: Callable[[Pipeline, Random], None]
    missing: Callable[[Pipeline], str] = lambda pipeline: ""  # why it cannot happen here


FAULTS: dict[str, Fault] = {}


def fault(story: str, missing: Callable[[Pipeline], str] = lambda pipeline: "") -> Callable[..., Callable]:
    """Puts a function into FAULTS, under its name with hyphens."""

    def enter(inject: Callable[[Pipeline, Random], None]) -> Callable[[Pipeline, Random], None]:
        name = inject.__name__.replace("_", "-")
        FAULTS[name] = Fault(name, story, inject, missing)
        return inject

    return enter


# What SQS does, to the sender, the relay or the event source mapping


def some_part(pipeline: Pipeline, random: Random) -> tuple[Proxy, str]:
    """Whose request of SQS meets the fault, and which one."""
    part, operation = random.choice(
        [*SENDING.items(), ("mapping", "ReceiveMessage"), ("mapping", "DeleteMessageBatch")]
    )
    if part == "relay":
        leave_it_to_the_relay(pipeline)
    return pipeline.to_sqs[part], operation


def leave_it_to_the_relay(pipeline: Pipeline) -> None:
    """The sender's own sending fails, so that all rows wait for the relay."""
    pipeline.to_sqs["sender"].misbehave(refuse(500, "InternalFailure"))


def refuse(status: int, code: str) -> Misbehaviour:
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "This is a fault on purpose."}).encode()
    return lambda exchange: exchange.reply(Answer(status, {"Content-Type": "application/x-amz-json-1.0"}, body))


def misbehave_with(how: Misbehaviour, pipeline: Pipeline, random: Random, most: int = 4) -> None:
    proxy, operation = some_part(pipeline, random)
    proxy.misbehave(how, to=operation, skip=random.randint(0, 2), times=random.randint(1, most))


@fault("SQS takes a message and answers too late.")
def sqs_slow(pipeline: Pipeline, random: Random) -> None:
    def slow(exchange: Exchange) -> None:
        answer = exchange.forward()
        exchange.wait(TOO_LONG)
        exchange.reply(answer)

    misbehave_with(slow, pipeline, random, most=1)


@fault("SQS takes the connection, and neither the message nor the time to answer.")
def sqs_silent(pipeline: Pipeline, random: Random) -> None:
    def silent(exchange: Exchange) -> None:
        exchange.wait(TOO_LONG)
        exchange.hang_up()

    misbehave_with(silent, pipeline, random, most=1)


@fault("SQS answers 500.")
def sqs_error(pipeline: Pipeline, random: Random) -> None:
    misbehave_with(refuse(500, "InternalFailure"), pipeline, random)


@fault("SQS throttles.")
def sqs_throttles(pipeline: Pipeline, random: Random) -> None:
    misbehave_with(refuse(400, "RequestThrottled"), pipeline, random)


@fault("Half of SQS's answer is lost on the way.")
def sqs_half_answer(pipeline: Pipeline, random: Random) -> None:
    def half(exchange: Exchange) -> None:
        answer = exchange.forward()
        exchange.reply(answer, cut=len(answer.body) // 2 + 1)
        exchange.hang_up()

    misbehave_with(half, pipeline, random)


@fault("SQS takes some messages of a request and says nothing of the others, or refuses them.")
def sqs_some_entries(pipeline: Pipeline, random: Random) -> None:
    part = random.choice(["relay", "mapping"])
    every, says_why, takes_all = random.randint(2, 3), random.random() < 0.5, random.random() < 0.5

    def some(exchange: Exchange) -> None:
        request = json.loads(exchange.body)
        kept = [entry for number, entry in enumerate(request["Entries"]) if number % every]
        if not kept:
            return refuse(500, "InternalFailure")(exchange)
        answer = exchange.forward(None if takes_all else json.dumps(request | {"Entries": kept}).encode())
        body = json.loads(answer.body)
        ids = {entry["Id"] for entry in kept}
        body["Successful"] = [entry for entry in body.get("Successful", []) if entry["Id"] in ids]
        if says_why:
            others = [entry["Id"] for entry in request["Entries"] if entry["Id"] not in ids]
            body["Failed"] = [{"Id": id, "Code": "InternalError", "SenderFault": False} for id in others]
        return exchange.reply(answer.changed(body))

    if part == "relay":
        leave_it_to_the_relay(pipeline)
    pipeline.to_sqs[part].misbehave(
        some, to="SendMessageBatch" if part == "relay" else "DeleteMessageBatch", times=random.randint(1, 3)
    )


@fault("SQS delivers messages twice, and out of order.")
def sqs_twice(pipeline: Pipeline, random: Random) -> None:
    delivered: dict[str, dict] = {}

    def again(exchange: Exchange) -> None:
        answer = exchange.forward()
        body = json.loads(answer.body)
        messages = body.get("Messages", [])
        earlier = random.sample(list(delivered.values()), min(len(delivered), 10 - len(messages)))
        delivered.update((message["MessageId"], message) for message in messages)
        body["Messages"] = random.sample([*messages, *earlier], len(messages) + len(earlier))
        exchange.reply(answer.changed(body))

    pipeline.to_sqs["mapping"].misbehave(again, to="ReceiveMessage", times=random.randint(3, 6))


# Killed, as by kill -9


def killed(part: str, at: Proxy, to: str, pipeline: Pipeline, random: Random) -> None:
    """At any moment, or when a request passes the proxy `at`: before it arrives, on its way, or before its answer."""
    moment = random.choice(["any", "before", "on the way", "before the answer"])
    delay = random.uniform(0, 0.03)
    if moment == "any":
        pipeline.after(random.uniform(0, KILLED_WITHIN), lambda: pipeline.kill(part))
        return

    def kill(exchange: Exchange) -> None:
        if moment == "before":
            pipeline.kill(part)
            exchange.hang_up()
            return
        if moment == "on the way":
            pipeline.after(delay, lambda: pipeline.kill(part))
        answer = exchange.forward()
        if moment == "before the answer":
            pipeline.kill(part)
        exchange.reply(answer)

    at.misbehave(kill, to=to, skip=random.randint(0, 3), times=1)


@fault("The sender is killed: also between commit and sending, and between sending and noting it.")
def sender_killed(pipeline: Pipeline, random: Random) -> None:
    killed("sender", pipeline.to_sqs["sender"], "SendMessageBatch", pipeline, random)


@fault("The relay is killed: also between sending and noting it.")
def relay_killed(pipeline: Pipeline, random: Random) -> None:
    leave_it_to_the_relay(pipeline)
    killed("relay", pipeline.to_sqs["relay"], "SendMessageBatch", pipeline, random)


@fault("The event source mapping is killed, the function with it, in the middle of a batch.")
def mapping_killed(pipeline: Pipeline, random: Random) -> None:
    deleting = pipeline.to_sqs["mapping"], "DeleteMessageBatch"
    killed("mapping", *random.choice([deleting, (pipeline.to_receiver, "")]), pipeline, random)


@fault("The receiver is killed in the middle of a request.")
def receiver_killed(pipeline: Pipeline, random: Random) -> None:
    killed("receiver", pipeline.to_receiver, "", pipeline, random)


@fault("The tunnel is killed, and another one is opened.")
def tunnel_killed(pipeline: Pipeline, random: Random) -> None:
    killed("tunnel", pipeline.to_receiver, "", pipeline, random)


# What the receiver does, after its work or instead of it


def receiver(how: Misbehaviour, pipeline: Pipeline, random: Random) -> None:
    work_first = random.random() < 0.5

    def misbehave(exchange: Exchange) -> None:
        if work_first:
            exchange.forward()
        how(exchange)

    pipeline.to_receiver.misbehave(misbehave, skip=random.randint(0, 3), times=random.randint(1, 6))


@fault("The receiver hangs.")
def receiver_hangs(pipeline: Pipeline, random: Random) -> None:
    def hang(exchange: Exchange) -> None:
        exchange.wait(DELIVERY_TIMEOUT + 0.5)
        exchange.hang_up()

    receiver(hang, pipeline, random)


@fault("The receiver answers garbage.")
def receiver_garbage(pipeline: Pipeline, random: Random) -> None:
    garbage = random.choice([b"\x16\x03\x01\x02\x00", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 2", random.randbytes(100)])

    def answer(exchange: Exchange) -> None:
        exchange.wfile.write(garbage)
        exchange.hang_up()

    receiver(answer, pipeline, random)


@fault("The receiver redirects.")
def receiver_redirects(pipeline: Pipeline, random: Random) -> None:
    answer = Answer(
        random.choice([301, 302, 303, 307, 308]), {"Location": random.choice(["/", "http://127.0.0.1:9/"])}, b""
    )
    receiver(lambda exchange: exchange.reply(answer), pipeline, random)


@fault("The receiver closes connections, kept ones too, without an answer.")
def receiver_hangs_up(pipeline: Pipeline, random: Random) -> None:
    receiver(Exchange.hang_up, pipeline, random)


@fault("The receiver answers 500 until the messages are dead letters, which are then brought back.")
def dead_letter(pipeline: Pipeline, random: Random) -> None:
    work_first = random.random() < 0.5

    def fail(exchange: Exchange) -> None:
        if work_first:
            exchange.forward()
        exchange.reply(Answer(500, {}, b""))

    pipeline.to_receiver.misbehave(fail, skip=random.randint(0, 4), times=10_000)


# What people do


@fault("A key was changed on one side only: the receiver answers 401.")
def bad_key(pipeline: Pipeline, random: Random) -> None:
    def another_key(exchange: Exchange) -> None:
        exchange.headers.replace_header("Authorization", "Token another")
        exchange.reply(exchange.forward())

    pipeline.to_receiver.misbehave(another_key, skip=random.randint(0, 4), times=random.randint(1, 10))


@fault("The receiver is off for a while.")
def receiver_down(pipeline: Pipeline, random: Random) -> None:
    pipeline.kill("receiver")
    pipeline.after(random.uniform(0.5, 4), lambda: None)


@fault("Another program writes to the queue, and what it writes is no message.")
def poison(pipeline: Pipeline, random: Random) -> None:
    for _ in range(random.randint(1, 5)):
        body = random.choice(["image 1 is ready", "[]", '{"apps": []}', '{"apps": [{}], "data": {"image_id": 1}}'])
        pipeline.sqs.send_message(QueueUrl=pipeline.queue_url, MessageBody=body)


# What the machine does


def no_prlimit(pipeline: Pipeline) -> str:
    return "" if sys.platform == "linux" else "only Linux can limit the files of a process that runs"


def no_postgresql(pipeline: Pipeline) -> str:
    return "SQLite has no connections to cut" if pipeline.database_url.startswith("sqlite") else ""


@fault("The disk is full, for the database, for the pictures, or for both.", no_prlimit)
def disk_full(pipeline: Pipeline, random: Random) -> None:
    """As far as a process can tell: a file that it writes to grows no further than this."""
    processes = pipeline.processes(random.choice(["sender", "receiver"]))
    limit = random.choice([0, 4_096, 65_536])  # bytes

    def limited(most: int) -> None:
        for process in processes:
            process.rlimit(psutil.RLIMIT_FSIZE, (most, psutil.RLIM_INFINITY))

    limited(limit)
    pipeline.after(random.uniform(0.2, 1), lambda: limited(psutil.RLIM_INFINITY))


@fault("PostgreSQL's connections are cut.", no_postgresql)
def database_cut(pipeline: Pipeline, random: Random) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name <> 'account'"  # which is pipeline.sql
    )
    for _ in range(random.randint(1, 6)):
        pipeline.after(random.uniform(0, 0.5), lambda: pipeline.sql(cut))
