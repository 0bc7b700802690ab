"""lambda_handler, line by line of its contract, against real HTTP servers, well-behaved and not."""

import asyncio
import gc
import importlib.util
import json
import logging
import os
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import aiohttp
import pytest
from awslambdaric.lambda_runtime_log_utils import JsonFormatter

import lambda_function
from lambda_function import lambda_handler

KEY = "a-key-nobody-may-read"
OTHER_SECRETS = ("a-user-of-theirs", "a-password-of-theirs", "a-query-secret")
results = []  # of run(), in the test that is running


def record(message_id, body, group=None, queue="orders.fifo", **attributes):
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    queue, attributes = (queue, attributes | {"MessageGroupId": group}) if group else ("orders", attributes)
    arn = f"arn:aws:sqs:us-east-1:123456789012:{queue}"
    return {"messageId": message_id, "body": text, "attributes": attributes, "eventSourceARN": arn}


def message(*endpoints, data=None):
    return {"apps": [{"endpoint": endpoint, "key": KEY} for endpoint in endpoints], "data": data or {"image_id": 1}}


def run(*records, context=None):
    results.append(lambda_handler({"Records": list(records)}, context or with_seconds(30)))
    return results[-1]


def failed(result):
    return [failure["itemIdentifier"] for failure in result["batchItemFailures"]]


def deliveries(result):
    return json.loads(result["body"])


def bodies(receiver):
    return [json.loads(request.body) for request in receiver.requests]


def with_seconds(seconds):
    """A context whose time runs out so many seconds from now."""
    end = time.monotonic() + seconds
    return SimpleNamespace(get_remaining_time_in_millis=lambda: int((end - time.monotonic()) * 1000))


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def no_allowlist(monkeypatch):
    for name in ("ENDPOINT_ALLOWLIST", "MAX_CONCURRENCY", "DELIVERY_TIMEOUT", "AWS_LAMBDA_FUNCTION_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def foreseen_errors():
    """Lines of the level ERROR that the test looked for."""
    return []


@pytest.fixture(autouse=True)
def no_secret_is_told(caplog, foreseen_errors):
    """After every test of this file: no key, user name, password or query in any result or log line, at any level."""
    results.clear()
    caplog.set_level(logging.DEBUG)
    yield
    logged = caplog.get_records("call")
    told = json.dumps(results) + "".join(logging.Formatter().format(line) for line in logged)  # tracebacks, too
    assert [secret for secret in (KEY, *OTHER_SECRETS) if secret in told] == []
    assert [line.getMessage() for line in logged if line.levelno >= logging.ERROR] == foreseen_errors


@pytest.fixture
def cold():
    """The function in a new execution environment: the module, imported afresh."""
    spec = importlib.util.spec_from_file_location("cold_function", lambda_function.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    module.close()


class RawServer:
    """A TCP server that answers as `talk(number, connection, request)` says: for bytes that no HTTP server sends.

    `talk` is called for every request, with the connection's number, counted from 0. Returning False closes it.
    """

    def __init__(self, talk):
        self.talk = talk
        self.requests = []  # (number of the connection, head and body)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        number = 0
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._serve, args=[number, connection], daemon=True).start()
            number += 1

    def _serve(self, number, connection):
        with connection:
            while request := self._request(connection):
                self.requests.append((number, request))
                if self.talk(number, connection, request) is False:
                    return

    def _request(self, connection):
        received = b""
        try:
            while b"\r\n\r\n" not in received or not received.endswith(b"}"):
                chunk = connection.recv(65536)
                if not chunk:
                    return b""
                received += chunk
        except OSError:
            return b""
        return received

    def close(self):
        self.listener.close()
        for connection in self.open:
            connection.close()


@pytest.fixture
def raw_server():
    """raw_server(talk) -> a running RawServer."""
    servers = []

    def start(talk):
        servers.append(RawServer(talk))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def headers_of(request):
    head = request.partition(b"\r\n\r\n")[0].decode().splitlines()[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}


# What is posted, and what is returned


def test_without_a_deadline_in_the_context_it_works_too(receiver):
    assert failed(lambda_handler({"Records": [record("m-1", message(receiver.url))]}, None)) == []


def test_every_app_gets_the_data_as_json_with_its_own_key_and_the_message_id(receiver):
    apps = [{"endpoint": f"{receiver.url}/one", "key": "key-1"}, {"endpoint": f"{receiver.url}/two", "key": "key-2"}]
    run(record("m-1", {"apps": apps, "data": {"image_id": 7, "title": "Größe ✓"}}))
    assert sorted(request.path for request in receiver.requests) == ["/one", "/two"]
    for request in receiver.requests:
        assert request.method == "POST"
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["Authorization"] == {"/one": "Token key-1", "/two": "Token key-2"}[request.path]
        assert request.headers["Idempotency-Key"] == "m-1"
        assert json.loads(request.body) == {"image_id": 7, "title": "Größe ✓"}


@pytest.mark.parametrize("name", ["0", "order-7:saved", "a" * 100, '!"#~'])
def test_the_idempotency_key_is_the_messages_own_id_whatever_sqs_calls_it(receiver, name):
    for message_id in ("first-sending", "second-sending"):
        assert failed(run(record(message_id, message(receiver.url) | {"id": name}))) == []
    assert [request.headers["Idempotency-Key"] for request in receiver.requests] == [name, name]


def test_the_result_has_an_entry_for_each_delivery_and_no_failures(receiver):
    receiver.answer = 201
    result = run(record("m-1", message(f"{receiver.url}/a", f"{receiver.url}/b")), record("m-2", message(receiver.url)))
    assert result["statusCode"] == 200
    assert result["batchItemFailures"] == []
    assert deliveries(result) == [
        {"status": 201, "app": f"{receiver.url}/a"},
        {"status": 201, "app": f"{receiver.url}/b"},
        {"status": 201, "app": receiver.url},
    ]
    assert result.keys() == {"statusCode", "body", "batchItemFailures"}


def test_the_trace_header_travels_on_and_what_no_header_can_carry_does_not(receiver):
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    for n, header in enumerate([trace, "Root=1\r\nX: 1", ""]):
        assert failed(run(record(f"m-{n}", message(receiver.url), AWSTraceHeader=header))) == []
    assert [request.headers.get("X-Amzn-Trace-Id") for request in receiver.requests] == [trace, None, None]


def test_a_result_has_room_in_lambdas_six_megabytes_whatever_the_messages_are(receiver, caplog):
    app = json.dumps({"endpoint": '"', "key": "k"})
    many_apps = f'{{"data": 1, "apps": [{app}{f",{app}" * (1_000_000 // len(app))}]}}'
    long_endpoint = message(f"{receiver.url}:1/{chr(34) * 900_000}")
    long_path = message(f"http://127.0.0.1:{unused_port()}/{chr(34) * 900_000}")
    large = [record(f"large-{n}", body) for n, body in enumerate([many_apps, many_apps, long_endpoint, long_path])]
    result = run(*large, *(record(f"good-{n}", message(receiver.url)) for n in range(8)))
    assert failed(result) == ["large-0", "large-1", "large-2", "large-3"]
    assert len(json.dumps(result)) < 6 * 2**20
    (said,) = (record for record in caplog.records if "leaves out" in record.getMessage())
    assert said.args[0] == len(deliveries(result))
    assert sum(said.args) == 2 * len(json.loads(many_apps)["apps"]) + 2 + 8


def test_no_records_is_a_success():
    assert run() == {"statusCode": 200, "body": "[]", "batchItemFailures": []}


@pytest.mark.parametrize("data", [None, 0, False, "", [], {}, "text", [1, [2]], {"a": {"b": None}}, 1.5, "\ud800"])
def test_data_of_every_json_kind_is_posted_as_it_is(receiver, data):
    result = run(record("m-1", {"apps": [{"endpoint": receiver.url, "key": KEY}], "data": data}))
    assert failed(result) == []
    assert bodies(receiver) == [data]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_a_success(receiver, status):
    receiver.answer = lambda request: (status, {}, b"")
    result = run(record("m-1", message(receiver.url)))
    assert failed(result) == []
    assert deliveries(result) == [{"status": status, "app": receiver.url}]


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 409, 413, 429, 500, 503, 599])
def test_any_other_status_fails_the_message(receiver, status):
    receiver.answer = lambda request: (status, {}, b"")
    result = run(record("m-1", message(receiver.url)))
    assert failed(result) == ["m-1"]
    assert deliveries(result) == [{"status": status, "app": receiver.url, "error": f"HTTP {status}"}]


