"""Chapter 9, Secure it: what its exercise asks, and how it looks at the answers."""

import json
import logging

from workshop.lab.processes import free_port

from .calling import Raised, attempt, call, expect, kind, shown
from .listening import everything_said
from .question import Wrong, question
from .servers import RecordingServer

LAB = {"django": False, "queue": False}

KEY = "3Uk9+a-key-that-nobody-may-see/x7Lq=="  # with signs that mean something in a regular expression
SHORTER_KEY = "3Uk9+a-key"  # KEY begins with it
OTHER_KEY = "7Hp2-another-key-of-the-app-Yd5s"

QUEUE = "arn:aws:sqs:us-east-1:123456789012:image-processing-sync"
NEEDED = ("sqs:SendMessage", "sqs:GetQueueAttributes")
HARMLESS = "sqs:GetQueueUrl"

SECONDS, PATIENCE = 1, 4  # seconds that a post is given, and that the check waits for it


@question(
    hints=[
        "What no policy allows is denied. So name two actions, and one queue, and nothing else.",
        'Action is a list of names: ["sqs:SendMessage", ...]. The resource is the ARN of the queue, not its URL.',
        "arn:aws:sqs:<region>:<account>:<name of the queue>, without any star. Who may send may also send in batches.",
    ],
    why="Whoever finds Django's key can send and count, and neither read, nor delete, nor touch another queue.",
)
def q1(lab, policy):
    """The policy lets Django send and count, and nothing else."""
    if not isinstance(policy, dict):
        raise Wrong("no policy", f"a dictionary was expected, and this is {kind(policy)}")
    granted = set()
    for statement in _listed(json.loads(json.dumps(policy)).get("Statement")):
        if statement.get("Effect") != "Allow" or set(statement) - {"Sid", "Effect", "Action", "Resource"}:
            raise Wrong("not read", f"this check reads Allow with Action and Resource alone, and here is {statement}")
        actions, resources = _listed(statement.get("Action")), _listed(statement.get("Resource"))
        if stars := [text for text in (*actions, *resources) if set(text) & set("*?")]:
            raise Wrong("star", f"{stars[0]!r} allows more than what Django needs, today or one day")
        for action in actions:
            if action.lower() == "sqs:sendmessagebatch":
                raise Wrong("batch", f"IAM has no action {action}: who may send one message may also send a batch")
            if action.lower() not in [name.lower() for name in (*NEEDED, HARMLESS)]:
                raise Wrong("more", f"{action!r} is not one of the actions that Django needs")
        if resources != [QUEUE]:
            raise Wrong(
                "resource", f"the resource is {shown(statement.get('Resource'))}, which is not that queue's ARN"
            )
        granted |= {action.lower() for action in actions}
    for action in NEEDED:
        if action.lower() not in granted:
            raise Wrong("denied", f"{action} is denied, and Django needs it")


def _listed(value: object) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]


@question(
    hints=[
        "At each moment ask: which keys are in use, and which are on messages that wait? The receiver must know all.",
        "Two restarts of the receiver: one at the beginning, which takes both keys, and one at the end.",
        "restart(APP_KEY=new, APP_KEY_FALLBACKS=[old]), the senders, wait(), and restart with the new key alone.",
    ],
    why="A rotation costs no message, and so you can do it on a quiet afternoon, long before an accident.",
)
def q2(lab, rotate):
    """rotate(old, new, receiver, senders, wait): no message is refused at any moment, and the old key ends."""
    pipeline = _Pipeline(OTHER_KEY)
    call(rotate, OTHER_KEY, KEY, pipeline, pipeline.senders, pipeline.wait)
    if pipeline.refused:
        step, key = pipeline.refused[0]
        raise Wrong(
            "401", f"after step {step}, a message with the {'old' if key == OTHER_KEY else 'new'} key gets a 401"
        )
    if [sender.key for sender in pipeline.senders] != [KEY] * 3:
        raise Wrong("senders", "not all senders use the new key at the end")
    if OTHER_KEY in pipeline.keys:
        raise Wrong(
            "old key", "nothing is lost, but the old key is still valid at the end: a thief can use it for ever"
        )


