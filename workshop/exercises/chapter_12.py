"""Chapter 12, One message, everyone's Django: what its exercise asks, and how it looks at the answers."""

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from copy import deepcopy

from workshop.lab.processes import free_port
from workshop.names import RECEIVER_PATH

from .calling import Raised, attempt, call, call_handler, kind, record
from .listening import everything_said
from .question import Wrong, question
from .servers import RecordingServer

LAB = {"django": False, "queue": False}

KEYS = {
    "Ana": "Xq7-3Uk9vTzL0mWp8RsYd2-EhB6",
    "Bruno": "pG4_Hc6Nn1JxQe5KbAw9_uFi7Tz",
    "Carla": "Zt8.Ma2Ry7VfSu0DgLo3.qPc4Wx",
}
IMAGE = 4711
PIECE = 6  # characters of a key that are too many in a log
LONGEST_KEY = 100  # characters of an Idempotency-Key that the receiver takes


@question(
    hints=[
        "The log line shows the whole message, and a key stands in each of its apps. What may stand in a log instead?",
        'logging.info("Image %s is announced to %s", image_id, ", ".join(registry)): a dictionary gives its names.',
        "And before all that: if not registry, return None.",
    ],
    why="A key in a log is read by everyone who may read logs, and stays there for weeks after it was changed.",
)
def q1(lab, announcement):
    """announcement(registry, image_id) returns the message, or None; its log names who gets what, without keys."""
    registry = _registry()
    given = deepcopy(registry)
    with everything_said() as said:
        message = call(announcement, registry, IMAGE)
    if registry != given:
        raise Wrong("the registry has changed; whoever comes next finds no key in it. Build something new for the log")
    expected = {"apps": list(given.values()), "data": {"image_id": IMAGE}}
    if message != expected:
        raise Wrong(f"the message is not right: {_difference(message, expected)}")
    text = str(said)
    if leaked := _leaked(text):
        whole = "the key" if KEYS[leaked] in text else "a part of the key"
        raise Wrong(f"{whole} of {leaked} is in the log; let the names be enough")
    if missing := [name for name in (*registry, str(IMAGE)) if name not in text]:
        raise Wrong(f"the log does not say {missing[0]!r}. It should name the image and everyone who gets it")
    with everything_said():
        nothing = call(announcement, {}, IMAGE)
    if nothing is not None:
        raise Wrong(
            "for an empty registry it returned a message without apps. The function takes such a message for a bad "
            "one: it would come again and again, and end as a dead letter. Return None"
        )