def test_a_message_fails_when_one_of_its_apps_does_and_the_others_still_get_it(receiver):
    receiver.answer = lambda request: (500 if request.path == "/bad" else 200, {}, b"{}")
    result = run(record("m-1", message(f"{receiver.url}/bad", f"{receiver.url}/good")))
    assert failed(result) == ["m-1"]
    assert [delivery["status"] for delivery in deliveries(result)] == [500, 200]
    assert sorted(request.path for request in receiver.requests) == ["/bad", "/good"]


# One bad message never touches another

NOBODY = {"endpoint": "http://127.0.0.1:9", "key": KEY}


def as_text(body, replaced=("", "")):
    return json.dumps(body).replace(*replaced)


POISON = {  # what is wrong with the body -> the body, and what the log says of it
    "no body": (None, "must be str"),
    "an empty body": ("", "Expecting value"),
    "not JSON": ("this is not JSON", "Expecting value: line 1 column 1"),
    "half of a JSON object": ('{"apps": [', "Expecting value"),
    "JSON with something behind it": ("{} {}", "Extra data"),
    "a byte order mark": ("\ufeff{}", "BOM"),
    "a list": ([1], "not a JSON object"),
    "a string": ('"text"', "not a JSON object"),
    "a number": ("7", "not a JSON object"),
    "null": ("null", "not a JSON object"),
    "an empty object": ({}, "no data"),
    "no data": ({"apps": [NOBODY]}, "no data"),
    "no apps": ({"data": {}}, "apps is not a list"),
    "apps null": ({"apps": None, "data": {}}, "apps is not a list"),
    "apps empty": ({"apps": [], "data": {}}, "apps is not a list of at least one app"),
    "apps an object": ({"apps": NOBODY, "data": {}}, "apps is not a list"),
    "apps a string": ({"apps": "http://127.0.0.1:9", "data": {}}, "apps is not a list"),
    "an app that is null": ({"apps": [None], "data": {}}, "an app is not"),
    "an app that is a string": ({"apps": ["http://127.0.0.1:9"], "data": {}}, "an app is not"),
    "an app without an endpoint": ({"apps": [{"key": KEY}], "data": {}}, "an app is not"),
    "an app without a key": ({"apps": [{"endpoint": NOBODY["endpoint"]}], "data": {}}, "an app is not"),
    "a key that is null": ({"apps": [NOBODY | {"key": None}], "data": {}}, "an app is not"),
    "a key that is a number": ({"apps": [NOBODY | {"key": 7}], "data": {}}, "an app is not"),
    "an endpoint that is a number": ({"apps": [NOBODY | {"endpoint": 7}], "data": {}}, "an app is not"),
    "a good app and a bad one": ({"apps": [NOBODY, {}], "data": {}}, "an app is not"),
    "an id that is null": ({"id": None, "apps": [NOBODY], "data": {}}, "id is not"),
    "an id that is a number": ({"id": 7, "apps": [NOBODY], "data": {}}, "id is not"),
    "an id that is empty": ({"id": "", "apps": [NOBODY], "data": {}}, "id is not"),
    "an id of 101 characters": ({"id": "a" * 101, "apps": [NOBODY], "data": {}}, "id is not"),
    "an id with a space": ({"id": "order 7", "apps": [NOBODY], "data": {}}, "id is not"),
    "an id with a new line behind it": ({"id": "order-7\n", "apps": [NOBODY], "data": {}}, "id is not"),
    "an id with an accent": ({"id": "é", "apps": [NOBODY], "data": {}}, "id is not"),
    "a key that is empty": ({"apps": [NOBODY | {"key": ""}], "data": {}}, "key is empty"),
    "a key with a new line": ({"apps": [NOBODY | {"key": KEY + "\r\nX: 1"}], "data": {}}, "a header cannot carry"),
    "a key with a zero": ({"apps": [NOBODY | {"key": KEY + "\0"}], "data": {}}, "a header cannot carry"),
    "a key with an accent": ({"apps": [NOBODY | {"key": KEY + "é"}], "data": {}}, "a header cannot carry"),
    "NaN": (as_text({"apps": [NOBODY], "data": float("nan")}), "not JSON compliant"),
    "a number too large": (as_text({"apps": [NOBODY], "data": [float("inf")]}, ("Infinity", "1e999")), "not JSON"),
    "5,000 digits": (as_text({"apps": [NOBODY], "data": "D"}, ('"D"', "1" * 5000)), "4300 digits"),
    "nested 200,000 deep": ("[" * 200_000 + "]" * 200_000, "a JSON array"),
    "data nested deep": (
        as_text({"apps": [NOBODY], "data": "D"}, ('"D"', "[" * 99_999 + "]" * 99_999)),
        "a JSON array",
    ),
}


