"""Chapter 9, Secure it: what its exercise asks, and how it looks at the answers."""

import inspect
import json
import logging
import re
import sys

from workshop.lab.processes import free_port

from .calling import Raised, attempt, call, kind
from .listening import everything_said
from .question import Wrong, question
from .servers import RecordingServer

LAB = {"queue": False}

KEY = "3Uk9-a-key-that-nobody-may-see-x7Lq"
SHORTER_KEY = "3Uk9-a-key"  # KEY begins with it
OTHER_KEY = "7Hp2-another-key-of-the-app-Yd5s"
SIGNS_KEY = "aGk7+Zt9x/Qw2+Lm0t=="  # as base64 makes them

QUEUE = "arn:aws:sqs:us-east-1:123456789012:image-processing-sync"

# What Django must be able to do, and what nobody may do with its key: action, resource, and what that would mean.
NEEDED = [
    ("sqs:SendMessage", QUEUE, "Django could not send to the queue"),
    ("sqs:GetQueueAttributes", QUEUE, "Django could not count what waits in the queue"),
]
HARMFUL = [
    ("sqs:ReceiveMessage", QUEUE, "read every message, with the keys of the receivers in it"),
    ("sqs:DeleteMessage", QUEUE, "delete messages, and nobody would notice"),
    ("sqs:PurgeQueue", QUEUE, "empty the queue with one call"),
    ("sqs:DeleteQueue", QUEUE, "delete the queue"),
    ("sqs:SetQueueAttributes", QUEUE, "change the queue, its redrive policy for example"),
    ("sqs:AddPermission", QUEUE, "let others in"),
    ("sqs:ChangeMessageVisibility", QUEUE, "hide messages for hours"),
    ("sqs:StartMessageMoveTask", QUEUE, "move messages"),
    ("sqs:CreateQueue", QUEUE, "create queues"),
    ("sqs:SendMessage", f"{QUEUE}-dlq", "send to the dead-letter queue: does your resource end with a star?"),
    ("sqs:GetQueueAttributes", f"{QUEUE}-dlq", "look at the dead-letter queue: does your resource end with a star?"),
    ("sqs:SendMessage", QUEUE.replace("image-processing-sync", "invoices"), "send to another queue, invoices"),
    ("sqs:SendMessage", QUEUE.replace("us-east-1", "eu-west-1"), "send to a queue of that name in another region"),
    ("sqs:SendMessage", QUEUE.replace("1234", "9999"), "send to a queue of that name in another account"),
    ("sqs:ListQueues", "*", "list all queues"),
    ("s3:GetObject", "arn:aws:s3:::backups/all.zip", "read files from S3"),
    ("iam:CreateAccessKey", "arn:aws:iam::123456789012:user/admin", "make keys for other users"),
]


@question(
    hints=[
        "What no policy allows is denied. So name two actions, and one queue, and nothing else.",
        'Action is a list of names: ["sqs:SendMessage", ...]. The resource is the ARN of the queue, not its URL.',
        "arn:aws:sqs:<region>:<account>:<name of the queue>, without any star.",
    ],
    why="Keys leak, and what a leaked key can do was decided on the day when its policy was written.",
)
def q1(lab, policy):
    """The policy lets Django send and count, and nothing else."""
    statements = _statements(policy)
    for action, resource, what in NEEDED:
        if not _permits(statements, action, resource):
            raise Wrong(f"{action} on {resource.rsplit(':', 1)[-1]} is denied: {what}")
    for action, resource, what in HARMFUL:
        if _permits(statements, action, resource):
            raise Wrong(f"{action} is allowed, so whoever finds Django's key could {what}")


@question(
    hints=[
        "At each moment ask: which keys are in use, and which are on messages that wait? The receiver must know all.",
        "Two restarts of the receiver: one at the beginning, which takes both keys, and one at the end.",
        "restart(APP_KEY=new, APP_KEY_FALLBACKS=[old]), the senders, wait(), and restart with the new key alone.",
    ],
    why="In the right order a rotation is a quiet afternoon, and so it is done before an accident and not only after.",
)
def q2(lab, rotate):
    """rotate(old, new, receiver, senders, wait): no message is refused at any moment, and the old key ends."""
    pipeline = _Pipeline(OTHER_KEY)
    call(rotate, OTHER_KEY, KEY, pipeline.receiver, pipeline.senders, pipeline.wait)
    if not pipeline.steps:
        raise Wrong("it changed nothing: the receiver and the senders still use the old key")
    if pipeline.fault:
        raise Wrong(pipeline.fault)
    if any(sender.key != KEY for sender in pipeline.senders):
        late = sum(sender.key != KEY for sender in pipeline.senders)
        raise Wrong(f"{late} of {len(pipeline.senders)} senders do not use the new key at the end")
    if pipeline.receiver.admits(OTHER_KEY):
        raise Wrong("nothing is lost, but the old key is still valid at the end: a thief can use it for ever")


