import ipaddress
import json
import logging
import re
from fnmatch import fnmatch, fnmatchcase
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from yarl import URL

from workshop.exercises.chapter_09 import HARMFUL, _permits, _statements
from workshop.folders import CHECKOUT

CHAPTER = "09_secure_it"

QUEUE = "arn:aws:sqs:us-east-1:123456789012:image-processing-sync"
NEEDED = ["sqs:SendMessage", "sqs:GetQueueAttributes"]


def policy(action=NEEDED, resource=QUEUE, version="2012-10-17", more=(), **changes):
    statement = {"Effect": "Allow", "Action": action, "Resource": resource} | changes
    return {"Version": version, "Statement": [statement, *more]}


def without(name):
    found = policy()
    del found["Statement"][0][name]
    return found


ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENY_SOME = {"Effect": "Deny", "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage"], "Resource": "*"}
DENY_THE_REST = [
    {"Effect": "Deny", "NotAction": NEEDED, "Resource": "*"},
    {"Effect": "Deny", "Action": "*", "NotResource": QUEUE},
]


@pytest.mark.parametrize(
    "answer",
    [
        policy(),
        policy([*NEEDED, "sqs:GetQueueUrl", "sqs:SendMessageBatch"], [QUEUE]),
        policy(["SQS:sendmessage", "sqs:GetQueueA*"]),
        policy("sqs:SendMessage", more=[{"Sid": "Count", **policy("sqs:GetQueueAttributes")["Statement"][0]}]),
        {"Statement": policy()["Statement"][0]},
        policy(Condition={"Bool": {"aws:SecureTransport": "true"}}),
        {"Version": "2012-10-17", "Statement": [ALLOW_ALL, *DENY_THE_REST]},
    ],
)
def test_q1_takes_any_policy_that_allows_only_what_is_needed(outcome, answer):
    assert outcome(1, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (
            policy("sqs:SendMessage"),
            "sqs:GetQueueAttributes on image-processing-sync is denied: Django could not count",
        ),
        (policy(["sqs:SendMessages", "sqs:GetQueueAttributes"]), "sqs:SendMessage on image-processing-sync is denied"),
        (policy("sqs:*"), "sqs:ReceiveMessage is allowed, so whoever finds Django's key could read every message"),
        (policy([*NEEDED, "sqs:DeleteMessage"]), "sqs:DeleteMessage is allowed"),
        (policy([*NEEDED, "sqs:ReceiveMessage", "sqs:DeleteMessage"]), "sqs:ReceiveMessage is allowed"),
        (policy(resource="*"), "send to the dead-letter queue"),
        (policy(resource=QUEUE + "*"), "send to the dead-letter queue: does your resource end with a star?"),
        (policy(resource=QUEUE.replace("us-east-1", "*")), "send to a queue of that name in another region"),
        (policy(resource=QUEUE.replace("123456789012", "*")), "send to a queue of that name in another account"),
        (policy(resource=QUEUE.replace("image-processing-sync", "*")), "send to the dead-letter queue"),
        (policy(more=[ALLOW_ALL | {"Action": "sqs:List*"}]), "list all queues"),
        ({"Version": "2012-10-17", "Statement": [ALLOW_ALL, DENY_SOME]}, "sqs:PurgeQueue is allowed"),
        (policy(more=[{"Effect": "Deny", "Action": "sqs:*", "Resource": "*"}]), "sqs:SendMessage on image-processing-"),
        (policy(["SendMessage"]), "the action 'SendMessage' has no service; write sqs:SendMessage"),
        (policy(["sqs:SendMessage", "sqs:get_queue_attributes"]), "underscores: sqs:GetQueueAttributes"),
        (policy(resource="http://127.0.0.1:5000/123456789012/image-processing-sync"), "IAM knows it by its ARN"),
        (policy(resource="image-processing-sync"), "the resource 'image-processing-sync' is no ARN"),
        (policy(version="2024-05-01"), "It is not your date but that of IAM's language"),
        (policy(Principal="*"), "IAM refuses one in it"),
        (policy(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), "has a Condition, which this check cannot"),
        (policy(Effect="allow"), "has the Effect 'allow'"),
        (without("Action"), "a statement has no Action"),
        (without("Resource"), "a statement has no Resource"),
        (policy(set(NEEDED)), "write lists, not sets"),
        ({"Version": "2012-10-17"}, "it has no Statement"),
        ({}, "it has no Statement"),
        ("sqs:SendMessage", "a policy is a dict here, and this is a str"),
    ],
)
def test_q1_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(1, answer)
    assert state == "wrong"
    assert because in text


