"""Chapter 12, One message, everyone's Django: what its exercise asks, and how it looks at the answers."""

import json
import os
from unittest.mock import patch

import boto3

from workshop.names import RECEIVER_PATH

from . import queues
from .calling import Raised, attempt, call, expect, record, shown
from .listening import everything_said
from .question import Wrong, question

LAB = {"django": False, "queue": False}

KEYS = {
    "Ana": "Xq7-3Uk9vTzL0mWp8RsYd2-EhB6",
    "Bruno": "pG4_Hc6Nn1JxQe5KbAw9_uFi7Tz",
    "Carla": "Zt8.Ma2Ry7VfSu0DgLo3.qPc4Wx",
}
IMAGE = 4711
PIECE = 6  # characters of a key that are too many in a log


@question(
    hints=[
        "The log line shows the whole message, and a key stands in each of its apps. What may stand in a log instead?",
        'logging.info("Image %s is announced to %s", image_id, ", ".join(registry)): a dictionary gives its names.',
        "And before all that: if not registry, return None.",
    ],
    why="Everyone who reads the log learns who was told of what, and nobody learns a key.",
)
def q1(lab, announcement):
    """announcement(registry, image_id) returns the message, or None; its log names who gets what, without keys."""
    registry = _registry()
    with everything_said() as said:
        message = call(announcement, registry, IMAGE)
        nothing = call(announcement, {}, IMAGE)
    if registry != _registry():
        raise Wrong("changed", "the registry has changed: whoever comes next finds no key in it")
    if message != {"apps": list(registry.values()), "data": {"image_id": IMAGE}}:
        raise Wrong("message", f"the message is not as it was: {shown(message)}")
    if leaked := _leaked(str(said)):
        raise Wrong("key", f"the key of {leaked}, or a part of it, is in the log")
    if missing := [name for name in (*registry, str(IMAGE)) if name not in str(said)]:
        raise Wrong("silent", f"the log does not say {missing[0]!r}")
    expect(nothing, None, "for an empty registry ")


@question(
    hints=[
        "One `if` is missing, and one `if` compares text that should not be text.",
        "Taken: name in registry, and registry[name]['key'] is not the old_key.",
        "url = allowed_url(endpoint) in the try, and allowed_url(app['endpoint']) == url in the loop.",
    ],
    why="Nobody gets somebody else's messages, and nobody gets their own twice.",
)
def q2(lab, register):
    """register(registry, name, endpoint, key, old_key=None) takes the good, and refuses the rest with ValueError."""
    ana, bruno, carla = (app["endpoint"] for app in _registry().values())
    new_key = KEYS["Ana"][::-1]
    with patch.dict(os.environ, ENDPOINT_ALLOWLIST="*.rooms.example"), everything_said() as said:
        for key, expected, name, endpoint, *keys in [
            ("refused", True, "Carla", carla, KEYS["Carla"]),
            ("refused", False, "Carla", "https://carla.evil.example/", KEYS["Carla"]),
            ("refused", False, "Carla", carla, KEYS["Carla"][:23]),
            ("same endpoint", False, "Carla", ana, KEYS["Carla"]),
            ("same endpoint", False, "Carla", ana.replace("ana", "ANA"), KEYS["Carla"]),
            ("two endpoints", True, "Carla", ana.replace("sync", "Sync"), KEYS["Carla"]),
            ("taken", False, "Ana", carla, new_key),
            ("taken", False, "Ana", carla, new_key, ""),
            ("taken", False, "Ana", carla, new_key, KEYS["Bruno"]),
            ("taken", False, "Ana", ana, new_key, new_key),
            ("old key", True, "Ana", carla, new_key, KEYS["Ana"]),
            ("old key", True, "Ana", ana, new_key, KEYS["Ana"]),
        ]:
            registry = {name: app for name, app in _registry().items() if name != "Carla"}
            after = registry | ({name: {"endpoint": endpoint, "key": keys[0]}} if expected else {})
            outcome = attempt(register, registry, name, endpoint, *keys)
            old = "no old key" if not keys[1:] else "the old key" if keys[1] == KEYS["Ana"] else "a wrong old key"
            what = f"{name} with {endpoint} and {old}"
            if isinstance(outcome, Raised) and not isinstance(outcome.error, ValueError):
                raise Wrong("error", f"for {what} it raised {outcome}")
            if isinstance(outcome, Raised) == expected:
                raise Wrong(key, f"it {'refused' if expected else 'took'} {what}, where Ana and Bruno are registered")
            if registry != after:
                raise Wrong("changed", f"for {what}, the registry is {shown(registry)}")
            if _leaked(f"{outcome}{said}"):
                raise Wrong("key", f"for {what}, a key is in the error's text or in the log")


@question(
    hints=[
        "Two days: one on which a Django answers 204, and one on which somebody has left meanwhile.",
        "An entry counts if 'error' is in it, whatever its status.",
        "A second condition: delivery['app'] in names.",
    ],
    why="You see who is away for days, and can talk to them before their messages are dead letters.",
)
def q3(lab, missed):
    """missed(result, registry) -> {name: why} for everyone who did not get something."""
    ana, bruno, carla = (app["endpoint"] for app in _registry().values())
    failed, silent = {"status": 503, "app": bruno, "error": "HTTP 503"}, "ClientConnectorError"
    for key, deliveries, expected in [
        ("success", [], {}),
        ("success", [{"status": 200, "app": ana}, failed], {"Bruno": "HTTP 503"}),
        ("success", [{"status": 204, "app": ana}, {"status": 201, "app": bruno}], {}),
        ("failure", [{"status": None, "app": carla, "error": silent}, failed], {"Carla": silent, "Bruno": "HTTP 503"}),
        ("failure", [{"status": 302, "app": carla, "error": "HTTP 302"}], {"Carla": "HTTP 302"}),
        ("one of two", [{"status": 200, "app": bruno}, failed], {"Bruno": "HTTP 503"}),
        ("one of two", [failed, {"status": 200, "app": bruno}], {"Bruno": "HTTP 503"}),
        ("left", [{"status": None, "app": "https://left.rooms.example/", "error": silent}], {}),
    ]:
        found = call(missed, {"statusCode": 200, "body": json.dumps(deliveries)}, _registry())
        if found != expected:
            raise Wrong(key, f"for the deliveries {deliveries} it returned {shown(found)}, and not {expected}")


