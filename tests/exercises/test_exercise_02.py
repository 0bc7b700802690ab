import json
import threading
from functools import cache, partial

import boto3
import pytest

CHAPTER = "02_send_with_sqsmanager"
MIB = 1_048_576

# Question 1


def sender(encode=json.dumps, each_time=False, returns=lambda answer: answer["MessageId"], times=1):
    """A solution, with one thing changed."""

    class Sender:
        def __init__(self, queue_url):
            self.queue_url = queue_url
            self.sqs = None if each_time else boto3.client("sqs")

        def send(self, msg):
            sqs = boto3.client("sqs") if each_time else self.sqs
            for _ in range(times):
                answer = sqs.send_message(QueueUrl=self.queue_url, MessageBody=encode(msg))
            return returns(answer)

    return Sender


class WithACachedClient:
    def __init__(self, queue_url):
        self.queue_url = queue_url

    @staticmethod
    @cache
    def client(endpoint):
        return boto3.session.Session().client("sqs")

    def send(self, msg):
        import os

        entries = [{"Id": "only", "MessageBody": json.dumps(msg, ensure_ascii=False)}]
        sqs = self.client(os.environ["AWS_ENDPOINT_URL"])
        return sqs.send_message_batch(QueueUrl=self.queue_url, Entries=entries)["Successful"][0]["MessageId"]


@pytest.mark.parametrize("answer", [sender(), WithACachedClient])
def test_q1_takes_any_sender_with_one_client_that_sends_json(outcome, answer):
    assert outcome(1, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (sender(each_time=True), "for three messages it made 3 boto3 clients; make one, and keep it"),
        (sender(encode=str), "what arrived is not JSON: \"{'apps': [], 'data': {'image_id': 1}}\""),
        (sender(encode=lambda msg: json.dumps(str(msg))), "was sent, and"),
        (sender(encode=lambda msg: msg), "send raised ParamValidationError"),
        (sender(returns=lambda answer: answer), "send returned a dict; it should return the MessageId"),
        (sender(returns=lambda answer: "sent"), "what send returned is not the MessageId"),
        (sender(times=2), "three messages were sent, and 6 arrived"),
        (WithACachedClient("the url"), "a class was expected, and this is a WithACachedClient"),
        (dict, "dict has no method send"),
        (type("Sender", (), {"send": print}), "Sender() cannot be called as it will be"),
    ],
)
def test_q1_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(1, answer)
    assert state == "wrong"
    assert because in text


# Question 2


def sends_a_batch(error=RuntimeError, names=lambda failed: [entry["Id"] for entry in failed], again=False):
    """A solution, with one thing changed."""

    def send_batch(sqs, queue_url, entries):
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        if failed := answer.get("Failed", []):
            if again:
                ids = {entry["Id"] for entry in failed}
                good = [{"Id": entry["Id"], "MessageBody": entry["MessageBody"]} for entry in entries]
                sqs.send_message_batch(QueueUrl=queue_url, Entries=[entry for entry in good if entry["Id"] not in ids])
            raise error(f"not sent: {names(failed)}")
        return {entry["Id"]: entry["MessageId"] for entry in answer["Successful"]}

    return send_batch


def one_by_one(sqs, queue_url, entries):
    ids, failed = {}, []
    for entry in entries:
        entry = dict(entry)
        name, body = entry.pop("Id"), entry.pop("MessageBody")
        try:
            ids[name] = sqs.send_message(QueueUrl=queue_url, MessageBody=body, **entry)["MessageId"]
        except sqs.exceptions.ClientError:
            failed.append(name)
    if failed:
        raise type("BatchFailed", (RuntimeError,), {})(*failed)
    return ids


def looks_at_nothing(sqs, queue_url, entries):
    answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
    return {entry["Id"]: entry["MessageId"] for entry in answer.get("Successful", [])}


def takes_an_empty_list_for_a_failure(sqs, queue_url, entries):
    answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
    if answer.setdefault("Failed", []) is not None:
        raise RuntimeError(answer["Failed"])