@pytest.mark.parametrize(("poison", "reason"), POISON.values(), ids=POISON)
def test_a_poison_body_fails_alone_and_says_why_in_the_log(receiver, poison, reason, caplog):
    good = [record("good-1", message(receiver.url)), record("good-2", message(receiver.url))]
    result = run(good[0], record("poison", poison), good[1])
    assert failed(result) == ["poison"]
    assert [delivery["status"] for delivery in deliveries(result)] == [200, 200]
    assert len(receiver.requests) == 2
    [line] = [r.getMessage() for r in caplog.records if "poison" in r.getMessage()]
    assert line.startswith("Message poison will be delivered again: its body is not a message: ")
    assert reason in line


def test_nesting_that_json_can_hold_is_delivered(receiver):
    nested = []
    for _ in range(200):
        nested = [nested]
    assert failed(run(record("m-1", message(receiver.url, data=nested)))) == []
    assert bodies(receiver) == [nested]


def test_many_poison_bodies_leave_every_good_message_alone(receiver):
    records = [record(f"poison-{n}", poison) for n, poison in enumerate(poison for poison, _ in POISON.values())]
    for n in range(0, 2 * len(POISON), 2):
        records.insert(n, record(f"good-{n // 2}", message(receiver.url, data={"image_id": n})))
    result = run(*records)
    assert failed(result) == [f"poison-{n}" for n in range(len(POISON))]
    assert len(receiver.requests) == len(POISON)


def test_an_app_that_nobody_listens_at_fails_alone_and_the_error_says_so(receiver):
    nobody = f"http://127.0.0.1:{unused_port()}/x"
    result = run(record("good", message(receiver.url)), record("bad", message(nobody)))
    assert failed(result) == ["bad"]
    assert deliveries(result)[1]["status"] is None
    assert "Cannot connect to host 127.0.0.1" in deliveries(result)[1]["error"]


def test_a_host_that_does_not_exist_fails_alone(receiver):
    result = run(record("good", message(receiver.url)), record("bad", message("http://no-such-host.invalid/x")))
    assert failed(result) == ["bad"]
    assert "no-such-host.invalid" in deliveries(result)[1]["error"]


def echo(request):
    return b"X-Echo: " + headers_of(request)["authorization"].encode() + b"\r\n"


