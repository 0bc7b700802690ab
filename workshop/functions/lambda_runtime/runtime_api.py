"""The Lambda Runtime API, on 127.0.0.1: where a runtime client fetches events and posts results.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

One server serves one execution environment. What the runtime says arrives in `said`, a queue of Message.
"""

import json
import queue
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREFIX = "/2018-06-01/runtime"
RESPONSE_LIMIT = 6 * 1024**2  # bytes: the quota on a synchronous invocation's response
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html


@dataclass(frozen=True)
class Message:
    """`kind`: "ready" (for an event), "response", "error", "init error"; `body`: the JSON, decoded."""

    kind: str
    request_id: str = ""
    body: object = None


class RuntimeApi:
    """`address` ("127.0.0.1:port") is for AWS_LAMBDA_RUNTIME_API; `send()` answers the next request."""

    def __init__(self, function_arn: str):
        self.said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._function_arn = function_arn
        self._events: queue.SimpleQueue[tuple[str, bytes, float] | None] = queue.SimpleQueue()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},  # seconds that close() may wait
            name="runtime-api",
            daemon=True,
        ).start()

    def send(self, request_id: str, event: bytes, timeout: float) -> None:
        """Hand `event` (JSON) to the runtime; `timeout` in seconds becomes the context's remaining time."""
        self._events.put((request_id, event, timeout))

    def close(self) -> None:
        self._events.put(None)
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                if self.path != f"{PREFIX}/invocation/next":
                    return self._answer(404)
                api.said.put(Message("ready"))
                item = api._events.get()
                if item is None:  # the environment is being closed
                    self.close_connection = True
                    return None
                request_id, event, timeout = item
                return self._answer(
                    200,
                    event,
                    {
                        "Lambda-Runtime-Aws-Request-Id": request_id,
                        "Lambda-Runtime-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
                        "Lambda-Runtime-Invoked-Function-Arn": api._function_arn,
                    },
                )

            def do_POST(self):
                body = self._body()
                parts = self.path.removeprefix(PREFIX).strip("/").split("/")
                match parts:
                    case ["init", "error"]:
                        api.said.put(Message("init error", body=json.loads(body)))
                    case ["invocation", request_id, "response"] if len(body) > RESPONSE_LIMIT:
                        error = {
                            "errorMessage": f"Response payload size ({len(body)} bytes) exceeded maximum "
                            f"allowed payload size ({RESPONSE_LIMIT} bytes).",
                            "errorType": "Function.ResponseSizeTooLarge",
                        }
                        api.said.put(Message("error", request_id, error))
                        return self._answer(413)
                    case ["invocation", request_id, "response"]:
                        api.said.put(Message("response", request_id, json.loads(body)))
                    case ["invocation", request_id, "error"]:
                        api.said.put(Message("error", request_id, json.loads(body)))
                    case _:
                        return self._answer(404)
                return self._answer(202)

            def _body(self) -> bytes:
                if length := self.headers.get("Content-Length"):
                    return self.rfile.read(int(length))
                body = b""  # the client of AWS may send chunks
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _answer(self, status, body=b"", headers=None):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A killed function's connection breaks; that is told by its process, not here."""
