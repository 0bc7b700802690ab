import hmac
import json
import logging
import uuid

import pytest

from lambda_function import EndpointRefused, allowed_url
from workshop.exercises import notebook
from workshop.names import RECEIVER_PATH

CHAPTER = "12_one_message_everyones_django"


def solved(name):
    """What the solution notebook's cell of that question defines."""
    namespace = {"hmac": hmac, "json": json, "logging": logging, "RECEIVER_PATH": RECEIVER_PATH}
    namespace |= {"EndpointRefused": EndpointRefused, "allowed_url": allowed_url}
    exec(notebook.solution(CHAPTER, name), namespace)  # noqa: S102
    return namespace


# Question 1


def announces(line=lambda registry, image_id: f"image {image_id} to {list(registry)}", say=logging.info, empty=None):
    """A solution, with something changed."""

    def announcement(registry, image_id):
        if not registry:
            return empty
        say(line(registry, image_id))
        return {"data": {"image_id": image_id}, "apps": [dict(app) for app in registry.values()]}

    return announcement


def masks_the_message(registry, image_id):
    for app in registry.values():
        app["key"] = "***"
    return announces()(registry, image_id)


def masks_a_copy(registry, image_id):
    message = announces()(registry, image_id)
    return message and {**message, "apps": [{**app, "key": "***"} for app in message["apps"]]}


def shortened(registry, image_id):
    return f"{image_id}: " + ", ".join(f"{name} ({app['key'][:8]}...)" for name, app in registry.items())


def changes_the_message(change):
    def announcement(registry, image_id):
        message = announces()(registry, image_id)
        return message and change(message)

    return announcement


def tells_the_endpoints(registry, image_id):
    return f"{image_id}: " + ", ".join(f"{name} at {app['endpoint']}" for name, app in registry.items())


@pytest.mark.parametrize(
    "answer", [solved("q1")["announcement"], announces(), announces(say=print), announces(tells_the_endpoints)]
)
def test_q1_takes_any_log_that_says_who_gets_what_without_keys(outcome, answer):
    assert outcome(1, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (announces(lambda registry, image_id: f"{image_id} {registry}"), "the key of Ana is in the log"),
        (announces(shortened), "a part of the key of Ana is in the log"),
        (announces(lambda registry, image_id: f"image {image_id}"), "the log does not say 'Ana'"),
        (announces(lambda registry, image_id: f"for {list(registry)}"), "the log does not say '4711'"),
        (announces(say=lambda text: None), "the log does not say 'Ana'"),
        (masks_the_message, "the registry has changed"),
        (masks_a_copy, "a key in it is missing or masked"),
        (announces(empty={"apps": [], "data": {"image_id": 1}}), "a message without apps"),
        (changes_the_message(lambda message: {**message, "data": {"id": 4711}}), "data should be {'image_id': 4711}"),
        (changes_the_message(lambda message: {**message, "apps": message["apps"][:1]}), "an entry for everyone"),
        (changes_the_message(json.dumps), "it is a str, and a dict"),
        (lambda registry: None, "does not take the arguments"),
    ],
)
def test_q1_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(1, answer)
    assert state == "wrong"
    assert because in text


# Question 2


def registers(without=(), says="not this one", error=ValueError, at_once=False, look=allowed_url, compare="bytes"):
    """A solution, with some checks left out or something changed. `says` may quote {key}."""

    def register(registry, name, endpoint, key, old_key=None):
        def refuse():
            raise error(says.format(key=key))

        before = registry.get(name)
        if at_once:
            registry[name] = {"endpoint": endpoint, "key": key}
        try:
            url = look(endpoint)
        except EndpointRefused as refused:
            raise error(says.format(key=key)) from refused
        blank = "blank" not in without and " " in key
        printable = "printable" in without or key.isprintable()
        if "length" not in without and len(key) < ("empty" in without or 24):
            refuse()
        if blank or not printable or ("ascii" not in without and not key.isascii()):
            refuse()
        if ("scheme" not in without and url.scheme != "https") or ("path" not in without and url.path != RECEIVER_PATH):
            refuse()
        if "name" not in without and before:
            given, right = old_key or "", before["key"]
            if compare == "bytes":
                given, right = given.encode(), right.encode()
            same = given == right if compare == "==" else hmac.compare_digest(given, right)
            if ("any key" not in without or not given) and not same:
                refuse()
        others = [app["endpoint"] for other, app in registry.items() if other != name or "itself" in without]
        if "endpoint" not in without and url in map(look, others):
            refuse()
        registry[name] = {"endpoint": endpoint, "key": key}

    return register