class _Pipeline:
    """A receiver and three senders that send all the time. A message may be slow, until `wait` has returned."""

    def __init__(self, key: str):
        self.keys, self.under_way, self.refused, self.steps = [key], {key}, [], 0
        self.senders = [_Sender(self, key) for _ in range(3)]

    def restart(self, *, APP_KEY, APP_KEY_FALLBACKS=()):  # noqa: N803  (the names of the settings)
        self.keys = [APP_KEY, *APP_KEY_FALLBACKS]
        self.step("receiver.restart")

    def wait(self):
        self.under_way = set()
        self.step("wait")

    def step(self, name: str) -> None:
        """Is every key accepted now that a message has?"""
        self.steps += 1
        self.under_way |= {sender.key for sender in self.senders}
        self.refused += [(f"{self.steps}, {name}", key) for key in self.under_way if key not in self.keys]


class _Sender:
    def __init__(self, pipeline: _Pipeline, key: str):
        self.pipeline, self.key = pipeline, key

    def use(self, key: str) -> None:
        self.key = key
        self.pipeline.step("sender.use")


@question(
    hints=[
        "A key may come from the message, from its arguments, or from an exception. Where are all these in one text?",
        "super().format(record) is the finished line, with the traceback. Replace the keys in that.",
        "Leave out empty keys, and take the longest first: sorted(filter(None, keys), key=len, reverse=True).",
    ],
    why="One formatter keeps the keys out of all that the project and its libraries ever log.",
)
def q3(lab, SafeFormatter):  # noqa: N803  (a class)
    """SafeFormatter(fmt, keys): *** in the place of each key, wherever in the line it comes from."""
    error, both = ValueError(f"no good: {KEY}"), f"{KEY} and {SHORTER_KEY}"
    for key, keys, message, args, expected in [
        ("message", [KEY], "Image %s was delivered", (7,), "INFO Image 7 was delivered"),
        ("message", [KEY, OTHER_KEY], f"{OTHER_KEY} and {KEY}", (), "INFO *** and ***"),
        ("argument", [KEY], "sent with %s", (KEY,), "INFO sent with ***"),
        ("argument", [KEY], "app %s", ({"key": KEY},), "INFO app {'key': '***'}"),
        ("no text", [KEY], error, (), "INFO no good: ***"),
        ("overlap", [KEY, SHORTER_KEY], both, (), "INFO *** and ***"),
        ("overlap", [SHORTER_KEY, KEY], both, (), "INFO *** and ***"),
        ("empty", ["", KEY], "sent with nothing", (), "INFO sent with nothing"),
    ]:
        line = _line(SafeFormatter, keys, message, args)
        if line != expected:
            raise Wrong(key, f"for {shown(message)}, arguments {args} and keys {keys} the line is {shown(line)}")
    line = str(_line(SafeFormatter, [KEY], "failed", (), (ValueError, error, None)))
    if KEY in line or "ValueError: no good: ***" not in line:
        raise Wrong("exception", f"an exception with a key in its text was logged, and the line is {shown(line)}")


def _line(formatter: type, keys: list[str], message: object, args: tuple, exc_info=None) -> object:
    record = logging.LogRecord("app", logging.INFO, "app.py", 7, message, args, exc_info)
    return call(call(formatter, "%(levelname)s %(message)s", list(keys)).format, record)