def test_q1_finds_nothing_harmful_in_the_policy_of_the_workshop_and_everything_in_one_with_stars():
    sender = _statements(json.loads((CHECKOUT / "infra" / "sender-policy.json").read_text(encoding="utf-8")))
    assert _permits(sender, "sqs:SendMessage", QUEUE)
    assert not any(_permits(sender, action, resource) for action, resource, _ in HARMFUL)
    everything = _statements(policy("*", "*"))
    assert all(_permits(everything, action, resource) for action, resource, _ in HARMFUL)


def rotates(steps):
    """An answer to question 2: `steps` are letters, in this order.

    b: both keys, o: both with the old one first, n: the new key alone, t: the fallback as a text, f: no APP_KEY;
    s: the senders, 1: the first sender alone, r: the senders back to the old key; w: wait.
    """

    def rotate(old, new, receiver, senders, wait):
        for step in steps:
            if step == "b":
                receiver.restart(APP_KEY=new, APP_KEY_FALLBACKS=[old])
            elif step == "o":
                receiver.restart(APP_KEY=old, APP_KEY_FALLBACKS=[new])
            elif step == "t":
                receiver.restart(APP_KEY=new, APP_KEY_FALLBACKS=old)
            elif step == "f":
                receiver.restart(APP_KEY="", APP_KEY_FALLBACKS=[old, new])
            elif step == "n":
                receiver.restart(APP_KEY=new, APP_KEY_FALLBACKS=[])
            elif step == "w":
                wait()
            else:
                for sender in senders[:1] if step == "1" else senders:
                    sender.use(old if step == "r" else new)

    return rotate


@pytest.mark.parametrize("steps", ["bswn", "oswn", "b1swwn", "wbswn", "obsbwn"])
def test_q2_takes_any_order_that_loses_nothing_and_ends_the_old_key(outcome, steps):
    assert outcome(2, rotates(steps))[0] == "right"


@pytest.mark.parametrize(
    ("steps", "because"),
    [
        (
            "snw",
            "after step 1, sender.use, a message is answered 401. A sender uses the new key, and the receiver does",
        ),
        (
            "nsw",
            "after step 1, receiver.restart, a message is answered 401. The receiver does not take the old key any",
        ),
        ("bsn", "wait for such messages"),
        ("bwsn", "has waited in the queue or among the dead letters"),
        ("bsw", "the old key is still valid at the end: a thief can use it for ever"),
        ("bs", "the old key is still valid at the end"),
        (
            "b1wn",
            "after step 4, receiver.restart, a message is answered 401. The receiver does not take the old key any",
        ),
        ("b1w", "2 of 3 senders do not use the new key at the end"),
        ("bswnr", "after step 7, sender.use, a message is answered 401"),
        ("tswn", "APP_KEY_FALLBACKS is one text, and each letter of it would be a key"),
        ("fswn", "after step 1, receiver.restart, a message is answered 401"),
        ("", "it changed nothing"),
    ],
)
def test_q2_says_what_is_not_right(outcome, steps, because):
    state, text = outcome(2, rotates(steps))
    assert state == "wrong"
    assert because in text


def test_q2_says_how_the_tools_are_called(outcome):
    def rotate(old, new, receiver, senders, wait):
        receiver.restart(new, [old])

    state, text = outcome(2, rotate)
    assert state == "wrong"
    assert "rotate raised TypeError" in text


class Formatter(logging.Formatter):
    """A solution, whose parts are changed below."""

    def __init__(self, fmt, keys):
        super().__init__(fmt)
        self.keys = self.chosen(keys)

    def chosen(self, keys):
        return sorted(filter(None, keys), key=len, reverse=True)

    def hide(self, text):
        for key in self.keys:
            text = text.replace(key, "***")
        return text

    def format(self, record):
        return self.hide(super().format(record))


class OneExpression(Formatter):
    def hide(self, text):
        return re.sub("|".join(map(re.escape, self.keys)), "***", text) if self.keys else text


class WithoutEscape(Formatter):
    def hide(self, text):
        return re.sub("|".join(self.keys), "***", text) if self.keys else text


class WithoutAnyKey(Formatter):
    """With no key at all, the expression is empty, and found between any two letters."""

    def hide(self, text):
        return re.sub("|".join(map(re.escape, self.keys)), "***", text)


class EachPart(Formatter):
    """Makes its line out of the parts of the record."""

    def formatMessage(self, record):  # noqa: N802
        return self.hide(super().formatMessage(record))

    def formatException(self, ei):  # noqa: N802
        return self.hide(super().formatException(ei))

    def format(self, record):
        record.exc_text = None
        return super().format(record)