@question(
    hints=[
        "One check after the other, each with raise ValueError(...), and only the last line changes the registry.",
        "allowed_url(endpoint) returns a URL with .scheme, .host and .path, and two of these can be compared with ==. "
        "Turn its EndpointRefused into a ValueError. A header can carry a key with key.isascii() and "
        "key.isprintable().",
        "Taken: name in registry, and not "
        "hmac.compare_digest((old_key or '').encode(), registry[name]['key'].encode()). For the addresses, "
        "look at everyone but the name itself.",
    ],
    why="Whoever may write into the registry decides where your function posts, and who gets somebody else's messages.",
)
def q2(lab, register):
    """register(registry, name, endpoint, key, old_key=None) takes the good, and refuses the rest with ValueError."""
    with _allowlist("*.rooms.example"):
        registry = {}
        ana, bruno, carla = (_endpoint(name) for name in KEYS)
        _accepted(register, registry, "a good one", "Ana", ana, KEYS["Ana"])
        _accepted(register, registry, "a second one", "Bruno", bruno, KEYS["Bruno"])
        carlas = ("Carla", carla, KEYS["Carla"])
        for endpoint, what, think in [
            (carla.replace("https", "http"), "an endpoint with http", "everybody on the way could read the key"),
            ("https://carla.evil.example" + RECEIVER_PATH, "a host that is not on the allow-list", USE_ALLOWED_URL),
            ("https://rooms.example.evil.example" + RECEIVER_PATH, "a host that only looks allowed", USE_ALLOWED_URL),
            ("https://carla.rooms.example/admin/", "another path", "the function would post to any page of that host"),
            ("carla.rooms.example", "an endpoint that is no URL", USE_ALLOWED_URL),
        ]:
            _refused(register, registry, what, think, "Carla", endpoint, KEYS["Carla"])
        for key, what, think in [
            ("", "an empty key", "'Token ' alone would be sent"),
            ("short-key", "a key of 9 characters", "it can be guessed"),
            (KEYS["Carla"] + "\n", "a key with a line break", "a header cannot carry it; was it copied with the line?"),
            ("two words " + KEYS["Carla"], "a key with a blank", "'Token <key>' would be three words"),
            ("schlüssel" + KEYS["Carla"], "a key with an umlaut", "a header cannot carry it"),
        ]:
            _refused(register, registry, what, think, "Carla", carla, key)
        for endpoint, what in [(ana, "an endpoint that Ana has"), (ana.replace("ana", "ANA"), "Ana's, in capitals")]:
            think = (
                "she would get each message twice. Compare what allowed_url returns: it knows that hosts have no case"
            )
            _refused(register, registry, what, think, "Carla", endpoint, KEYS["Carla"])
        _accepted(register, registry, "a third one, after mistakes", *carlas)
        rooms = [carla.replace("carla", "rooms") + "?room=" + room for room in "Aa"]
        _accepted(register, registry, "an address with a query", "Dora", rooms[0], KEYS["Carla"][::-1])
        what = "an address that differs from another one in a capital behind the host, and so is another one"
        _accepted(register, registry, what, "Emil", rooms[1], KEYS["Bruno"][::-1])
        new = ("Ana", _endpoint("new-ana"), KEYS["Ana"][::-1])
        for old_key, what in [
            (None, "a name that is taken, without the old key"),
            ("", "a name that is taken, with an empty old key"),
            (KEYS["Bruno"], "a name that is taken, with somebody else's key"),
            ("schlüssel", "a name that is taken, with an old key that has an umlaut"),
        ]:
            _refused(register, registry, what, "a stranger would get Ana's messages", *new, old_key)
        _require_constant_time(register, ana, new)
        _accepted(register, registry, "Ana again, with her old key and a new address", *new, KEYS["Ana"])
        newer = (*new[:2], KEYS["Ana"])
        _accepted(register, registry, "Ana again, with her old key, at the same address", *newer, new[2])


@question(
    hints=[
        "result['body'] is a JSON text: a list with an entry for each delivery, {'status', 'app'} and, if it failed, "
        "'error'.",
        "'app' is the endpoint. For names you need the registry the other way round: {app['endpoint']: name, ...}",
        "An entry counts if 'error' is in it. status is None for who did not answer at all, and 204 is a success.",
    ],
    why="The message id says only that somebody was missed; who is away for days is seen in the single deliveries.",
)
def q3(lab, missed):
    """missed(result, registry) -> {name: why} for everyone who did not get something."""
    from lambda_function import lambda_handler

    with RecordingServer() as server, _allowlist("127.0.0.1"):
        endpoints = {
            "Ana": server.url("/200/ana"),
            "Bruno": server.url("/503/bruno"),
            "Carla": f"http://127.0.0.1:{free_port()}/carla",
            "Dora": "http://169.254.169.254/dora",
            "Emil": server.url("/204/emil"),
            "Fay": server.url("/302/fay"),
        }
        registry = {name: {"endpoint": endpoint, "key": KEYS["Ana"]} for name, endpoint in endpoints.items()}
        body = {"apps": list(registry.values()), "data": {"image_id": IMAGE}}
        result = call_handler(lambda_handler, [record("one", body)])
    errors = {entry["app"]: entry["error"] for entry in json.loads(result["body"]) if "error" in entry}
    expected = {name: errors[app["endpoint"]] for name, app in registry.items() if app["endpoint"] in errors}
    answer = attempt(missed, deepcopy(result), deepcopy(registry))
    if isinstance(answer, Raised):
        think = " An entry without an 'error' is a success, whatever its status" if "'error'" in str(answer) else ""
        raise Wrong(f"missed raised {answer}.{think}" if think else f"missed raised {answer}")
    _require_missed(answer, expected)

    registry = {name: {"endpoint": _endpoint(name), "key": key} for name, key in KEYS.items()}
    for order in (1, -1):
        entries = [
            {"status": 500, "app": _endpoint("Ana"), "error": "HTTP 500"},
            {"status": 200, "app": _endpoint("Ana")},
            {"status": None, "app": _endpoint("somebody-who-left"), "error": "ClientConnectorError"},
        ]
        answer = call(missed, {"statusCode": 200, "body": json.dumps(entries[::order])}, registry)
        if isinstance(answer, dict) and "Ana" not in answer:
            raise Wrong(
                "in a batch of two messages, Ana got one and missed the other, and she is not in the answer. One "
                "success does not make up for a failure"
            )
        if answer != {"Ana": "HTTP 500"}:
            raise Wrong(f"one who has left the registry was missed, too; he does not count. It returned {answer!r}")
    if (answer := call(missed, {"statusCode": 200, "body": "[]", "batchItemFailures": []}, registry)) != {}:
        raise Wrong(f"for a result without deliveries it returned {answer!r}; {{}} was expected")


