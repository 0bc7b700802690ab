"""An HTTP server on this machine, for checks: it records what comes and answers what a path asks for.

with RecordingServer() as server:
    server.url("/503")          # answers 503; any number does
    server.url("/200/later")    # answers 200 after a moment
    server.url("/500/echo")     # answers 500 with the headers of the request in the body, as a debug page does
    server.url("/never")        # answers when the server closes
    server.url("/200/dripping") # answers 200, with a byte of the body every tenth of a second, until it closes
    server.url("/200/dripping-headers")  # the same, and what drips is a header
    server.url("/200/garbled")  # answers with the headers of the request, and not as HTTP has it
    server.requests             # what came: .method, .path, .headers, .body
"""

import threading
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOMENT = 0.2  # seconds
DRIP = 0.1  # seconds
ENDLESS = 1_000_000  # bytes


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Message  # any case of a name finds its header
    body: bytes


class RecordingServer:
    """Listens on a free port of 127.0.0.1 between `with` and its end. `content` is the body of its answers."""

    def __init__(self, content: bytes = b"{}"):
        self.requests: list[Request] = []
        self._arrived = threading.Condition()
        self._closing = threading.Event()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except ConnectionError:  # who asked did not wait for the answer
                    self.close_connection = True

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with recorder._arrived:
                    recorder.requests.append(Request(self.command, self.path, self.headers, body))
                    recorder._arrived.notify_all()
                what, _, how = self.path.partition("?")[0].strip("/").partition("/")
                if what == "never":
                    recorder._closing.wait()
                elif how == "later":
                    recorder._closing.wait(MOMENT)
                answer = bytes(self.headers) if how == "echo" else content
                status = int(what) if what.isdecimal() else 200
                if how in ("garbled", "dripping-headers"):
                    self.close_connection = True
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
                    if how == "garbled":
                        self.wfile.write(b"\r\n" + bytes(self.headers).replace(b":", b"") + b"\r\n")
                    while how == "dripping-headers" and not recorder._closing.wait(DRIP):
                        self.wfile.write(b"x")
                    return
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                length = ENDLESS if how == "dripping" else 0 if status == 204 else len(answer)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                if length == len(answer):
                    self.wfile.write(answer)
                while length == ENDLESS and not recorder._closing.wait(DRIP):
                    self.wfile.write(b" ")

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port

    def __enter__(self) -> "RecordingServer":
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def wait_for(self, path: str, timeout: float) -> bool:
        """Wait until that path was asked for. False when it was not within `timeout` seconds."""
        with self._arrived:
            return self._arrived.wait_for(lambda: path in self.paths(), timeout)

    def paths(self) -> list[str]:
        """The paths that were asked for, sorted."""
        return sorted(request.path for request in self.requests)