class Plain(str):
    """An address that is compared letter by letter."""

    scheme = "https"
    path = RECEIVER_PATH


def letter_by_letter(endpoint):
    plain, url = Plain(endpoint), allowed_url(endpoint)
    plain.scheme, plain.path = url.scheme, url.path
    return plain


def in_lower_case(endpoint):
    plain, url = Plain(endpoint.lower()), allowed_url(endpoint)
    plain.scheme, plain.path = url.scheme, url.path
    return plain


def begins_as_allowed(endpoint):
    if not endpoint.partition("://")[2].partition("/")[0].count("rooms.example"):
        raise EndpointRefused("the host is not allowed")
    return letter_by_letter_without_asking(endpoint)


def letter_by_letter_without_asking(endpoint):
    plain = Plain(endpoint)
    plain.scheme, plain.path = endpoint.partition(":")[0], "/" + endpoint.partition("://")[2].partition("/")[2]
    return plain


@pytest.mark.parametrize("answer", [solved("q2")["register"], registers()])
def test_q2_takes_any_way_to_keep_the_registry_clean(outcome, answer):
    assert outcome(2, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (registers(without=["scheme"]), "it takes an endpoint with http: everybody on the way could read the key"),
        (registers(look=letter_by_letter_without_asking), "it takes a host that is not on the allow-list"),
        (registers(look=begins_as_allowed), "it takes a host that only looks allowed"),
        (registers(without=["path"]), "it takes another path"),
        (registers(without=["length"]), "it takes an empty key"),
        (registers(without=["empty"]), "it takes a key of 9 characters"),
        (registers(without=["printable"]), "it takes a key with a line break"),
        (registers(without=["blank"]), "it takes a key with a blank"),
        (registers(without=["ascii"]), "it takes a key with an umlaut"),
        (registers(without=["endpoint"]), "it takes an endpoint that Ana has: she would get each message twice"),
        (registers(look=in_lower_case), "it refused an address that differs from another one in a capital"),
        (registers(look=letter_by_letter), "it takes Ana's, in capitals"),
        (registers(without=["name"]), "it takes a name that is taken, without the old key"),
        (registers(without=["any key"]), "it takes a name that is taken, with somebody else's key"),
        (registers(compare="=="), "which stop at the first letter that differs. Chapter 3 has what"),
        (registers(compare="text"), "with an old key that has an umlaut it raised no ValueError, but TypeError"),
        (registers(without=["itself"]), "it refused Ana again, with her old key, at the same address"),
        (registers(error=EndpointRefused), "it raised no ValueError, but EndpointRefused"),
        (registers(says="the key {key} is not good"), "a key is in the error's text or in the log"),
        (registers(at_once=True), "but the registry has changed by then"),
        (lambda registry, name, endpoint, key, old_key=None: None, "the registry should have 'Ana'"),
        (lambda registry, name, endpoint, key: None, "the registry should have 'Ana'"),
    ],
)
def test_q2_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(2, answer)
    assert state == "wrong"
    assert because in text


# Question 3


def by_entry(is_failure, value=lambda entry: entry.get("error")):
    def missed(result, registry):
        answer = {}
        for entry in json.loads(result["body"]):
            for name, app in registry.items():
                if app["endpoint"] == entry["app"] and is_failure(entry):
                    answer[name] = value(entry)
        return answer

    return missed


def last_one_wins(result, registry):
    names = {app["endpoint"]: name for name, app in registry.items()}
    outcomes = {names[e["app"]]: e.get("error") for e in json.loads(result["body"]) if e["app"] in names}
    return {name: error for name, error in outcomes.items() if error}


def first_one_wins(result, registry):
    return last_one_wins({"body": json.dumps(json.loads(result["body"])[::-1])}, registry)


def knows_everyone(result, registry):
    names = {app["endpoint"]: name for name, app in registry.items()}
    return {names[e["app"]]: e["error"] for e in json.loads(result["body"]) if "error" in e}


def names_endpoints(result, registry):
    return {e["app"]: e["error"] for e in json.loads(result["body"]) if "error" in e}


def names_strangers(result, registry):
    names = {app["endpoint"]: name for name, app in registry.items()}
    return {names.get(e["app"], "?"): e["error"] for e in json.loads(result["body"]) if "error" in e}