# A server's bad answer -> the error that is told
BAD_ANSWERS = {
    "closes without an answer": lambda request: b"",
    "not HTTP": lambda request: b"\x00\xff garbage \r\n\r\n",
    "another protocol": lambda request: b"SSH-2.0-OpenSSH_9.2\r\n",
    "no status": lambda request: b"HTTP/1.1 \r\n\r\n",
    "a status that is a word": lambda request: b"HTTP/1.1 fine OK\r\n\r\n",
    "a status line that quotes the key": lambda request: b"HTTP/1.1 2x0 " + echo(request) + b"\r\n",
    "half of the headers": lambda request: b"HTTP/1.1 200 OK\r\nContent-Len",
    "headers that quote the key and never end": lambda request: b"HTTP/1.1 200 OK\r\n" + echo(request),
    "informational answers only": lambda request: b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_server_that_answers_garbage_fails_alone(receiver, raw_server, answer):
    def talk(number, connection, request):
        connection.sendall(answer(request))
        return False

    result = run(record("good", message(receiver.url)), record("bad", message(raw_server(talk).url)))
    assert failed(result) == ["bad"]
    assert [delivery["status"] for delivery in deliveries(result)] == [200, None]
    assert deliveries(result)[1]["error"] in ("ServerDisconnectedError", "ClientResponseError")


ODD_ANSWERS = {  # what follows "HTTP/1.1 200 OK" -> does the connection stay open behind it?
    "a header of 9,000 bytes": (b"X: " + b"x" * 9000 + b"\r\nContent-Length: 2\r\n\r\n{}", False),
    "a thousand headers": (b"X: x\r\n" * 1000 + b"Content-Length: 2\r\n\r\n{}", False),
    "a header line that is none": (b"Token key\r\n\r\n", False),
    "a length that is a word": (b"Content-Length: two\r\n\r\n{}", False),
    "not chunked as it says": (b"Transfer-Encoding: chunked\r\n\r\nnot a length\r\n", False),
    "an encoding that nobody has": (b"Content-Encoding: br, zstd, x\r\nContent-Length: 7\r\n\r\ngarbage", False),
    "a body shorter than it says": (b"Content-Length: 1000\r\n\r\n{}", False),
    "a body longer than it says": (b"Content-Length: 2\r\n\r\n{} and more", False),
    "a body that is not gzip as it says": (b"Content-Length: 7\r\nContent-Encoding: gzip\r\n\r\ngarbage", False),
    "chunked without an end": (b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", False),
    "a body that never comes": (b"Content-Length: 1000\r\n\r\n", True),
    "a body too long, and slow": (b"Content-Length: 10000000\r\n\r\n" + b"x" * 1000, True),
}


@pytest.mark.parametrize(("sent", "stays_open"), ODD_ANSWERS.values(), ids=ODD_ANSWERS)
@pytest.mark.parametrize("status", [204, 200, 500])
def test_the_status_counts_whatever_follows_it(raw_server, monkeypatch, status, sent, stays_open):
    monkeypatch.setattr(lambda_function, "ANSWER_SECONDS", 0.1)
    over = threading.Event()

    def talk(number, connection, request):
        connection.sendall(b"HTTP/1.1 %d OK\r\n" % status + sent)
        if stays_open:
            over.wait(20)
        return False

    server = raw_server(talk)
    result = run(record("m-1", message(server.url)), context=with_seconds(20))
    over.set()
    assert failed(result) == ([] if status < 300 else ["m-1"])
    assert deliveries(result)[0]["status"] == status
    assert len(server.requests) == 1


def test_no_more_than_the_beginning_of_a_long_body_is_read(raw_server, monkeypatch):
    monkeypatch.setattr(lambda_function, "ANSWER_SECONDS", 60)
    over = threading.Event()

    def talk(number, connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 200_000)
        over.wait(20)
        return False

    result = run(record("m-1", message(raw_server(talk).url)), context=with_seconds(10))
    over.set()
    assert failed(result) == []


# All at once, but not more than MAX_CONCURRENCY


class Crowd:
    """An answer that waits until `size` requests are in hand together, and counts the most there ever were."""

    def __init__(self, size):
        self.together = threading.Barrier(size)
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __call__(self, request):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.together.wait(20)
        with self.lock:
            self.now -= 1
        return 200, {}, b"{}"


def test_records_and_apps_are_all_posted_at_once(receiver):
    receiver.answer = Crowd(12)
    result = run(*(record(f"m-{n}", message(*[receiver.url] * 3)) for n in range(4)))
    assert failed(result) == []
    assert receiver.answer.most == 12


@pytest.mark.parametrize(("setting", "limit"), [("3", 3), ("1", 1), (None, 50), ("", 50), ("0", 1)])
def test_never_more_deliveries_at_once_than_max_concurrency(receiver, monkeypatch, setting, limit):
    if setting is not None:
        monkeypatch.setenv("MAX_CONCURRENCY", setting)
    receiver.answer = Crowd(limit)
    result = run(*(record(f"m-{n}", message(*[receiver.url] * limit)) for n in range(2)))
    assert failed(result) == []
    assert len(receiver.requests) == 2 * limit
    assert receiver.answer.most == limit


# In time


@pytest.fixture
def slow(receiver):
    """The receiver, which answers /never only when the test is over."""
    over = threading.Event()
    receiver.answer = lambda request: (request.path == "/never" and over.wait(20) and 200 or 200, {}, b"{}")
    yield receiver
    over.set()


def test_what_is_not_answered_in_time_is_reported_before_the_time_is_over(slow):
    context = with_seconds(1.5)
    result = run(
        record("good", message(slow.url)),
        record("late", message(f"{slow.url}/never")),
        record("half", message(slow.url, f"{slow.url}/never")),
        context=context,
    )
    assert context.get_remaining_time_in_millis() > 0
    assert failed(result) == ["late", "half"]
    assert [delivery["status"] for delivery in deliveries(result)] == [200, None, 200, None]
    assert deliveries(result)[1]["error"] == lambda_function.NO_ANSWER


def test_what_had_to_wait_for_its_turn_until_the_end_is_reported_too(slow, monkeypatch):
    monkeypatch.setenv("MAX_CONCURRENCY", "1")
    records = [record("late", message(f"{slow.url}/never")), record("waiting", message(slow.url))]
    assert failed(run(*records, context=with_seconds(0.5))) == ["late", "waiting"]
    assert [request.path for request in slow.requests] == ["/never"]


def test_one_silent_app_holds_its_own_message_for_delivery_timeout_and_no_longer(slow, monkeypatch):
    monkeypatch.setenv("DELIVERY_TIMEOUT", "0.3")
    context = with_seconds(60)
    result = run(record("good", message(slow.url)), record("late", message(f"{slow.url}/never")), context=context)
    assert failed(result) == ["late"]
    assert deliveries(result)[1]["error"] == "no answer within 0.3 seconds"
    assert context.get_remaining_time_in_millis() > 30_000


@pytest.mark.parametrize("places", [None, "5"])
def test_messages_take_turns_so_one_with_fifty_silent_apps_fails_alone(slow, monkeypatch, places):
    if places:
        monkeypatch.setenv("MAX_CONCURRENCY", places)
    many = record("silent", message(*[f"{slow.url}/never"] * 50))
    result = run(many, *(record(f"good-{n}", message(slow.url, slow.url)) for n in range(9)), context=with_seconds(3))
    assert failed(result) == ["silent"]


def test_with_no_time_left_everything_is_reported(slow):
    assert failed(run(record("m-1", message(slow.url)), context=with_seconds(-1))) == ["m-1"]


def test_after_a_late_invocation_the_next_one_works(slow):
    run(record("late", message(f"{slow.url}/never")), context=with_seconds(0.3))
    assert failed(run(record("good", message(slow.url)), context=with_seconds(20))) == []


# FIFO


def test_the_messages_of_a_group_are_sent_in_order_one_after_the_other(receiver):
    crowd = receiver.answer = Crowd(1)
    records = [record(f"m-{n}", message(receiver.url, data={"image_id": n}), group="g") for n in range(1, 6)]
    assert failed(run(*records)) == []
    assert [body["image_id"] for body in bodies(receiver)] == [1, 2, 3, 4, 5]
    assert crowd.most == 1


def test_groups_of_a_fair_standard_queue_are_no_order_and_one_poison_message_fails_alone(receiver):
    receiver.answer = Crowd(9)
    good = [record(f"good-{n}", message(receiver.url), group="tenant", queue="orders") for n in range(9)]
    assert failed(run(record("poison", "not JSON", group="tenant", queue="orders"), *good)) == ["poison"]


def test_groups_do_not_wait_for_each_other(receiver):
    receiver.answer = Crowd(3)
    records = [record(f"m-{n}", message(receiver.url), group=f"group-{n % 3}") for n in range(6)]
    assert failed(run(*records)) == []


@pytest.mark.parametrize("why", ["refused by the app", "poison", "unreachable", "not allowed"])
def test_after_a_failure_the_rest_of_its_group_is_failed_unsent_and_other_groups_are_not(
    receiver, monkeypatch, caplog, why
):
    monkeypatch.setenv("ENDPOINT_ALLOWLIST", "127.0.0.1")
    receiver.answer = lambda request: (500 if request.path == "/bad" else 200, {}, b"{}")
    bad = {
        "refused by the app": message(f"{receiver.url}/bad"),
        "poison": "not JSON",
        "unreachable": message(f"http://127.0.0.1:{unused_port()}"),
        "not allowed": message("http://elsewhere.example"),
    }[why]
    result = run(
        record("a-1", message(f"{receiver.url}/a-1"), group="a"),
        record("b-1", message(f"{receiver.url}/b-1"), group="b"),
        record("a-2", bad, group="a"),
        record("a-3", message(f"{receiver.url}/a-3"), group="a"),
        record("b-2", message(f"{receiver.url}/b-2"), group="b"),
        record("a-4", message(f"{receiver.url}/a-4"), group="a"),
    )
    assert failed(result) == ["a-2", "a-3", "a-4"]
    for unsent in ("a-3", "a-4"):
        assert f"{unsent} will be delivered again: not sent, because an earlier message of its group" in caplog.text
    assert sorted(request.path for request in receiver.requests if request.path != "/bad") == ["/a-1", "/b-1", "/b-2"]


def test_when_the_time_is_over_the_rest_of_a_group_is_failed_unsent(slow):
    records = [record("first", message(f"{slow.url}/never"), group="g"), record("second", message(slow.url), group="g")]
    assert failed(run(*records, context=with_seconds(0.5))) == ["first", "second"]
    assert len(slow.requests) == 1


# Where it may post to


@pytest.mark.parametrize(
    "allowlist",
    ["127.0.0.1", "*", "127.*", "elsewhere.example, 127.0.0.1", " 127.0.0.1 ,,", "HTTP://127.0.0.1", "127.0.0.1:PORT"],
)
def test_an_origin_on_the_allowlist_is_posted_to_as_it_is_written(receiver, monkeypatch, allowlist):
    monkeypatch.setenv("ENDPOINT_ALLOWLIST", allowlist.replace("PORT", receiver.url.rpartition(":")[2]))
    signed = "/any/%7Epath//../%2f?X-Signature=a%2Bb/c+d==&empty=&%E2%9C%93;\"'<>[]{}|^`"
    assert failed(run(record("m-1", message(receiver.url + signed + "#fragment")))) == []
    assert [request.path for request in receiver.requests] == [signed]


@pytest.mark.parametrize(
    "allowlist",
    ["", " ", ",", "127.0.0", "127.0.0.1.example", "*.127.0.0.1", "https://127.0.0.1", "127.0.0.1:1", "[::1]", "1*:80"],
)
def test_an_origin_that_is_not_on_the_allowlist_is_not_posted_to(receiver, monkeypatch, allowlist):
    monkeypatch.setenv("ENDPOINT_ALLOWLIST", allowlist)
    result = run(record("m-1", message(receiver.url)))
    assert failed(result) == ["m-1"]
    assert deliveries(result) == [
        {"status": None, "app": receiver.url, "error": "the endpoint's host is not on ENDPOINT_ALLOWLIST"}
    ]
    assert receiver.connections == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("ENDPOINT_ALLOWLIST", entry)
            for entry in [
                "https://api.example.com/",
                "api.example.com/path",
                "api.example.com?x",
                "user@api.example.com",
                "ftp://api.example.com",
                "//api.example.com",
                "api.example.com:0",
                "api.example.com:65536",
                "api.example.com:https",
                "api.example.com:",
                "::1",
                "two hosts.example",
                "\ud800.example",
            ]
        ),
        ("MAX_CONCURRENCY", "many"),
        ("DELIVERY_TIMEOUT", "10 s"),
    ],
)
def test_a_setting_that_cannot_be_is_an_error_at_the_start(cold, monkeypatch, name, value):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "func_sqs_sync")
    monkeypatch.setenv("ENDPOINT_ALLOWLIST", "good.example")
    monkeypatch.setattr("os.environ", {**os.environ, name: f"good.example,{value}" if "LIST" in name else value})
    with pytest.raises(ValueError, match=f"{name}.*{re.escape(repr(value))}"):
        cold.__spec__.loader.exec_module(cold)