@question(
    hints=[
        "What is the same at each delivery of the original, and another for another original? Not the data, and "
        "nothing that you make up while you split.",
        "It is the original's messageId. Each body has to carry it along, as one more field beside apps and data.",
        "split: json.dumps({'apps': [app], 'data': ..., 'original': record['messageId']}) for each app. "
        "idempotency_key: that field, where the body has it, and else record['messageId'].",
    ],
    why="Whatever passes messages on gives them new ids. The identity of an event must travel inside of it.",
)
def q4(lab, split, idempotency_key):
    """A message for each app, and one idempotency key for each original, however often it is split or delivered."""
    apps = list(_registry().values())
    body = {"apps": apps, "data": {"image_id": IMAGE}}
    ids = (f"id-of-message-{number}" for number in itertools.count(1))
    single = record("id-of-a-single", {"apps": apps[:1], "data": {"image_id": IMAGE}})
    keys = {}
    for original in ("original-1", "original-2"):  # they say the same, and happened one after the other
        for delivery in (1, 2):
            source = record(original, body, ApproximateReceiveCount=str(delivery))
            source["receiptHandle"] = f"handle-{original}-{delivery}"
            for app, part in zip(apps, _parts(split, source), strict=True):
                message_id = next(ids)
                keys[original, delivery, app["endpoint"]] = [
                    _key_of(idempotency_key, record(message_id, part)),
                    _key_of(idempotency_key, record(message_id, part, ApproximateReceiveCount="2")),
                ]
                if keys[original, delivery, app["endpoint"]][0] == message_id:
                    raise Wrong(
                        "the key of a message that came from split is its own id. When the original is split a second "
                        "time, its parts have other ids, and every app does the work twice"
                    )
    if any(first != second for first, second in keys.values()):
        raise Wrong("one message was delivered twice, and its idempotency key was another one the second time")
    for app in apps:
        first, again, other = (
            keys[original, delivery, app["endpoint"]][0]
            for original, delivery in [("original-1", 1), ("original-1", 2), ("original-2", 1)]
        )
        if first != again:
            raise Wrong(
                "the same original was split twice, as it happens when SQS delivers it twice, and the parts have "
                "different keys: every app does the work twice. Take something that is the same at each delivery"
            )
        if first == other:
            raise Wrong(
                "two originals that say the same have the same key. The image was changed and announced a second time, "
                "and the receivers take that for a repetition: the second one is lost"
            )
    if _key_of(idempotency_key, single, "for a message that was never split, ") != "id-of-a-single":
        raise Wrong(
            "the key of a message that was never split is not its messageId. Its receivers know it under that one, if "
            "they have it already"
        )
    for strange in ("no JSON", '["a list"]'):
        source, when = record("id-of-a-strange-one", strange), "for a body that is no JSON, "
        when = when if strange == "no JSON" else "for a body that is JSON and no object, "
        parts = attempt(split, deepcopy(source))
        if isinstance(parts, Raised):
            raise Wrong(f"{when}split raised {parts}; pass it on as it is, and it becomes a dead letter with its text")
        if not isinstance(parts, (list, tuple)) or list(parts) != [strange]:
            raise Wrong(f"{when}split returned {parts!r}; a list with that body alone was expected")
        if (key := _key_of(idempotency_key, source, when)) != "id-of-a-strange-one":
            raise Wrong(f"{when}idempotency_key returned {key!r}; its messageId was expected")