@question(
    hints=[
        "A key may also come from the arguments, logging.info('key %s', key), or from an exception. Where are all of "
        "these together in one text?",
        "text = super().format(record) is the finished line, with the traceback. Replace the keys in that.",
        "Leave out empty keys, and take the longest first: sorted(filter(None, keys), key=len, reverse=True).",
    ],
    why="A log is read by many and kept for long; one formatter keeps keys out of all that the project ever logs.",
)
def q3(lab, SafeFormatter):  # noqa: N803  (a class)
    """SafeFormatter(fmt, keys): *** in the place of each key, wherever in the line it comes from."""
    if not inspect.isclass(SafeFormatter):
        raise Wrong(f"a class was expected, and this is {kind(SafeFormatter)}")
    keys = [OTHER_KEY, KEY]
    _require_line(SafeFormatter, keys, "INFO Image 7 was delivered", "Image %s was delivered", 7)
    _require_line(SafeFormatter, keys, "INFO sent with ***", f"sent with {KEY}", what="a key in the message")
    _require_line(SafeFormatter, keys, "INFO *** and ***", f"{OTHER_KEY} and {KEY}", what="two keys in the message")
    _require_line(SafeFormatter, keys, "INFO sent with ***", "sent with %s", KEY, what="a key among the arguments")
    app = {"key": KEY}
    _require_line(SafeFormatter, keys, "INFO app {'key': '***'}", "app %s", app, what="a key in an argument, a dict")
    error = ValueError(f"no good: {KEY}")
    _require_line(SafeFormatter, keys, "INFO no good: ***", error, what="a message that is no text but an exception")
    text = _line(SafeFormatter, keys, "delivery failed", error=error, what="an exception with a key in its text")
    if KEY in text:
        raise Wrong("the text of an exception holds a key, and its traceback is logged with the key in it")
    if "ValueError: no good: ***" not in text:
        raise Wrong("an exception was logged, and the line does not have its traceback any more")
    for order in ([SHORTER_KEY, KEY], [KEY, SHORTER_KEY]):
        text = _line(SafeFormatter, order, f"{KEY} and {SHORTER_KEY}", what="two keys, one the beginning of the other")
        if text != "INFO *** and ***":
            raise Wrong(
                f"one key is the beginning of another, and the line is {text!r}: the rest of the longer key is still "
                "there. Replace the longer one first"
            )
    for keys, what in [(["", KEY], "one of the keys is an empty text"), ([""], "the only key is an empty text")]:
        text = _line(SafeFormatter, keys, "Image 7 was delivered", what=what)
        if text != "INFO Image 7 was delivered":
            raise Wrong(
                f"{what}, as when no APP_KEY is set, and the line becomes "
                f"{text[:24]!r}...: an empty text is found between any two letters"
            )
    text = _line(SafeFormatter, [SIGNS_KEY], f"sent with {SIGNS_KEY}", what="a key with signs in it")
    if text != "INFO sent with ***":
        raise Wrong(
            "a key with a + in it, as base64 makes them, is still in the line. In a regular expression + means "
            "something else: re.escape(key)"
        )