# What the allow-list "*.ngrok-free.dev,api.example.com,*.Bücher.example" makes of an endpoint, without posting
ALLOWED = [
    "https://a.ngrok-free.dev/x",
    "http://a.ngrok-free.dev:8080/x",
    "https://a.b.ngrok-free.dev",
    "HTTPS://A.NGROK-FREE.DEV/x",
    "https://api.example.com",
    "https://API.example.COM:443",
    "https://a.xn--bcher-kva.example/",
    "https://a.XN--BCHER-KVA.example/",
]
NOT_ALLOWED = [
    "https://ngrok-free.dev/",
    "https://evilngrok-free.dev/",
    "https://a.ngrok-free.dev.evil.example/",
    "https://evil.example/a.ngrok-free.dev",
    "https://evil.example?a.ngrok-free.dev",
    "https://evil.example#.ngrok-free.dev",
    "https://evil.example\\.ngrok-free.dev",
    "https://evil.example%2f.ngrok-free.dev@evil.example/",
    "https://a.ngrok-free.dev@evil.example/",
    "https://a.ngrok-free.dev:443@evil.example/",
    "https://a.ngrok-free.dev\\@evil.example/",
    "https://evil.example:a@a.ngrok-free.dev/",
    "https://:@api.example.com/",
    "https://api.example.com.evil.example/",
    "https://api.example.comm/",
    "https://xapi.example.com/",
    "https://apі.example.com/",  # a Cyrillic і
    "https://a.bucher.example/",
    "https://a.bücher.example/",  # not ASCII: what is posted to is what is written
    "https://ⓐpi.example.com/",
    "https://api。example.com/",
    "https://api.example.com/a b",
    "https://api.example.com/a\tb",
    "https://api.example.com/\r\nX: 1",
    "https://api.example.com/é",
    "https://[::1]/",
    "https://2130706433/",
    "//api.example.com/",
    "api.example.com/x",
    "ftp://api.example.com/",
    "file:///etc/passwd",
    "file://api.example.com/etc/passwd",
    "ws://api.example.com/",
    "unix:///var/run/docker.sock",
    "javascript:alert(1)",
    "https:///x",
    "https:api.example.com",
    "https://",
    "https://api.example.com:port/",
    "https://api.example.com:99999/",
    "https://[api.example.com/",
    "https://\ud800/",
    "https://" + "a" * 300_000,
    "",
    " ",
    "\0",
    "?",
]