@question(
    hints=[
        "Three steps: create_queue, set_queue_attributes with a Policy, and sns.subscribe with the queue's ARN.",
        "sns.subscribe(TopicArn=..., Protocol='sqs', Endpoint=<ARN>, Attributes={'RawMessageDelivery': 'true'}) makes "
        "the body the published text and nothing else.",
        "The policy's one statement: Effect Allow, Principal {'Service': 'sns.amazonaws.com'}, Action sqs:SendMessage, "
        "Resource <the queue's ARN>, Condition {'ArnEquals': {'aws:SourceArn': <the topic's ARN>}}. As JSON text.",
    ],
    why="With a queue for each, who is slow has a long queue, who is away has dead letters, and nobody else notices.",
)
def q5(lab, join):
    """join(sns, sqs, topic_arn, name): a queue of one's own that gets all that is published, from this topic alone."""
    import boto3

    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    names = ("exercise-ana", "exercise-bruno")
    _delete(sqs, names)
    topic = sns.create_topic(Name="exercise-images")["TopicArn"]
    try:
        urls = [_joined(join, sns, sqs, topic, name) for name in names]
        for url in urls:
            _require_policy(sqs, url, topic)
        if _joined(join, sns, sqs, topic, names[0]) != urls[0]:
            raise Wrong("called again for the same name, it returned another URL")
        message = json.dumps({"image_id": IMAGE})
        sns.publish(TopicArn=topic, Message=message)
        for url in urls:
            bodies = [m["Body"] for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])]
            if not bodies:
                raise Wrong("a message was published, and nothing arrived in the queue. Is it subscribed to the topic?")
            if len(bodies) > 1:
                raise Wrong(f"one message was published, and {len(bodies)} arrived in one queue")
            if '"Notification"' in bodies[0]:
                raise Wrong(
                    "what arrived is SNS's own envelope, with the message as a text in it; the function would not know "
                    "it. Subscribe with RawMessageDelivery"
                )
            if bodies[0] != message:
                raise Wrong("what arrived is not what was published")
    finally:
        sns.delete_topic(TopicArn=topic)
        _delete(sqs, names)


def _registry() -> dict[str, dict]:
    return {name: {"endpoint": _endpoint(name), "key": key} for name, key in KEYS.items()}


def _endpoint(name: str) -> str:
    return f"https://{name.lower()}.rooms.example{RECEIVER_PATH}"


def _leaked(text: str) -> str | None:
    """Whose key, or a piece of it, is in the text."""
    for name, key in KEYS.items():
        if any(key[start : start + PIECE] in text for start in range(len(key) - PIECE + 1)):
            return name
    return None


def _difference(message: object, expected: dict) -> str:
    if not isinstance(message, dict):
        return f"it is {kind(message)}, and a dict with apps and data was expected"
    if message.get("data") != expected["data"]:
        return f"data should be {expected['data']!r}"
    apps = message.get("apps")
    if not isinstance(apps, list) or len(apps) != len(expected["apps"]):
        return "apps should be a list with an entry for everyone in the registry"
    if any(isinstance(app, dict) and app.get("key") not in KEYS.values() for app in apps):
        return "a key in it is missing or masked, and the function needs it. Leave the message, and change the log"
    return "each app should be {'endpoint': ..., 'key': ...}, and there should be apps and data and nothing else"


@contextlib.contextmanager
def _allowlist(patterns: str) -> Iterator[None]:
    before = os.environ.get("ENDPOINT_ALLOWLIST")
    os.environ["ENDPOINT_ALLOWLIST"] = patterns
    try:
        yield
    finally:
        if before is None:
            del os.environ["ENDPOINT_ALLOWLIST"]
        else:
            os.environ["ENDPOINT_ALLOWLIST"] = before


USE_ALLOWED_URL = "ask allowed_url, as the function will do later"