def looks_at_the_status(sqs, queue_url, entries):
    answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
    if answer["ResponseMetadata"]["HTTPStatusCode"] != 200:
        raise RuntimeError("not sent")
    return {entry["Id"]: entry["MessageId"] for entry in answer.get("Successful", [])}


def returns_what_failed(sqs, queue_url, entries):
    return sqs.send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed", [])


@pytest.mark.parametrize("answer", [sends_a_batch(), one_by_one])
def test_q2_takes_any_way_to_name_what_was_not_sent(outcome, answer):
    assert outcome(2, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (looks_at_nothing, "SQS refused 1 of three entries, and it returned as if all had been sent"),
        (
            takes_an_empty_list_for_a_failure,
            "it raised RuntimeError: []. The list Failed can be there and be empty",
        ),
        (looks_at_the_status, "SQS refused 1 of three entries, and it returned as if all had been sent"),
        (returns_what_failed, "it should return a dictionary with the MessageId of each Id"),
        (sends_a_batch(error=ValueError), "it should be a RuntimeError that names the entries"),
        (sends_a_batch(names=len), "the error does not name 'valley', which was not sent"),
        (sends_a_batch(names=lambda failed: failed[0]["Id"]), "SQS refused 2 of three entries, and the error does not"),
        (sends_a_batch(names=lambda failed: "forest river valley"), "the error names 'forest', too, which was sent"),
        (sends_a_batch(again=True), "SQS refused 1 of three entries, and 4 messages arrived"),
        (lambda sqs, queue_url, entries: {}, "two good entries were sent, and 0 messages arrived"),
        ("send_batch", "a function was expected, and this is a str"),
    ],
)
def test_q2_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(2, answer)
    assert state == "wrong"
    assert because in text


# Question 3


def cuts(number=10, most=MIB, length=lambda body: len(body.encode()), too_large=True, last=True, error=ValueError):
    """A solution, with one thing changed."""

    def batches(bodies):
        batch, size = [], 0
        for body in bodies:
            if too_large and length(body) > most:
                raise error("too large")
            if batch and (len(batch) == number or size + length(body) > most):
                yield batch
                batch, size = [], 0
            batch.append(body)
            size += length(body)
        if batch and last:
            yield batch

    return batches


def as_a_list(bodies):
    result = []
    for body in bodies:
        assert_fits(body)
        if result and len(result[-1]) < 10 and len("".join([*result[-1], body]).encode("utf-8")) <= MIB:
            result[-1].append(body)
        else:
            result.append([body])
    return result


def assert_fits(body):
    if len(body.encode()) > MIB:
        raise UnicodeError("a ValueError of another kind")


def tens(bodies):
    return [bodies[start : start + 10] for start in range(0, len(bodies), 10)]


def begins_with_an_empty_one(bodies):
    return [[], *as_a_list(bodies)] if bodies else []


def always_one_batch(bodies):
    return as_a_list(bodies) or [[]]


def sorts_by_size(bodies):
    return as_a_list(sorted(bodies, key=len, reverse=True) if len(bodies) == 23 else bodies)


@pytest.mark.parametrize("answer", [cuts(), as_a_list])
def test_q3_takes_any_way_to_cut(outcome, answer):
    assert outcome(3, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (tens, "for five bodies of 400,000 bytes it gave batches of [5]; one of them has more than 1,048,576"),
        (cuts(number=100), "for 23 small bodies it gave batches of [23]; a request takes ten entries"),
        (cuts(number=1), "[10, 10, 3] is enough, and each request is paid for"),
        (cuts(last=False), "for 23 small bodies it gave batches of [10, 10]: 20 of 23 bodies"),
        (cuts(length=len), "800,000 bytes each it gave batches of [2]; one of them has more than 1,048,576 bytes"),
        (cuts(most=MIB - 1), "fit exactly it gave batches of [1, 1]"),
        (cuts(most=256 * 1024), "raised ValueError: too large"),
        (cuts(too_large=False), "a body of 1,048,577 bytes is in a batch"),
        (cuts(error=RuntimeError), "it should be a ValueError"),
        (always_one_batch, "there should be no batch, not an empty one"),
        (begins_with_an_empty_one, "SQS refuses an empty one"),
        (sorts_by_size, "not in the order in which they were given"),
        (lambda bodies: None, "raised TypeError"),
        (10, "a function was expected, and this is an int"),
    ],
)
def test_q3_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(3, answer)
    assert state == "wrong"
    assert because in text


