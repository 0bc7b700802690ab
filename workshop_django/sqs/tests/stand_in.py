"""A server in SQS's place, on this machine: it takes every message and keeps it, unless a test says otherwise."""

import json
import os
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock

from django.test import override_settings

Entries = list[dict[str, str]]
Answer = dict[str, Any] | tuple[int, dict[str, str], bytes]


def accepted(entries: Entries) -> Answer:
    taken = [{"Id": entry["Id"], "MessageId": f"sqs-{entry['Id']}"} for entry in entries]
    return {"Successful": taken, "MessageId": "sqs-0"}  # to a batch, and to one


def away(entries: Entries) -> Answer:
    return 503, {}, b"{}"


class StandIn:
    """`answer` makes the answer to a request of its entries; `bodies` has the messages of each request that came."""

    def __init__(self) -> None:
        self.answer: Callable[[Entries], Answer] = accepted
        self.bodies: list[list[dict[str, Any]]] = []
        self.headers: list[Any] = []
        self.end_of_silence = threading.Event()

    def silent(self, entries: Entries) -> Answer:
        """An answer that does not come."""
        self.end_of_silence.wait()
        return {}

    def respond(self, asked: dict[str, Any], headers: Any) -> Answer:
        entries = asked.get("Entries") or [{"Id": "0", "MessageBody": asked["MessageBody"]}]
        self.bodies.append([json.loads(entry["MessageBody"]) for entry in entries])
        self.headers.append(headers)
        return self.answer(entries)


class AtStandIn:
    """For a test case: the settings lead to `self.sqs`, a StandIn."""

    enterContext: Any
    addCleanup: Any

    def setUp(self) -> None:
        self.sqs = sqs = StandIn()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                answer = sqs.respond(json.loads(self.rfile.read(int(self.headers["Content-Length"]))), self.headers)
                if isinstance(answer, dict):
                    answer = 200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(answer).encode()
                status, headers, content = answer
                try:
                    self.send_response(status)
                    for name, value in (headers | {"Content-Length": str(len(content))}).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                except ConnectionError:  # nobody waits for it any more
                    self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        for last in (server.server_close, server.shutdown, sqs.end_of_silence.set):
            self.addCleanup(last)
        self.enterContext(mock.patch.dict(os.environ, AWS_ENDPOINT_URL_SQS=url, NO_PROXY="127.0.0.1"))
        self.enterContext(
            override_settings(
                SQS_BACKEND="aws",
                SQS_QUEUE_URL=f"{url}/queue",
                SQS_SEND_ON_COMMIT=True,
                OUTAGE_PAUSE=10,
                SYNC_ENDPOINTS=["https://one.example/x"],
                APP_KEY="ours",
                AWS_REGION_NAME="us-east-1",
                AWS_ACCESS_KEY_ID="testing",
                AWS_SECRET_ACCESS_KEY="testing",
                AWS_SESSION_TOKEN="",
            )
        )