class MessageAlone(Formatter):
    def format(self, record):
        if isinstance(record.msg, str):
            record.msg = self.hide(record.msg)
        return logging.Formatter.format(self, record)


class MessageAndArguments(Formatter):
    def format(self, record):
        if isinstance(record.args, tuple):
            record.args = tuple(self.hide(arg) if isinstance(arg, str) else arg for arg in record.args)
        record.msg = self.hide(str(record.msg))
        return logging.Formatter.format(self, record)


class GetMessage(Formatter):
    def format(self, record):
        record.msg, record.args = self.hide(record.getMessage()), None
        return logging.Formatter.format(self, record)


class WithoutTraceback(GetMessage):
    def format(self, record):
        record.exc_info = None
        return super().format(record)


class MessageMustBeText(Formatter):
    def format(self, record):
        record.msg = self.hide(record.msg)
        return super().format(record)


class EmptyKeyToo(Formatter):
    def chosen(self, keys):
        return sorted(keys, key=len, reverse=True)


class InTheirOrder(Formatter):
    def chosen(self, keys):
        return list(filter(None, keys))


class ShortestFirst(Formatter):
    def chosen(self, keys):
        return sorted(filter(None, keys), key=len)


class FirstKeyAlone(Formatter):
    def chosen(self, keys):
        return list(filter(None, keys))[:1]


class Removes(Formatter):
    def hide(self, text):
        for key in self.keys:
            text = text.replace(key, "")
        return text


class ReturnsNothing(Formatter):
    def format(self, record):
        super().format(record)


@pytest.mark.parametrize("answer", [Formatter, OneExpression, EachPart])
def test_q3_takes_any_formatter_that_hides_the_keys_everywhere(outcome, answer):
    assert outcome(3, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (MessageAlone, "a key among the arguments is still in the line"),
        (MessageAndArguments, "a key in an argument, a dict is still in the line"),
        (GetMessage, "its traceback is logged with the key in it"),
        (WithoutTraceback, "the line does not have its traceback any more"),
        (
            MessageMustBeText,
            "is no text but an exception it raised AttributeError: 'ValueError' object has no attribute",
        ),
        (EmptyKeyToo, "one of the keys is an empty text, as when no APP_KEY is set, and the line becomes"),
        (WithoutAnyKey, "the only key is an empty text, as when no APP_KEY is set, and the line becomes '***I***N***"),
        (WithoutEscape, "In a regular expression + means something else: re.escape(key)"),
        (InTheirOrder, "Replace the longer one first"),
        (ShortestFirst, "the rest of the longer key is still there"),
        (FirstKeyAlone, "a key in the message is still in the line"),
        (Removes, "the line is 'INFO sent with ', and 'INFO sent with ***' was expected"),
        (ReturnsNothing, "format returned None; it must return the line"),
        (Formatter("%(message)s", []), "a class was expected, and this is a Formatter"),
    ],
)
def test_q3_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(3, answer)
    assert state == "wrong"
    assert because in text
    assert "3Uk9" not in text, "no key is in what the check says"


def allows(
    host=lambda url: (url.hostname or "").lower(),
    match=fnmatchcase,
    schemes=("https",),
    users=False,
    ports=(None, 443),
    catch=(ValueError, AttributeError, TypeError),
    letters=r"[a-z0-9.-]+",
    lower=str.lower,
):
    """An answer to question 4 with urlsplit, with one thing changed."""

    def allowed(endpoint, patterns):
        try:
            url = urlsplit(endpoint)
            found = host(url)
            if url.scheme not in schemes or not re.fullmatch(letters, found):
                return False
            if not users and "@" in url.netloc:
                return False
            if ports and url.port not in ports:
                return False
            return any(match(found, lower(pattern)) for pattern in patterns)
        except catch:
            return False

    return allowed


def with_yarl(endpoint, patterns):
    try:
        url = URL(endpoint)
    except (ValueError, TypeError):
        return False
    if (url.scheme, url.port, url.user, url.password) != ("https", 443, None, None):
        return False
    labels = (url.host or "").lower().split(".")
    wanted = {pattern.lower() for pattern in patterns if pattern}
    return ".".join(labels) in wanted or "*." + ".".join(labels[1:]) in wanted


def searches_the_text(endpoint, patterns):
    return any(pattern.strip("*") in str(endpoint) for pattern in patterns)


def begins_with(endpoint, patterns):
    return any(str(endpoint).startswith(f"https://{pattern}") for pattern in patterns)


def matches_the_whole_text(endpoint, patterns):
    return any(fnmatch(str(endpoint).lower(), f"https://{pattern.lower()}*") for pattern in patterns)