GOOD_ENDPOINTS = [
    ("https://django.example.com/api/v1/image-processing-sync", "this is a host of the list"),
    ("https://django.example.com", "a host of the list, and no path"),
    ("https://abc123.ngrok-free.dev/sync?image=1", "*.ngrok-free.dev stands for every subdomain"),
    ("https://DJANGO.Example.com/sync", "the same host in other letters: hosts know no upper case"),
    ("HTTPS://django.example.com/sync", "the same scheme in other letters"),
    ("https://django.example.com:443/sync", "443 is the port of https anyway"),
]
BAD_ENDPOINTS = [
    ("https://evil.example/", "that host is not on the list"),
    ("http://django.example.com/sync", "without TLS everybody on the way can read the key"),
    ("ftp://django.example.com/sync", "the scheme is not https"),
    ("//django.example.com/sync", "it has no scheme"),
    ("file:///etc/passwd", "the scheme is not https, and there is no host"),
    ("https://evil.example/django.example.com", "it leads to evil.example: the path is not the host"),
    ("https://evil.example/?to=https://django.example.com/", "it leads to evil.example: the query is not the host"),
    ("https://evil.example#.ngrok-free.dev", "it leads to evil.example: the fragment is not the host"),
    (
        "https://django.example.com.evil.example/",
        "a subdomain of evil.example may have any name: compare the whole host",
    ),
    (
        "https://abc.ngrok-free.dev.evil.example/",
        "a subdomain of evil.example may have any name: compare the whole host",
    ),
    ("https://django-example.com/", "in a regular expression a dot stands for any letter, if it is not escaped"),
    ("https://evil-ngrok-free.dev/", "anybody can own that name: the star stands for a part that ends with a dot"),
    ("https://ngrok-free.dev/", "the star stands for a subdomain, and this has none"),
    ("https://evildjango.example.com/", "a pattern without a star is the whole host"),
    ("https://django.example.com@evil.example/", "it leads to evil.example: before the @ stands a user name"),
    ("https://django.example.com:443@evil.example/", "it leads to evil.example: before the @ stand user and password"),
    ("https://user:password@django.example.com/", "it has a user name and a password, which end up in logs"),
    ("https://django.example.com:8443/sync", "on another port another server may listen"),
    ("https://django.example.com:0/sync", "on another port another server may listen, and 0 is another port"),
    ("https://127.0.0.1/", "an address inside your network"),
    ("https://169.254.169.254/latest/meta-data", "the metadata address"),
    ("https://2130706433/", "127.0.0.1, written as one number"),
    ("https://[::1]/", "this machine, in IPv6"),
    (
        "https://evil.example\\.ngrok-free.dev/",
        "some libraries read a backslash as a slash, and go to evil.example. Parse with the library that connects "
        "(yarl.URL for aiohttp), or allow only letters, digits, dots and hyphens in a host",
    ),
]
NO_ENDPOINTS = [
    ("django.example.com", "a host is no URL"),
    ("https://", "there is no host"),
    ("", "it is empty"),
    ("https://[", "it is no URL"),
    ("https://django.example.com:99999/", "there is no such port"),
    (None, "it is no text"),
    (7, "it is no text"),
]


@question(
    hints=[
        "Do not search in the text. Parse it (urllib.parse.urlsplit, or yarl.URL as the workshop's function does), and "
        "look at scheme, user name, host and port, one after the other.",
        "fnmatchcase(host, pattern) understands the star and compares the whole host. Make both lower case before.",
        "try: ... except (ValueError, TypeError): return False, around the parsing and the port. A port is fine if it "
        "is None or 443: `in (None, 443)`.",
    ],
    why="A function that posts where a message says is a tool for whoever can write one, and this list takes it away.",
)
def q4(lab, allowed):
    """allowed(endpoint, patterns): true for https, a host on the list, no user, no other port."""
    patterns = ["django.example.com", "*.ngrok-free.dev"]
    for endpoint, what in GOOD_ENDPOINTS:
        if not _is_allowed(allowed, endpoint, patterns):
            raise Wrong(f"{endpoint} is refused: {what}")
    if not _is_allowed(allowed, GOOD_ENDPOINTS[0][0], ["*.ngrok-free.dev", "Django.Example.COM"]):
        raise Wrong("with the pattern Django.Example.COM, https://django.example.com is refused; letters of any case")
    for endpoint, what in BAD_ENDPOINTS:
        if _is_allowed(allowed, endpoint, patterns):
            raise Wrong(f"{endpoint} is allowed: {what}")
    for endpoint, what in NO_ENDPOINTS:
        if _is_allowed(allowed, endpoint, patterns):
            raise Wrong(f"{endpoint!r} is allowed, and {what}")
    for nothing in ([], [""]):
        for endpoint in ("https://evil.example/", "https://"):
            if _is_allowed(allowed, endpoint, nothing):
                raise Wrong(f"with the patterns {nothing!r}, {endpoint} is allowed: these allow nothing")


