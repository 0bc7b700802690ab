"""Stands between two parts of the pipeline, passes on what they say to each other, and misbehaves when told to.

    proxy = Proxy("http://127.0.0.1:5000")
    proxy.url                                              # for whoever is to reach that address through it
    proxy.misbehave(hang_up, to="SendMessageBatch", times=2)   # the next two of these requests, then none

A misbehaviour is a function that is given the Exchange in hand, and answers it, or does not.
"""

import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from typing import Any
from urllib.parse import urlsplit

UPSTREAM_TIMEOUT = 30  # seconds
PASSED_BY = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}  # set anew


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def changed(self, body: Any) -> "Answer":
        return Answer(self.status, self.headers, json.dumps(body).encode())


class Exchange(BaseHTTPRequestHandler):
    """A request, and the ways to answer it."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    @property
    def operation(self) -> str:
        """What is asked of AWS, "SendMessage"; of any other server, the path."""
        return self.headers.get("X-Amz-Target", self.path).rpartition(".")[2]

    def forward(self, body: bytes | None = None) -> Answer:
        """Pass the request on, with another body if one is given. Returns the answer, which nobody has seen yet."""
        body = self.body if body is None else body
        headers = {name: value for name, value in self.headers.items() if name.lower() not in PASSED_BY}
        upstream = http.client.HTTPConnection(urlsplit(self.server.proxy.upstream).netloc, timeout=UPSTREAM_TIMEOUT)
        try:
            upstream.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            response = upstream.getresponse()
            kept = {name: value for name, value in response.getheaders() if name.lower() not in PASSED_BY}
            return Answer(response.status, kept, response.read())
        finally:
            upstream.close()

    def reply(self, answer: Answer, cut: int = 0) -> None:
        """Answer, and leave out the last `cut` bytes."""
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) - cut])

    def hang_up(self) -> None:
        self.close_connection = True

    def wait(self, seconds: float) -> None:
        """Be silent for so long, or until the proxy behaves again."""
        self.server.proxy.behaves.wait(seconds)

    def handle_any(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self.server.proxy.answer(self)
        except (OSError, http.client.HTTPException):  # one of the two has gone
            self.hang_up()

    do_GET = do_POST = handle_any

    def log_message(self, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: "Proxy"

    def handle_error(self, *args: Any) -> None:
        pass  # a client that has gone is its own affair


Misbehaviour = Callable[[Exchange], None]


@dataclass
class Plan:
    how: Misbehaviour
    to: str
    skip: int
    times: float
    in_hand: int = 0


class Proxy:
    """`upstream` is where requests go, and may be changed. Serves on threads of this process until close()."""

    def __init__(self, upstream: str = ""):
        self.upstream = upstream
        self.behaves = threading.Event()
        self._plan: Plan | None = None
        self._changing = threading.Lock()
        self._server = Server(("127.0.0.1", 0), Exchange)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()

    def misbehave(self, how: Misbehaviour, *, to: str = "", skip: int = 0, times: float = inf) -> None:
        """From now on: let `skip` requests of the operation `to` pass, and answer the next ones with `how`."""
        self.behaves.clear()
        self._plan = Plan(how, to, skip, times)

    def behave(self) -> None:
        self._plan = None
        self.behaves.set()

    @property
    def done(self) -> bool:
        """Whether it has misbehaved as often as it was told to. Without a number, it is done at any time."""
        plan = self._plan
        return plan is None or plan.times == inf or not (plan.times or plan.in_hand)

    def answer(self, exchange: Exchange) -> None:
        with self._changing:
            plan = self._plan
            meant = plan is not None and plan.times and plan.to in ("", exchange.operation)
            passes = not meant or plan.skip
            if meant and plan.skip:
                plan.skip -= 1
            elif meant:
                plan.times -= 1
                plan.in_hand += 1
        if passes:
            exchange.reply(exchange.forward())
            return
        try:
            plan.how(exchange)
        finally:
            with self._changing:
                plan.in_hand -= 1

    def close(self) -> None:
        self.behave()
        self._server.shutdown()
        self._server.server_close()