def forbids_addresses(endpoint, patterns):
    """A list of what is forbidden, in the place of one of what is allowed."""
    url = urlsplit(str(endpoint))
    try:
        return url.scheme == "https" and ipaddress.ip_address(url.hostname).is_global
    except ValueError:
        return url.hostname not in (None, "localhost")


def ends_with(host, pattern):
    return host.endswith(pattern.lstrip("*."))


def has_a_regular_expression(host, pattern):
    return re.fullmatch(pattern.replace("*", ".*"), host)


@pytest.mark.parametrize("answer", [allows(), with_yarl])
def test_q4_takes_any_way_to_allow_the_hosts_of_the_list_alone(outcome, answer):
    assert outcome(4, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (searches_the_text, "https://DJANGO.Example.com/sync is refused: the same host in other letters"),
        (begins_with, "https://abc123.ngrok-free.dev/sync?image=1 is refused: *.ngrok-free.dev stands for every"),
        (
            matches_the_whole_text,
            "https://evil.example#.ngrok-free.dev is allowed: it leads to evil.example: the fragment",
        ),
        (forbids_addresses, "https://evil.example/ is allowed: that host is not on the list"),
        (allows(match=ends_with), "https://evil-ngrok-free.dev/ is allowed: anybody can own that name"),
        (
            allows(match=lambda host, pattern: pattern.strip("*.") in host),
            "django.example.com.evil.example/ is allowed",
        ),
        (allows(match=has_a_regular_expression), "https://django-example.com/ is allowed: in a regular expression a"),
        (
            allows(match=lambda host, pattern: fnmatchcase(host, pattern) or host == pattern.lstrip("*.")),
            "https://ngrok-free.dev/ is allowed: the star stands for a subdomain",
        ),
        (allows(match=lambda host, pattern: host == pattern), "*.ngrok-free.dev stands for every subdomain"),
        (allows(schemes=("https", "http")), "http://django.example.com/sync is allowed: without TLS everybody"),
        (allows(users=True), "https://user:password@django.example.com/ is allowed"),
        (
            allows(users=True, host=lambda url: url.netloc.partition(":")[0].partition("@")[0]),
            "is refused: the same host in other letters",
        ),
        (
            allows(users=True, host=lambda url: url.netloc.lower().partition(":")[0].partition("@")[0]),
            "https://django.example.com@evil.example/ is allowed: it leads to evil.example: before the @",
        ),
        (allows(ports=None), "https://django.example.com:8443/sync is allowed: on another port"),
        (allows(ports=(None,)), "https://django.example.com:443/sync is refused: 443 is the port of https anyway"),
        (allows(ports=(None, 0, 443)), "https://django.example.com:0/sync is allowed"),
        (allows(letters=".+"), "some libraries read a backslash as a slash, and go to evil.example"),
        (allows(lower=str), "with the pattern Django.Example.COM, https://django.example.com is refused"),
        (allows(catch=KeyError), "for 'https://[' it raised ValueError: Invalid IPv6 URL; what cannot be read"),
        (
            allows(match=lambda host, pattern: not pattern or fnmatchcase(host, pattern)),
            "with the patterns [''], https://evil.example/ is",
        ),
        (lambda endpoint, patterns: endpoint is None or allows()(endpoint, patterns), "None is allowed, and it is no"),
        (lambda endpoint, patterns: True, "https://evil.example/ is allowed"),
        (lambda endpoint, patterns: False, "https://django.example.com/api/v1/image-processing-sync is refused"),
    ],
)
def test_q4_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(4, answer)
    assert state == "wrong"
    assert because in text


def posts(
    ask=True,
    catch=Exception,
    why=lambda error: type(error).__name__,
    header=lambda key: {"Authorization": f"Token {key}"},
    success=lambda answer: answer.is_success,
    no="not allowed",
    patient=False,
    send=httpx.post,
    **options,
):
    """An answer to question 5, with one thing changed."""

    def post_safely(endpoint, data, key, is_allowed, timeout):
        if ask and not is_allowed(endpoint):
            return no
        limit = {} if patient else {"timeout": timeout}
        try:
            answer = send(endpoint, json=data, headers=header(key), **limit, **options)
        except catch as error:
            return why(error)
        return None if success(answer) else f"HTTP {answer.status_code}"

    return post_safely


def with_requests(endpoint, data, key, is_allowed, timeout):
    if is_allowed(endpoint):
        try:
            headers = {"Authorization": f"Token {key}"}
            answer = requests.post(endpoint, json=data, headers=headers, timeout=timeout, allow_redirects=False)
            return None if 200 <= answer.status_code < 300 else str(answer.status_code)
        except Exception:
            return "the request failed"
    return "refused"