def _accepted(register, registry: dict, what: str, name: str, endpoint: str, key: str, *old_key: str) -> None:
    expected = {**deepcopy(registry), name: {"endpoint": endpoint, "key": key}}
    with everything_said() as said:
        outcome = attempt(register, registry, name, endpoint, key, *old_key)
    if isinstance(outcome, Raised):
        raise Wrong(f"it refused {what}: {outcome}")
    if registry != expected:
        raise Wrong(
            f"for {what}, the registry should have {name!r}: {{'endpoint': ..., 'key': ...}} afterwards, as given"
        )
    if _leaked(str(said)):
        raise Wrong(f"for {what}, it logs or prints a key")


def _refused(register, registry: dict, what: str, think: str, *arguments) -> None:
    before = deepcopy(registry)
    with everything_said() as said:
        outcome = attempt(register, registry, *arguments)
    if not isinstance(outcome, Raised):
        raise Wrong(f"it takes {what}: {think}")
    if not isinstance(outcome.error, ValueError):
        raise Wrong(f"for {what} it raised no ValueError, but {outcome}")
    if registry != before:
        raise Wrong(f"it refuses {what}, but the registry has changed by then; store in the last line")
    if _leaked(str(outcome.error)) or _leaked(str(said)):
        raise Wrong(
            f"for {what}, a key is in the error's text or in the log. Say what is wrong with it, and not what it is"
        )