@pytest.fixture
def posted(monkeypatch):
    """Instead of being posted, a delivery's host is noted: these hosts are on the internet."""
    hosts = []

    async def note(session, url, data, headers, response):
        hosts.append(url.raw_host)
        response["status"] = 200

    monkeypatch.setattr(lambda_function, "post", note)
    monkeypatch.setenv("ENDPOINT_ALLOWLIST", "*.ngrok-free.dev,api.example.com,*.Bücher.example")
    return hosts


@pytest.mark.parametrize("endpoint", ALLOWED)
def test_an_endpoint_whose_host_matches_a_pattern_is_allowed(posted, endpoint):
    assert failed(run(record("m-1", message(endpoint)))) == []
    [host] = posted
    assert host.lower().endswith((".ngrok-free.dev", "api.example.com", ".xn--bcher-kva.example"))


@pytest.mark.parametrize("endpoint", NOT_ALLOWED, ids=lambda endpoint: repr(endpoint[:60]))
def test_an_endpoint_that_leads_elsewhere_is_refused(posted, endpoint):
    result = run(record("m-1", message(endpoint)))
    assert failed(result) == ["m-1"]
    assert posted == []
    assert deliveries(result)[0]["error"].startswith("the endpoint")


@pytest.mark.parametrize("endpoint", ["file:///etc/passwd", "ftp://127.0.0.1/", "//127.0.0.1/", "127.0.0.1", ""])
def test_without_an_allowlist_still_only_http_and_https(endpoint):
    assert failed(run(record("m-1", message(endpoint)))) == ["m-1"]