# Question 4

NEEDED = ["SQS_QUEUE_URL", "AWS_REGION_NAME", "APP_KEY"]
KEYS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]


def finds(needed=NEEDED, is_set=lambda value: bool(value and value.strip()), pair="one", sentence="{name} is missing."):
    """A solution, with one thing changed."""

    def problems(environ):
        missing = [name for name in needed if not is_set(environ.get(name))]
        absent = [name for name in KEYS if not is_set(environ.get(name))]
        if pair == "always" or (pair == "one" and len(absent) == 1):
            missing += absent
        return [sentence.format(name=name, environ=dict(environ)) for name in missing]

    return problems


def with_both_names(environ):
    values = {name: (environ.get(name) or "").strip() for name in NEEDED + KEYS}
    found = tuple(f"Set {name} in .env." for name in NEEDED if not values[name])
    for name, other in (KEYS, reversed(KEYS)):
        if values[other] and not values[name]:
            found += (f"{other} is set without {name}.",)
    return found


def stops_at_the_first(environ):
    return finds()(environ)[:1]


def one_sentence(environ):
    found = finds()(environ)
    return [" ".join(found)] if found else []


def tells_what_is_set(environ):
    found = finds()(environ)
    return found + [f"APP_KEY is {environ.get('APP_KEY')}"] if found else []


@pytest.mark.parametrize("answer", [finds(), with_both_names])
def test_q4_takes_any_function_that_names_what_is_missing(outcome, answer):
    assert outcome(4, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (finds(needed=NEEDED[:2]), "APP_KEY is not set, and no sentence names APP_KEY"),
        (finds(is_set=lambda value: value is not None), "empty"),
        (finds(is_set=bool), "SQS_QUEUE_URL is only blanks, and no sentence names SQS_QUEUE_URL"),
        (finds(pair="always"), "the server has a role, and that is fine, but it found a problem"),
        (finds(pair="never"), "AWS_ACCESS_KEY_ID is not set, and its other half is, and no sentence names"),
        (finds(sentence="Something is missing."), "and no sentence names SQS_QUEUE_URL"),
        (finds(sentence="{name} is missing in {environ}"), "a sentence holds the value of"),
        (tells_what_is_set, "a sentence holds the value of APP_KEY"),
        (stops_at_the_first, "three variables are not set, and no sentence names AWS_REGION_NAME"),
        (one_sentence, "it returned 1 sentences; write one for each variable"),
        (lambda environ: [name for name in NEEDED if environ[name] == ""], "raised KeyError: 'SQS_QUEUE_URL'"),
        (lambda environ: None, "it returned None; it should return a list of sentences"),
        (lambda one, two: [], "cannot be called as it will be"),
    ],
)
def test_q4_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(4, answer)
    assert state == "wrong"
    assert because in text


# Question 5


class NotSent(Exception):
    def __init__(self, positions):
        super().__init__(f"not sent: {positions}")
        self.positions = positions


strict = partial(json.dumps, allow_nan=False)