@pytest.mark.parametrize(
    "answer",
    [
        solved("q3")["missed"],
        by_entry(lambda entry: "error" in entry),
        by_entry(lambda entry: entry["status"] is None or not 200 <= entry["status"] < 300),
    ],
)
def test_q3_takes_any_way_to_find_who_was_missed(outcome, answer):
    assert outcome(3, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (lambda result, registry: {} if result["statusCode"] == 200 else dict(registry), "statusCode is always 200"),
        (by_entry(lambda entry: entry["status"] and entry["status"] >= 400), "Carla's did not answer"),
        (by_entry(lambda entry: entry["status"] >= 400), "missed raised TypeError"),
        (by_entry(lambda entry: (entry["status"] or 500) >= 400), "Fay's answered 302"),
        (by_entry(lambda entry: entry["status"] != 200), "Emil's Django answered 204"),
        (by_entry(lambda entry: True), "Emil's Django answered 204"),
        (by_entry(lambda entry: "error" in entry, lambda entry: entry["status"]), "the values should be the texts"),
        (
            by_entry(lambda entry: entry["status"] != 200, lambda entry: entry["error"]),
            "An entry without an 'error' is",
        ),
        (names_endpoints, "it names endpoints"),
        (knows_everyone, "knows_everyone raised KeyError"),
        (names_strangers, "one who has left the registry was missed, too"),
        (last_one_wins, "Ana got one and missed the other"),
        (first_one_wins, "Ana got one and missed the other"),
        (lambda result, registry: [e["app"] for e in result["body"]], "raised TypeError"),
        (lambda result, registry: list(registry), "it returned a list; a dict {name: why} was expected"),
    ],
)
def test_q3_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(3, answer)
    assert state == "wrong"
    assert because in text


# Question 4


def loads(record):
    """The message in a record, or None where there is none."""
    try:
        message = json.loads(record["body"])
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def splits(mark=lambda record, app: record["messageId"], apps=lambda app, every: [app], dumps=json.dumps):
    def split(record):
        message = loads(record)
        if message is None:
            return [record["body"]]
        return [
            dumps({"apps": apps(app, message["apps"]), "data": message["data"], "from": mark(record, app)})
            for app in message["apps"]
        ]

    return split


def marked(record):
    return (loads(record) or {}).get("from") or record["messageId"]


def marked_json_alone(record):
    return json.loads(record["body"]).get("from") or record["messageId"]


def splits_json_alone(record):
    json.loads(record["body"])["apps"]
    return splits()(record)


def body_is_the_key(record):
    return str(hash(json.dumps(json.loads(record["body"])["data"])))


def random_key(record):
    return str(uuid.uuid4())


def knows_split_alone(record):
    return json.loads(record["body"]).get("from", "none")


def drops_the_last(record):
    return splits()(record)[:-1]


def repeats_the_first(record):
    bodies = splits()(record)
    return [bodies[0]] * len(bodies)


@pytest.mark.parametrize(
    "answer",
    [
        tuple(solved("q4").get(name) for name in ("split", "idempotency_key")),
        (splits(), marked),
        (splits(lambda record, app: record["messageId"] + " for " + app["endpoint"][:20]), marked),
    ],
    ids=["the solution", "another name for the field", "a key for each app"],
)
def test_q4_takes_any_identity_that_travels_inside(outcome, answer):
    assert outcome(4, *answer)[0] == "right"


@pytest.mark.parametrize(
    ("split", "key", "because"),
    [
        (splits(), lambda record: record["messageId"], "is its own id"),
        (splits(lambda record, app: str(uuid.uuid4())), marked, "the parts have different keys"),
        (splits(lambda record, app: record["receiptHandle"]), marked, "the parts have different keys"),
        (splits(), body_is_the_key, "two originals that say the same have the same key"),
        (splits(lambda record, app: app["endpoint"]), marked, "two originals that say the same have the same key"),
        (splits(), marked_json_alone, "a body that is no JSON, idempotency_key raised JSONDecodeError"),
        (splits_json_alone, marked, "a body that is no JSON, split raised JSONDecodeError"),
        (lambda record: splits()(record) if loads(record) else [], marked, "is no JSON, split returned []"),
        (splits(), random_key, "key was another one the second time"),
        (
            splits(),
            lambda record: json.loads(record["body"])["from"],
            "for a message that was never split, idempotency_key",
        ),
        (splits(), knows_split_alone, "the key of a message that was never split"),
        (splits(), lambda record: json.loads(record["body"]).get("from"), "idempotency_key returned None"),
        (splits(lambda record, app: record["body"]), marked, "holds the key of another app"),
        (splits(lambda record, app: record["messageId"] * 20), marked, "at most 100 characters"),
        (splits(apps=lambda app, every: every), marked, "has 3 apps; each should have one"),
        (splits(apps=lambda app, every: [{"endpoint": app["endpoint"]}]), marked, "endpoint and key, both"),
        (splits(dumps=lambda message: message), marked, "a body is a JSON text"),
        (splits(dumps=lambda message: json.dumps({**message, "data": {}})), marked, "belongs beside apps and data"),
        (splits(dumps=str), marked, "a body from split is not JSON of the form"),
        (drops_the_last, marked, "the original has 3 apps, and split returned 2 bodies"),
        (repeats_the_first, marked, "split returned 3 bodies for 1 of them"),
        (lambda record: record["body"], marked, "split returned a str"),
    ],
)
def test_q4_says_what_is_not_right(outcome, split, key, because):
    state, text = outcome(4, split, key)
    assert state == "wrong"
    assert because in text