@question(
    hints=[
        "What is the same at each delivery of the original, and another for another original? Nothing made up.",
        "message.get('id', record['messageId']) is the same for all parts, however often the original comes.",
        "Around it try, and except (ValueError, AttributeError, KeyError): return [record['body']].",
    ],
    why="Now nobody is held back by an app that is away, and a repetition stays harmless for everyone.",
)
def q4(lab, split):
    """split(record): a body for each app, with an id that is the same however often the original is split."""
    apps = list(_registry().values())
    message = {"apps": apps, "data": {"image_id": IMAGE}, "sent_by": "Django"}
    for wrong, source, expected in [
        ("own id", record("sqs-1", {**message, "id": "image-1"}), "image-1"),
        ("new id", record("sqs-2", message), "sqs-2"),
        ("new id", record("sqs-2", message, ApproximateReceiveCount="2"), "sqs-2"),
        ("new id", record("sqs-3", message), "sqs-3"),
    ]:
        parts = [json.loads(part) for part in call(split, source)]
        if [part.get("apps") for part in parts] != [[app] for app in apps]:
            raise Wrong(
                "apps", f"for three apps it returned parts with the apps {shown([p.get('apps') for p in parts])}"
            )
        if ids := {part.get("id") for part in parts} - {expected}:
            own = " and its own id image-1" if wrong == "own id" else ""
            came = f"a record with the messageId {source['messageId']}{own} was split"
            raise Wrong(wrong, f"{came}, and a part has the id {shown(ids.pop())}")
        if any({**part, "apps": apps, "id": ""} != {**message, "id": ""} for part in parts):
            raise Wrong("data", f"a part is {shown(parts[0])}; all but apps and id is to be as it was")
    for strange in ("no JSON", '["a list"]', "7", '{"data": {}}', '{"data":{}}'):
        if (parts := call(split, record("sqs-4", strange))) != [strange]:
            raise Wrong("strange", f"for the body {strange!r} it returned {shown(parts)}")


@question(
    hints=[
        "The first belongs to the queue, the second to the subscription.",
        "A Condition is a part of a statement. sns.subscribe takes Attributes, a dictionary of texts.",
        'Attributes={"RawMessageDelivery": "true"}, and in the statement "Condition": {"ArnEquals": {"aws:SourceArn": '
        "topic_arn}}.",
    ],
    why="Who is slow has a long queue, who is away has dead letters, and nobody else notices.",
)
def q5(lab, join):
    """join(sns, sqs, topic_arn, name): a queue of one's own that gets all that is published, from this topic alone."""
    sns, sqs, names = boto3.client("sns"), queues.client(), ("exercise-ana", "exercise-bruno")
    topic, published = sns.create_topic(Name="exercise-images")["TopicArn"], json.dumps({"image_id": IMAGE})
    with queues.afresh(sqs, *names):
        urls = [call(join, sns, sqs, topic, name) for name in names]
        sns.publish(TopicArn=topic, Message=published)
        sns.delete_topic(TopicArn=topic)
        for name in names:
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            bodies = [message["Body"] for message in queues.take_all(sqs, url)]
            if any("Notification" in body for body in bodies):
                raise Wrong("envelope", f"what arrived is SNS's own envelope: {shown(bodies[0])}")
            if bodies != [published]:
                raise Wrong("arrived", f"one message was published, and in {name} there is {shown(bodies)}")
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            _require_policy(json.loads(attributes.get("Policy", "{}")), attributes["QueueArn"], topic)
            if url not in urls:
                raise Wrong("returned", f"it returned {urls}; the URLs of the queues were expected")


def _require_policy(policy: dict, queue_arn: str, topic: str) -> None:
    """SNS may send to the queue for this topic, and nobody else may do anything."""
    statements = policy.get("Statement") or []
    if not statements:
        raise Wrong("no policy", "no policy lets SNS send to the queue: on AWS nothing would arrive, without an error")
    for statement in statements if isinstance(statements, list) else [statements]:
        rights = (statement.get("Effect"), statement.get("Action"), statement.get("Resource"))
        if rights != ("Allow", "sqs:SendMessage", queue_arn):
            raise Wrong("rights", f"a statement says {rights}; to allow sqs:SendMessage to this queue is enough")
        named = [
            names[name]
            for operator, names in (statement.get("Condition") or {}).items()
            for name in names
            if operator in ("ArnEquals", "ArnLike", "StringEquals", "StringLike") and name.lower() == "aws:sourcearn"
        ]
        if named not in ([topic], [[topic]]):
            raise Wrong("anybody", "other topics than this one may write into the queue, also those of other accounts")


def _registry() -> dict[str, dict]:
    return {
        name: {"endpoint": f"https://{name.lower()}.rooms.example{RECEIVER_PATH}", "key": key}
        for name, key in KEYS.items()
    }


def _leaked(text: str) -> str | None:
    """Whose key, or a piece of it, is in the text."""
    for name, key in KEYS.items():
        if any(key[start : start + PIECE] in text for start in range(len(key) - PIECE + 1)):
            return name
    return None