@question(
    hints=[
        "First is_allowed(endpoint), before anything is sent. httpx follows no redirect unless you ask it to.",
        "httpx.post(endpoint, json=data, headers={...}, timeout=timeout). A success is a status from 200 to 299.",
        "What httpx raises is not always an httpx.HTTPError: catch Exception. And its text can hold the key, so return "
        "only type(error).__name__.",
    ],
    why="Each webhook, callback and preview of a link is this function, and most of them forget one of its rules.",
)
def q5(lab, post_safely):
    """post_safely(endpoint, data, key, is_allowed, timeout) -> None for 2xx, else a text; no key in it."""
    with RecordingServer() as server, everything_said() as said:

        def result_for(endpoint, key=KEY, is_allowed=lambda endpoint: True, timeout=5, what=""):
            outcome = attempt(post_safely, endpoint, {"image_id": 7}, key, is_allowed, timeout)
            if isinstance(outcome, Raised):
                why = str(outcome)
                if key.strip() in why:
                    why = f"{type(outcome.error).__name__}, with the key in its text"
                raise Wrong(f"{what}, and it raised {why}; return a text that says why")
            return outcome

        result = result_for(server.url("/200"), what="the server answered 200")
        if not server.requests:
            raise Wrong("nothing arrived at the server")
        _require_post(server.requests[-1])
        if result is not None:
            raise Wrong(f"the server answered 200, and it returned {_shown(result)}; return None for a success")
        for status in (201, 204):
            result = result_for(server.url(f"/{status}"), what=f"the server answered {status}")
            if result is not None:
                raise Wrong(f"it takes {status} for a failure; every status from 200 to 299 is fine")

        asked, refused = [], server.url("/200?refused")
        result = result_for(refused, is_allowed=asked.append, what="is_allowed said no")
        if "/200?refused" in server.paths():
            raise Wrong("is_allowed said no, and the request was sent all the same")
        if asked != [refused]:
            raise Wrong("is_allowed was not called with the endpoint")
        _require_reason(result, "is_allowed said no")

        for endpoint, what in [
            (server.url("/503"), "the server answered 503"),
            (server.url("/500/echo"), "the server answered 500 with a page that quotes the request's headers"),
            (server.url("/401"), "the server answered 401"),
            (server.url("/302"), "the server answered 302, a redirect"),
            (f"http://127.0.0.1:{free_port()}/", "nobody listens at the endpoint"),
            ("not an address", "the endpoint is no URL"),
            ("http://127.0.0.1:eight/", "the endpoint is a URL with a port that is no number"),
        ]:
            result = result_for(endpoint, what=what)
            if "/elsewhere" in server.paths():
                raise Wrong("it follows a redirect: whoever answers decides where the next request goes")
            _require_reason(result, what)
        for path, key, what in [
            ("/200?newline", KEY + "\n", "the key has a newline at its end, as one read from a file has"),
            ("/200?letter", KEY + "\xfc", "the key has a letter that no header can have"),
        ]:
            result = result_for(server.url(path), key, what=what)
            if path not in server.paths():  # else it has mended the key
                _require_reason(result, what)
        _require_patience(post_safely, server)
    if KEY in str(said):
        raise Wrong("the key is in what it logs or prints; leave it out, also where an exception quotes it")