# Question 5


def joins(raw=True, policy=True, subscribes=True, name="{name}", endpoint="QueueArn", **changes):
    """A solution, with something changed."""

    def join(sns, sqs, topic_arn, name_given):
        url = sqs.create_queue(QueueName=name.format(name=name_given))["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": ["SQS:SendMessage"],
            "Resource": [arn],
            "Condition": {"ArnLike": {"AWS:SourceArn": [topic_arn]}},
        } | changes
        if policy:
            text = json.dumps({"Version": "2012-10-17", "Statement": statement})
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": text})
        if subscribes:
            subscription = sns.subscribe(
                TopicArn=topic_arn, Protocol="sqs", Endpoint={"QueueArn": arn}.get(endpoint, url)
            )
            if raw:
                arn_of_it = subscription["SubscriptionArn"]
                sns.set_subscription_attributes(
                    SubscriptionArn=arn_of_it, AttributeName="RawMessageDelivery", AttributeValue="true"
                )
        return url

    return join


def sets_the_policy(statement):
    def join(sns, sqs, topic_arn, name):
        url = joins()(sns, sqs, topic_arn, name)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": statement})})
        return url

    return join


def returns_the_arn(sns, sqs, topic_arn, name):
    joins()(sns, sqs, topic_arn, name)
    return f"arn:aws:sqs:us-east-1:123456789012:{name}"


ANYBODY = {"AWS": "*"}
OTHER_TOPIC = {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:us-east-1:123456789012:another"}}


@pytest.mark.parametrize("answer", [solved("q5")["join"], joins(), joins(Principal="*"), joins(Resource="*")])
def test_q5_takes_any_way_to_a_queue_of_ones_own(outcome, answer):
    assert outcome(5, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (joins(policy=False), "no policy that allows SNS to send"),
        (joins(Effect="Deny"), "no policy that allows SNS to send"),
        (joins(Condition={}), "lets any topic of any account write into the queue"),
        (joins(Condition={}, Principal=ANYBODY), "lets anybody write into the queue"),
        (
            joins(Condition={"aws:SourceArn": "arn:aws:sns:us-east-1:123456789012:exercise-images"}),
            "of the form {'ArnEq",
        ),
        (joins(Condition="ArnEquals"), "lets any topic of any account write into the queue"),
        (sets_the_policy(["Allow"]), "is not JSON of the form"),
        (sets_the_policy("Allow"), "is not JSON of the form"),
        (joins(Condition=OTHER_TOPIC), "does not name this topic's ARN alone"),
        (joins(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:sns:*"}}), "does not name this topic's ARN alone"),
        (joins(Action="sqs:*"), "its policy allows sqs:*"),
        (joins(Principal={"Service": "lambda.amazonaws.com"}), "the Principal in its policy is not SNS"),
        (joins(Resource="arn:aws:sqs:us-east-1:123456789012:another"), "the Resource in its policy"),
        (joins(raw=False), "SNS's own envelope"),
        (joins(subscribes=False), "nothing arrived in the queue"),
        (joins(endpoint="url"), "join raised InvalidParameter"),
        (joins(name="queue-of-{name}"), "the URL of the queue with the given name"),
        (returns_the_arn, "and it returned 'arn:aws:sqs:us-east-1:123456789012:exercise-ana'"),
        (lambda sns, sqs, topic_arn, name: {"QueueUrl": name}, "it returned {'QueueUrl': 'exercise-ana'}"),
    ],
)
def test_q5_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(5, answer)
    assert state == "wrong"
    assert because in text


def test_q5_leaves_no_topic_and_no_queue(outcome):
    import boto3

    outcome(5, joins(raw=False))
    assert boto3.client("sns").list_topics()["Topics"] == []
    assert "QueueUrls" not in boto3.client("sqs").list_queues(QueueNamePrefix="exercise-")