def test_without_an_allowlist_the_log_warns_once(cold, receiver, caplog):
    for _ in range(3):
        cold.lambda_handler({"Records": [record("m-1", message(receiver.url))]}, None)
    assert len([r for r in caplog.records if "ENDPOINT_ALLOWLIST is not set" in r.getMessage()]) == 1
    assert len(receiver.requests) == 3


def test_on_lambda_without_an_allowlist_nothing_is_posted_and_one_error_tells_how_to_bring_the_messages_back(
    cold, receiver, caplog, monkeypatch, foreseen_errors
):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "func_sqs_sync")
    for n in range(3):
        result = cold.lambda_handler({"Records": [record(f"m-{n}", message(receiver.url))]}, None)
        assert "ENDPOINT_ALLOWLIST" in deliveries(result)[0]["error"]
        assert failed(result) == [f"m-{n}"]
    assert receiver.connections == 0
    [error] = [line.getMessage() for line in caplog.records if line.levelno == logging.ERROR]
    assert "ENDPOINT_ALLOWLIST" in error
    assert "start-message-move-task" in error
    foreseen_errors.append(error)


OWN = ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"]


@pytest.mark.parametrize("host", [*OWN, "169.254.169.254", "[fe80::1]"])
def test_on_lambda_no_name_leads_to_what_listens_there_itself(receiver, monkeypatch, host):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "func_sqs_sync")
    monkeypatch.setenv("ENDPOINT_ALLOWLIST", "*")
    result = run(record("m-1", message(f"http://{host}:{receiver.url.rpartition(':')[2]}/2018-06-01/runtime")))
    assert failed(result) == ["m-1"]
    assert "ENDPOINT_ALLOWLIST" in deliveries(result)[0]["error"]
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_on_lambda_an_address_of_its_own_is_posted_to_where_the_list_has_it(receiver, monkeypatch, host):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "func_sqs_sync")
    monkeypatch.setenv("ENDPOINT_ALLOWLIST", "localhost,127.0.0.1")
    assert failed(run(record("m-1", message(receiver.url.replace("127.0.0.1", host))))) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_is_a_failure(receiver, status):
    receiver.answer = lambda request: (status, {"Location": f"{receiver.url}/elsewhere"}, b"")
    result = run(record("m-1", message(f"{receiver.url}/here")))
    assert failed(result) == ["m-1"]
    assert deliveries(result)[0]["status"] == status
    assert [request.path for request in receiver.requests] == ["/here"]


# Secrets (the fixture no_secret_is_told looks after each test)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://a-user-of-theirs:a-password-of-theirs@127.0.0.1:9/x",
        "http://a-user-of-theirs@127.0.0.1:9/x",
        "http://a-user-of-theirs:a-password-of-theirs/with-a-slash@127.0.0.1:9/x",
        "http://a-user-of-theirs:a-password-of-theirs?x@127.0.0.1:9/x",
        "http:a-user-of-theirs:a-password-of-theirs@127.0.0.1:9/x",
        "http:/a-user-of-theirs:a-password-of-theirs@127.0.0.1:9/x",
        "a-user-of-theirs:a-password-of-theirs@127.0.0.1:9/x",
        "//a-user-of-theirs:a-password-of-theirs@127.0.0.1:9/x",
        "ftp://a-user-of-theirs:a-password-of-theirs@127.0.0.1:9/x",
        "http://127.0.0.1:9/x?token=a-query-secret",
        "http://127.0.0.1:9?a-query-secret",
        "http://127.0.0.1:9/x#a-query-secret",
        "http://127.0.0.1:9/x?a=1\n&b=a-query-secret",
        "http://no-such-host.invalid/x?a-query-secret",
    ],
)
def test_an_endpoints_user_name_password_and_query_are_not_told(endpoint):
    result = run(record("m-1", message(endpoint)))
    assert failed(result) == ["m-1"]
    assert deliveries(result)[0]["app"]


def test_an_endpoint_is_told_without_its_query_and_posted_to_with_it(receiver):
    result = run(record("m-1", message(f"{receiver.url}/a/b?token=a-query-secret")))
    assert deliveries(result) == [{"status": 200, "app": f"{receiver.url}/a/b"}]
    assert receiver.requests[0].path == "/a/b?token=a-query-secret"


def test_an_endpoint_cannot_write_a_log_line_of_its_own(caplog):
    run(record("m-1", message("http://127.0.0.1:9/x\n[INFO] all is well")))
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_an_answer_that_quotes_the_key_is_not_told(receiver):
    receiver.answer = lambda request: (500, {"X-Echo": request.headers["Authorization"]}, KEY.encode())
    assert failed(run(record("m-1", message(receiver.url)))) == ["m-1"]


# Warm


def test_warm_invocations_use_the_same_connection(cold, receiver):
    for n in range(5):
        cold.lambda_handler({"Records": [record(f"m-{n}", message(receiver.url))]}, None)
    assert len(receiver.requests) == 5
    assert receiver.connections == 1