def _statements(policy: object) -> list[dict]:
    """The statements of the policy. Raises Wrong for what IAM would refuse, and for what this check cannot judge."""
    if not isinstance(policy, dict):
        raise Wrong(f"a policy is a dict here, and this is {kind(policy)}")
    try:
        json.dumps(policy)
    except (TypeError, ValueError):
        raise Wrong("it cannot be written as JSON, which IAM needs; write lists, not sets") from None
    if policy.get("Version", "2012-10-17") not in ("2012-10-17", "2008-10-17"):
        raise Wrong(f"the Version is {policy['Version']!r}. It is not your date but that of IAM's language: 2012-10-17")
    statements = _listed(policy.get("Statement"))
    if not statements or not all(isinstance(statement, dict) for statement in statements):
        raise Wrong("it has no Statement, which is a list of dicts")
    for statement in statements:
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise Wrong(f"a statement has the Effect {statement.get('Effect')!r}; it is Allow or Deny")
        if "Principal" in statement:
            raise Wrong("a statement has a Principal; this policy is attached to its user, so IAM refuses one in it")
        if not ("Action" in statement) ^ ("NotAction" in statement):
            raise Wrong("a statement has no Action")
        if not ("Resource" in statement) ^ ("NotResource" in statement):
            raise Wrong("a statement has no Resource")
        if statement.get("Condition", SECURE) != SECURE:
            raise Wrong("a statement has a Condition, which this check cannot judge; leave it out")
        for action in _listed(statement.get("Action", statement.get("NotAction"))):
            if not isinstance(action, str) or (":" not in action and action != "*"):
                raise Wrong(f"the action {action!r} has no service; write sqs:{action}")
            if "_" in action:
                raise Wrong(f"{action!r} is boto3's name; IAM writes it without underscores: sqs:{_camel(action)}")
        for resource in _listed(statement.get("Resource", statement.get("NotResource"))):
            if "://" in str(resource):
                raise Wrong("a resource is the URL of the queue; IAM knows it by its ARN, arn:aws:sqs:...")
            if not isinstance(resource, str) or (not resource.startswith("arn:") and resource != "*"):
                raise Wrong(f"the resource {resource!r} is no ARN; it begins with arn:aws:sqs:")
    return statements


def _camel(action: str) -> str:
    """sqs:get_queue_url -> GetQueueUrl."""
    return "".join(word.title() for word in action.partition(":")[2].split("_"))


SECURE = {"Bool": {"aws:SecureTransport": "true"}}  # holds for each request that boto3 makes to AWS


def _permits(statements: list[dict], action: str, resource: str) -> bool:
    """What IAM would decide, with these statements alone: denied unless allowed, and a Deny wins."""
    effects = {
        statement["Effect"]
        for statement in statements
        if _concerns(statement, "Action", action.lower()) and _concerns(statement, "Resource", resource)
    }
    return effects == {"Allow"}


def _concerns(statement: dict, element: str, value: str) -> bool:
    if element in statement:
        return any(_matches(pattern, value, element) for pattern in _listed(statement[element]))
    return not any(_matches(pattern, value, element) for pattern in _listed(statement[f"Not{element}"]))


def _matches(pattern: str, value: str, element: str) -> bool:
    if element == "Action":
        pattern = pattern.lower()  # an action may be written in letters of any case, an ARN may not
    wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, value) is not None


def _listed(value: object) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]


class _Receiver:
    """A receiver with the workshop's own authentication."""

    def __init__(self, pipeline: "_Pipeline", key: str):
        self._pipeline = pipeline
        self._settings = {"APP_KEY": key, "APP_KEY_FALLBACKS": []}

    def restart(self, *, APP_KEY, APP_KEY_FALLBACKS=()):  # noqa: N803  (the names of the settings)
        """Start again with these settings."""
        if isinstance(APP_KEY_FALLBACKS, str):
            self._pipeline.blame("APP_KEY_FALLBACKS is one text, and each letter of it would be a key; write a list")
            APP_KEY_FALLBACKS = [APP_KEY_FALLBACKS]  # noqa: N806
        self._settings = {"APP_KEY": APP_KEY, "APP_KEY_FALLBACKS": list(APP_KEY_FALLBACKS)}
        self._pipeline.look("receiver.restart")

    def admits(self, key: str) -> bool:
        from django.test import override_settings
        from rest_framework.exceptions import AuthenticationFailed
        from rest_framework.test import APIRequestFactory

        from workshop_django.inbox.authentication import AppKeyAuthentication

        request = APIRequestFactory().post("/", headers={"authorization": f"Token {key}"})
        with override_settings(**self._settings):
            try:
                return AppKeyAuthentication().authenticate(request) is not None
            except AuthenticationFailed:
                return False


class _Sender:
    def __init__(self, pipeline: "_Pipeline", key: str):
        self._pipeline, self.key = pipeline, key

    def use(self, key: str) -> None:
        """Send with this key from now on."""
        self.key = key
        self._pipeline.look("sender.use")