def queue_sender(
    encode=strict,
    lazily=False,
    number=10,
    most=MIB,
    report=True,
    limit=True,
    error=NotSent,
    stop=False,
    returns=list,
    parse=None,
    shift=0,
):
    """A solution, with one thing changed."""

    class QueueSender:
        def __init__(self, queue_url):
            self.queue_url, self.sqs = queue_url, None
            if not lazily:
                self.client()

        def client(self):
            if self.sqs is None:
                self.sqs = boto3.client("sqs")
            return self.sqs

        def send(self, msg):
            return self.client().send_message(QueueUrl=self.queue_url, MessageBody=encode(msg))["MessageId"]

        def send_many(self, msgs):
            ids, good, batch, size = {}, [], [], 0
            msgs = list(msgs)
            for position, msg in enumerate(msgs):
                ids[position] = None
                try:
                    body = encode(msg)
                except (TypeError, ValueError):
                    if stop:
                        raise
                    continue
                if not limit or len(body) <= MIB:
                    good.append((position, body))
            for position, body in good:
                if batch and (len(batch) == number or size + len(body) > most):
                    self.send_batch(batch, ids)
                    batch, size = [], 0
                batch.append({"Id": str(position), "MessageBody": body})
                size += len(body)
            if batch:
                self.send_batch(batch, ids)
            positions = [position + shift for position, message_id in ids.items() if message_id is None]
            if positions and report:
                raise error(positions)
            return returns(ids.values())

        def send_batch(self, batch, ids):
            answer = self.client().send_message_batch(QueueUrl=self.queue_url, Entries=batch)
            for entry in answer.get("Successful", []):
                ids[int(entry["Id"])] = entry["MessageId"]
            if parse == "ignore":
                for entry in answer.get("Failed", []):
                    ids[int(entry["Id"])] = "sent, I hope"
            if parse == "raise" and answer.get("Failed"):
                raise NotSent([int(entry["Id"]) for entry in answer["Failed"]])

    return QueueSender


class WithALock(queue_sender(lazily=True)):
    lock = threading.Lock()

    def client(self):
        with self.lock:
            return super().client()


class OneByOne(queue_sender()):
    def send_many(self, msgs):
        return [self.send(msg) for msg in msgs]


class Backwards(queue_sender()):
    def send_many(self, msgs):
        result = super().send_many(msgs)
        return result[::-1]


@pytest.mark.parametrize("answer", [queue_sender(), WithALock, queue_sender(error=lambda found: NotSent(tuple(found)))])
def test_q5_takes_any_sender_that_loses_nothing_and_says_what_it_could_not_send(outcome, answer):
    assert outcome(5, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (queue_sender(lazily=True), "more than one client was made"),
        (queue_sender(encode=json.dumps), "send takes a message with nan in it, which is not JSON"),
        (
            queue_sender(encode=str),
            "what send sent is not the message as JSON: \"{'apps': [], 'data': {'image_id': 0}}\"",
        ),
        (queue_sender(encode=partial(strict, default=str)), "send takes a message with a set in it"),
        (queue_sender(number=1), "send_many used 23 requests for 23 messages; three are enough"),
        (OneByOne, "send_many used 23 requests for 23 messages"),
        (queue_sender(number=23), "23 messages were in one request; SQS takes ten"),
        (queue_sender(most=10 * MIB), "three messages of 400,000 bytes were in one request"),
        (
            queue_sender(stop=True),
            "number 3 has nan in it, and 0 arrived; the other 12 must be sent all the same. It raised",
        ),
        (queue_sender(report=False), "number 3 has nan in it, and send_many returned as if all had been sent"),
        (queue_sender(parse="ignore"), "number 8 was refused by SQS, and send_many returned as if all"),
        (queue_sender(parse="raise"), "number 8 was refused by SQS, and 9 arrived; the other 12"),
        (queue_sender(limit=False), "number 12 is too large, and"),
        (queue_sender(error=ValueError), "raise NotSent, with the positions"),
        (queue_sender(shift=1), "the positions are [4]; [3] was expected"),
        (queue_sender(returns=len), "send_many of no messages should return an empty list"),
        (Backwards, "is not the MessageId of each message, in the order of the messages"),
        (type("QueueSender", (), {"send": print}), "QueueSender has no method send_many"),
        (lambda queue_url: None, "a class was expected, and this is a function"),
    ],
)
def test_q5_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(5, answer)
    assert state == "wrong"
    assert because in text


def test_q5_a_race_that_a_kept_client_hides_is_still_wrong_the_second_time(outcome):
    kept = []

    def client(self):
        if not kept:
            kept.append(boto3.client("sqs"))
        return kept[-1]

    racing = type("QueueSender", (queue_sender(lazily=True),), {"client": client})
    assert "more than one client was made" in outcome(5, racing)[1]
    assert "more than one client was made" in outcome(5, racing)[1]