def test_loop_and_session_are_made_at_the_first_use_and_kept(cold, receiver):
    assert cold._warm == []
    cold.lambda_handler({"Records": [record("m-1", message(receiver.url))]}, None)
    [first] = cold._warm
    cold.lambda_handler({"Records": [record("m-2", message(receiver.url))]}, None)
    assert cold._warm == [first]


def test_the_connection_is_kept_when_the_answer_comes_in_pieces(cold, raw_server):
    def talk(number, connection, request):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in (b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\n{}\r\n", b"0\r\n\r\n"):
            connection.sendall(part)
            time.sleep(0.02)

    server = raw_server(talk)
    for n in range(3):
        cold.lambda_handler({"Records": [record(f"m-{n}", message(server.url))]}, None)
    assert [number for number, _ in server.requests] == [0, 0, 0]


def test_a_kept_connection_that_the_app_had_closed_is_tried_once_more(cold, raw_server):
    def talk(number, connection, request):
        if number == 0 and len(server.requests) == 2:
            return False  # the second request on the first connection: gone, as after an idle timeout
        connection.sendall(OK)
        return None

    server = raw_server(talk)
    for n in range(2):
        result = cold.lambda_handler({"Records": [record(f"m-{n}", message(server.url))]}, None)
        assert failed(result) == []
    assert [number for number, _ in server.requests] == [0, 0, 1]
    keys = [headers_of(request)["idempotency-key"] for _, request in server.requests]
    assert keys == ["m-0", "m-1", "m-1"]


def test_it_is_tried_once_more_and_not_twice(cold, raw_server):
    def talk(number, connection, request):
        if len(server.requests) > 1:
            return False
        connection.sendall(OK)
        return None

    server = raw_server(talk)
    cold.lambda_handler({"Records": [record("m-0", message(server.url))]}, None)
    result = cold.lambda_handler({"Records": [record("m-1", message(server.url))]}, None)
    assert failed(result) == ["m-1"]
    assert [number for number, _ in server.requests] == [0, 0, 1]


def test_a_new_connection_that_breaks_is_not_tried_again_because_the_app_may_have_begun(raw_server):
    server = raw_server(lambda number, connection, request: False)
    assert failed(run(record("m-1", message(server.url)))) == ["m-1"]
    assert len(server.requests) == 1


def test_a_connection_that_the_app_closes_between_invocations_is_replaced(cold, raw_server):
    gone = threading.Event()

    def talk(number, connection, request):
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_RDWR)
        gone.set()
        return False

    server = raw_server(talk)
    for n in range(3):
        result = cold.lambda_handler({"Records": [record(f"m-{n}", message(server.url))]}, None)
        assert failed(result) == []
        gone.wait(10)
        gone.clear()
    assert len(server.requests) == 3


def test_cookies_of_an_app_are_never_sent(receiver):
    receiver.answer = lambda request: (200, {"Set-Cookie": "session=theirs; Path=/"}, b"{}")
    by_name = receiver.url.replace("127.0.0.1", "localhost")  # a jar would keep no cookies of an address
    for _ in range(2):
        run(record("m-1", message(by_name)))
    assert [request.headers.get("Cookie") for request in receiver.requests] == [None, None]


def test_it_can_be_called_where_an_event_loop_is_running(receiver):
    async def cell():
        return run(record("m-1", message(receiver.url)))

    assert failed(asyncio.run(cell())) == []


def test_twenty_threads_may_call_it_together(cold, receiver):
    receiver.answer = Crowd(20)
    for _ in range(2):
        with ThreadPoolExecutor(20) as threads:
            events = [{"Records": [record(f"m-{n}", message(receiver.url))]} for n in range(20)]
            assert [failed(result) for result in threads.map(cold.lambda_handler, events, [None] * 20)] == [[]] * 20
    assert receiver.connections == 20


@pytest.mark.parametrize("how", ["all", "one"])
def test_its_coroutines_work_in_the_loops_of_others_one_after_the_other(receiver, how, recwarn):
    async def elsewhere():
        one = lambda_function.Message(record("m-1", message(receiver.url)))
        if how == "all":
            await lambda_function.sync_all_app([one], seconds=20)
            return one.responses
        async with aiohttp.ClientSession() as session:
            return [await lambda_function.sync_app(session, one.apps[0], one.data, one.key)]

    delivered = [{"status": 200, "app": receiver.url}]
    assert [asyncio.run(elsewhere()) for _ in range(2)] == [delivered, delivered]
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


# The log


def test_a_record_is_one_line_whose_fields_lambdas_json_format_shows_and_the_root_logger_is_left_alone(
    receiver, caplog
):
    before = logging.getLogger().level, list(logging.getLogger().handlers)
    twice = message(receiver.url, f"{receiver.url}/b?a-query-secret") | {"id": "order-7"}
    run(record("good", twice), record("poison", "{}"))
    good, poison = (
        json.loads(JsonFormatter().format(line)) for line in caplog.records if line.name == "lambda_function"
    )
    assert (good["level"], good["message_id"], good["idempotency_key"]) == ("INFO", "good", "order-7")
    apps = [receiver.url, f"{receiver.url}/b"]
    assert good["deliveries"] == [{"status": 200, "app": app} for app in apps]
    assert (poison["level"], poison["message_id"]) == ("WARNING", "poison")
    assert (logging.getLogger().level, logging.getLogger().handlers) == before