class _Pipeline:
    """A receiver and three senders that send all the time. Any message may be slow, until `wait` has returned."""

    def __init__(self, key: str):
        self.receiver = _Receiver(self, key)
        self.senders = [_Sender(self, key) for _ in range(3)]
        self.fault: str | None = None
        self.steps = 0
        self._old = key
        self._under_way = {key}

    def wait(self) -> None:
        """Wait until every message that was sent before is delivered, and no dead letter is left."""
        self._under_way = set()
        self.look("wait")

    def look(self, step: str) -> None:
        """After each step: is every key admitted that a message has now?"""
        self.steps += 1
        in_use = {sender.key for sender in self.senders}
        self._under_way |= in_use
        for key in self._under_way:
            if not self.receiver.admits(key):
                self.blame(f"after step {self.steps}, {step}, a message is answered 401. {self._why(key, in_use)}")

    def blame(self, fault: str) -> None:
        self.fault = self.fault or fault

    def _why(self, key: str, in_use: set[str]) -> str:
        if key != self._old:
            return "A sender uses the new key, and the receiver does not know it: the receiver must come first"
        if key in in_use:
            return "The receiver does not take the old key any more, and a sender still uses it"
        return (
            "It was sent with the old key, has waited in the queue or among the dead letters, and the receiver does "
            "not take that key any more: wait for such messages"
        )


def _line(formatter: type, keys: list[str], message: object, *args, error=None, what="") -> str:
    """What the formatter makes of one log record."""

    def write():
        details = None
        if error is not None:
            try:
                raise error
            except ValueError:
                details = sys.exc_info()
        record = logging.LogRecord("app", logging.INFO, "app.py", 7, message, args, details)
        return formatter("%(levelname)s %(message)s", keys).format(record)

    write.__name__ = formatter.__name__
    outcome = attempt(write)
    if isinstance(outcome, Raised):
        problem = str(outcome).replace(KEY, "***")
        raise Wrong(f"for {what or 'an ordinary line'} it raised {problem}. What is logged need not be a text")
    if not isinstance(outcome, str):
        raise Wrong(f"format returned {kind(outcome)}; it must return the line")
    return outcome


def _require_line(formatter: type, keys: list[str], expected: str, message: object, *args, what="") -> None:
    text = _line(formatter, keys, message, *args, what=what)
    if any(key in text for key in keys):
        raise Wrong(f"{what} is still in the line")
    if text != expected:
        raise Wrong(f"the line is {text!r}, and {expected!r} was expected")


def _is_allowed(allowed, endpoint: object, patterns: list[str]) -> bool:
    outcome = attempt(allowed, endpoint, list(patterns))
    if isinstance(outcome, Raised):
        raise Wrong(f"for {endpoint!r} it raised {outcome}; what cannot be read is not allowed, so return False")
    return bool(outcome)


def _require_post(request) -> None:
    if request.method != "POST":
        raise Wrong(f"it sent a {request.method}, and a POST was expected")
    if request.headers.get("Authorization") != f"Token {KEY}":
        raise Wrong("the header Authorization that arrived is not 'Token <key>'")
    try:
        body = json.loads(request.body)
    except ValueError:
        raise Wrong("the body that arrived is not JSON; httpx.post(..., json=data) makes it so") from None
    if body != {"image_id": 7}:
        raise Wrong(f"the body that arrived is {body!r}, and the data was {{'image_id': 7}}")


def _require_reason(result: object, what: str) -> None:
    if result is None:
        raise Wrong(f"{what}, and it returned None, which means success; return a text that says why")
    if not isinstance(result, str) or not result:
        raise Wrong(f"{what}, and it returned {_shown(result)}; return a text that says why")
    if KEY in result:
        think = (
            "what others answer is no text to pass on. The status says enough"
            if "quotes" in what
            else "that of an exception can quote the header. The exception's type says enough"
        )
        raise Wrong(f"{what}, and the text that it returned holds the key: {think}")


def _require_patience(post_safely, server: RecordingServer) -> None:
    """It ends in time where the server never answers."""
    try:
        outcome = attempt(post_safely, server.url("/never"), {}, KEY, lambda endpoint: True, 0.2, timeout=2)
    except Wrong:
        raise Wrong(
            "the server never answers, the timeout was 0.2 seconds, and it still waits after 2; give it to httpx"
        ) from None
    if isinstance(outcome, Raised):
        raise Wrong(f"the server never answers, and it raised {outcome}; return a text that says why")
    _require_reason(outcome, "the server never answers")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"a long {type(value).__name__}"