class _Watched(str):
    """A key that notes with which texts == and != have compared it."""

    __slots__ = ("compared",)
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        self.compared.append(str(other))
        return str(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other


def _require_constant_time(register, endpoint: str, new: tuple[str, str, str]) -> None:
    """A wrong old key is not compared with the right one by ==, which is the sooner done the sooner they differ."""
    key = _Watched(KEYS["Ana"])
    key.compared = []
    with everything_said():
        attempt(register, {"Ana": {"endpoint": endpoint, "key": key}}, *new, KEYS["Bruno"])
    if KEYS["Bruno"] in key.compared:
        raise Wrong(
            "it compares the old key with == or !=, which stop at the first letter that differs. Chapter 3 has what "
            "always looks at all of them: hmac.compare_digest"
        )


def _require_missed(answer: object, expected: dict[str, str]) -> None:
    if not isinstance(answer, dict):
        raise Wrong(f"it returned {kind(answer)}; a dict {{name: why}} was expected")
    if any(name.startswith("http") for name in map(str, answer)):
        raise Wrong("it names endpoints; look for the endpoint's name in the registry")
    if not answer:
        raise Wrong("nobody was missed, it says. statusCode is always 200; look at the deliveries, in the body")
    for name, what in [
        ("Bruno", "Bruno's Django answered 503"),
        ("Carla", "Carla's did not answer, so there is no status"),
        ("Dora", "Dora's endpoint was refused by the allow-list, so there is no status"),
        ("Fay", "Fay's answered 302, and the function does not follow redirects"),
    ]:
        if name not in answer:
            raise Wrong(f"{what}, and {name} is not in the answer")
    if "Emil" in answer:
        raise Wrong("Emil's Django answered 204, which is a success; every status from 200 to 299 is")
    if "Ana" in answer:
        raise Wrong("Ana's Django answered 200, and she is in the answer")
    if answer != expected:
        raise Wrong("the names are right; the values should be the texts that the function gives as 'error'")


def _parts(split, source: dict) -> list[str]:
    """The bodies that split returns, in the order of the apps."""
    apps = json.loads(source["body"])["apps"]
    data = json.loads(source["body"])["data"]
    bodies = call(split, deepcopy(source))
    if not isinstance(bodies, (list, tuple)):
        raise Wrong(f"split returned {kind(bodies)}; a list of JSON texts was expected")
    found = {}
    for body in bodies:
        if not isinstance(body, str):
            raise Wrong(f"split returned a list with {kind(body)} in it; a body is a JSON text: json.dumps(...)")
        try:
            message = json.loads(body)
            endpoint = message["apps"][0]["endpoint"]
        except (ValueError, LookupError, TypeError):
            raise Wrong(
                "a body from split is not JSON of the form {'apps': [{'endpoint': ...}], 'data': ...}"
            ) from None
        if len(message["apps"]) != 1:
            raise Wrong(f"a body from split has {len(message['apps'])} apps; each should have one")
        if any(app["key"] in body for app in apps if app["endpoint"] != endpoint):
            raise Wrong("a body holds the key of another app; each should hold its own and no other")
        if message["apps"][0] not in apps:
            raise Wrong("an app in a body is not as it was in the original: endpoint and key, both")
        if message.get("data") != data:
            raise Wrong("the data of a body is not the data of the original; what you add belongs beside apps and data")
        found[endpoint] = body
    if len(bodies) != len(apps) or len(found) != len(apps):
        raise Wrong(
            f"the original has {len(apps)} apps, and split returned {len(bodies)} bodies for {len(found)} of them"
        )
    return [found[app["endpoint"]] for app in apps]


def _key_of(idempotency_key, source: dict, when: str = "") -> str:
    key = attempt(idempotency_key, source)
    if isinstance(key, Raised):
        raise Wrong(f"{when}idempotency_key raised {key}")
    if not isinstance(key, str) or not key:
        raise Wrong(f"{when}idempotency_key returned {key!r}; a text was expected")
    if len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Wrong(f"the receiver takes at most {LONGEST_KEY} characters, and a header cannot carry all of them")
    return key


def _joined(join, sns, sqs, topic: str, name: str) -> str:
    url = call(join, sns, sqs, topic, name)
    if not isinstance(url, str) or not url.endswith(f"/{name}"):
        raise Wrong(f"it should return the URL of the queue with the given name, and it returned {_shown(url)}")
    return url


def _require_policy(sqs, url: str, topic: str) -> None:
    """SNS may send to the queue for this topic, and nobody else may do anything."""
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    try:
        policy = json.loads(attributes.get("Policy") or "{}")
        statements = [s for s in _listed(policy.get("Statement")) if s.get("Effect") == "Allow"]
    except (ValueError, AttributeError):
        raise Wrong("the queue's Policy is not JSON of the form {'Version': ..., 'Statement': [{...}]}") from None
    if not statements:
        raise Wrong(
            "the queue has no policy that allows SNS to send. The local AWS does not mind; on AWS nothing would "
            "arrive, and no error would say so"
        )
    for statement in statements:
        actions = {str(action).lower() for action in _listed(statement.get("Action"))}
        if actions != {"sqs:sendmessage"}:
            raise Wrong(
                f"its policy allows {', '.join(sorted(actions)) or 'nothing'}; SNS needs sqs:SendMessage and no more"
            )
        principal = statement.get("Principal")
        everybody = principal == "*" or (isinstance(principal, dict) and "*" in _listed(principal.get("AWS")))
        service = isinstance(principal, dict) and _listed(principal.get("Service")) == ["sns.amazonaws.com"]
        if not everybody and not service:
            raise Wrong("the Principal in its policy is not SNS: {'Service': 'sns.amazonaws.com'}")
        sources = _sources(statement.get("Condition"))
        if not sources:
            who = "anybody" if everybody else "any topic of any account"
            raise Wrong(
                f"its policy lets {who} write into the queue. It needs a Condition of the form "
                "{'ArnEquals': {'aws:SourceArn': ...}} that names the one topic"
            )
        if sources != [topic]:
            raise Wrong("the Condition in its policy does not name this topic's ARN alone")
        if not {attributes["QueueArn"], "*"} & set(_listed(statement.get("Resource"))):
            raise Wrong("the Resource in its policy is not the ARN of this queue")


def _sources(condition: object) -> list[str]:
    """The values that a condition allows for aws:SourceArn."""
    for operator, names in condition.items() if isinstance(condition, dict) else ():
        if isinstance(names, dict) and operator in ("ArnEquals", "ArnLike", "StringEquals", "StringLike"):
            for name, values in names.items():
                if name.lower() == "aws:sourcearn":
                    return _listed(values)
    return []


def _listed(value: object) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]


def _delete(sqs, names: tuple[str, ...]) -> None:
    for name in names:
        with contextlib.suppress(sqs.exceptions.QueueDoesNotExist):
            sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])


def _shown(value: object) -> str:
    return repr(value) if not isinstance(value, str) or "://" not in value else "another address"