def logs_the_error(endpoint, data, key, is_allowed, timeout):
    def why(error):
        logging.getLogger("app").warning("post failed: %s", error)
        return "failed"

    return posts(why=why)(endpoint, data, key, is_allowed, timeout)


def prints_the_key(endpoint, data, key, is_allowed, timeout):
    print("posting with", key)
    return posts()(endpoint, data, key, is_allowed, timeout)


def quotes_the_answer(endpoint, data, key, is_allowed, timeout):
    found = []
    result = posts(success=lambda answer: found.append(answer) or answer.is_success)(
        endpoint, data, key, is_allowed, timeout
    )
    return f"{result}: {found[0].text}" if result and found else result


def asks_afterwards(endpoint, data, key, is_allowed, timeout):
    result = posts(ask=False)(endpoint, data, key, is_allowed, timeout)
    return result if is_allowed(endpoint) else "not allowed"


def asks_about_the_host(endpoint, data, key, is_allowed, timeout):
    host = urlsplit(endpoint).hostname
    return posts()(endpoint, data, key, lambda _: is_allowed(host), timeout)


def returns_the_status(endpoint, data, key, is_allowed, timeout):
    return posts(success=lambda answer: True)(endpoint, data, key, is_allowed, timeout) or 200


NOT_TIMEOUTS = (httpx.ConnectError, httpx.ProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError)


@pytest.mark.parametrize(
    "answer", [posts(), with_requests, posts(header=lambda key: {"authorization": "Token " + key.strip()})]
)
def test_q5_takes_any_post_that_keeps_the_rules(outcome, answer):
    assert outcome(5, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (posts(ask=False), "is_allowed said no, and the request was sent all the same"),
        (asks_afterwards, "is_allowed said no, and the request was sent all the same"),
        (posts(no=None), "is_allowed said no, and it returned None, which means success"),
        (posts(follow_redirects=True), "it follows a redirect: whoever answers decides"),
        (posts(send=requests.post, success=lambda answer: answer.ok), "it follows a redirect"),
        (posts(success=lambda answer: True), "the server answered 503, and it returned None, which means success"),
        (
            posts(success=lambda answer: answer.status_code < 400),
            "the server answered 302, a redirect, and it returned",
        ),
        (posts(success=lambda answer: answer.status_code == 200), "it takes 201 for a failure"),
        (posts(catch=KeyError), "nobody listens at the endpoint, and it raised ConnectError"),
        (posts(catch=httpx.HTTPError), "a port that is no number, and it raised InvalidURL: Invalid port: 'eight'"),
        (
            posts(catch=(httpx.HTTPError, httpx.InvalidURL)),
            "the key has a letter that no header can have, and it raised UnicodeEncodeError",
        ),
        (
            posts(why=str),
            "the key has a newline at its end, as one read from a file has, and the text that it returned",
        ),
        (quotes_the_answer, "quotes the request's headers, and the text that it returned holds the key: what others"),
        (logs_the_error, "the key is in what it logs or prints"),
        (prints_the_key, "the key is in what it logs or prints"),
        (posts(header=lambda key: {"Authorization": f"Bearer {key}"}), "the header Authorization that arrived is not"),
        (posts(header=lambda key: {}), "the header Authorization that arrived is not"),
        (asks_about_the_host, "is_allowed was not called with the endpoint"),
        (returns_the_status, "the server answered 200, and it returned 200; return None for a success"),
        (posts(why=lambda error: error), "and it returned ConnectError("),
        (posts(catch=NOT_TIMEOUTS), "the server never answers, and it raised ReadTimeout"),
        (
            posts(why=lambda error: None if isinstance(error, httpx.TimeoutException) else "failed"),
            "the server never answers, and it returned None",
        ),
        (
            posts(send=lambda url, json, **rest: httpx.post(url, json={"data": json}, **rest)),
            "the body that arrived is {",
        ),
        (posts(send=lambda url, json, **rest: httpx.post(url, data=json, **rest)), "the body that arrived is not JSON"),
        (posts(send=httpx.put), "it sent a PUT, and a POST was expected"),
        (posts(patient=True), "the timeout was 0.2 seconds, and it still waits after 2"),
        (posts(why=lambda error: None), "nobody listens at the endpoint, and it returned None, which means success"),
        (lambda *args: None, "nothing arrived at the server"),
    ],
)
def test_q5_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(5, answer)
    assert state == "wrong"
    assert because in text
    assert "3Uk9" not in text, "no key is in what the check says"