@question(
    hints=[
        "What a text begins with says little: https://django.example.com.evil.example/ is somebody else's. Parse it.",
        "try: url = URL(endpoint), except (ValueError, TypeError): return False. Then look at its parts, one by one.",
        "url.port is 443 also where none is written, url.user is None where there is none, and url.host is compared "
        "with `in`, both in lower case.",
    ],
    why="Your server posts to your own hosts and nowhere else, whatever address somebody thinks of.",
)
def q4(lab, allowed):
    """allowed(endpoint, hosts): true for https, a host of the list, no user, no other port."""
    hosts = ["django.example.com", "Two.example.com"]
    for key, endpoint, right in [
        ("refused", "https://django.example.com/api/v1/image-processing-sync?image=1", True),
        ("case", "https://two.example.com", True),
        ("refused", "https://django.example.com:443/", True),
        ("case", "HTTPS://Django.Example.COM/sync", True),
        ("case", "https://two.example.com/Sync", True),
        ("host", "https://django.example.com.evil.example/", False),
        ("host", "https://evildjango.example.com/", False),
        ("host", "https://evil.example/https://django.example.com/", False),
        ("user", "https://django.example.com@evil.example/", False),
        ("user", "https://django.example.com:443@evil.example/", False),
        ("user", "https://user:password@django.example.com/", False),
        ("user", "https://:password@django.example.com/", False),
        ("scheme", "http://django.example.com/", False),
        ("scheme", "http://django.example.com:443/", False),
        ("port", "https://django.example.com:8443/", False),
        ("port", "https://django.example.com:0/", False),
        *(("no URL", nothing, False) for nothing in ("https://", "https:///path", "django.example.com", "", None, 7)),
        *(("no URL", nothing, False) for nothing in ("https://[", "https://django.example.com:99999/")),
    ]:
        found = attempt(allowed, endpoint, list(hosts))
        if isinstance(found, Raised):
            raise Wrong("raised", f"for {endpoint!r} it raised {found}")
        if found is not right:
            raise Wrong(key, f"for {endpoint!r} and the hosts {hosts} it returned {shown(found)}, not {right}")
    expect(call(allowed, "https://two.example.com", []), False, "for an empty list of hosts ")


@question(
    hints=[
        "Five places: the limit, where a redirect leads, which status is a success, what is caught, and what is told.",
        "sock_read starts anew with each byte that comes. session.post has an argument allow_redirects.",
        "ClientTimeout(total=seconds); allow_redirects=False; 200 <= answer.status < 300; except Exception; and as "
        "text the status alone, or type(error).__name__.",
    ],
    why="Users may name any address: it costs you a second at most, leads nowhere else, and tells nobody your key.",
)
def q5(lab, post_safely):
    """post_safely(endpoint, data, key, seconds) -> None for 2xx, else a text; no key in it."""
    with RecordingServer() as server, everything_said() as said:
        for what, endpoint, key, success in [
            ("the server answered 200", server.url("/200"), KEY, True),
            ("the server answered 204", server.url("/204"), KEY, True),
            ("the server answered 307", server.url("/307"), KEY, False),
            ("the server answered 304", server.url("/304"), KEY, False),
            ("the server answered 500, with a page that quotes the request", server.url("/500/echo"), KEY, False),
            ("nobody listens at the endpoint", f"http://127.0.0.1:{free_port()}/", KEY, False),
            ("the endpoint is no URL", "not an address", KEY, False),
            ("the key has a newline at its end, as one read from a file", server.url("/500"), KEY + "\n", False),
            ("the server never answers", server.url("/never"), KEY, False),
            ("the server answers with what is no HTTP, and quotes the request", server.url("/200/garbled"), KEY, False),
            ("the server sends a byte now and then, for ever", server.url("/200/dripping"), KEY, None),
            ("the server sends a byte of a header now and then", server.url("/200/dripping-headers"), KEY, False),
        ]:
            result = _posted(post_safely, endpoint, key, what)
            if "/elsewhere" in server.paths():
                raise Wrong("redirect", "it follows a redirect: whoever answers decides where the next request goes")
            if KEY in f"{result}{said}":
                raise Wrong("key", f"{what}, and the key is in the text, or in what it logs or prints")
            if success is not None and (result is None) != success:
                raise Wrong("status", f"{what}, and it returned {shown(result)}. None is for 2xx, and for nothing else")
            if result is not None and not (isinstance(result, str) and result.strip()):
                raise Wrong(
                    "no reason", f"{what}, and it returned {shown(result)}: a text that says why not was expected"
                )
        request = server.requests[0]
    if request.headers["Authorization"] != f"Token {KEY}" or request.body.replace(b" ", b"") != b'{"image_id":7}':
        raise Wrong("request", "the server did not get the data as JSON, with the header Authorization: Token <key>")


def _posted(post_safely, endpoint: str, key: str, what: str) -> object:
    try:
        result = attempt(post_safely, endpoint, {"image_id": 7}, key, SECONDS, timeout=PATIENCE)
    except Wrong as wrong:
        if wrong.key != "too slow":
            raise
        raise Wrong("endless", f"{what}, and with {SECONDS} seconds given it still waits after {PATIENCE}") from None
    if isinstance(result, Raised):
        raise Wrong("raised", f"{what}, and it raised {result}")
    return result
