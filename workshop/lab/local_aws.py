"""The embedded AWS: moto's server as a process of its own, on a free port, with its log in a file.

    aws = LocalAws(folder)
    aws.start()
    boto3.client("sqs", endpoint_url=aws.endpoint_url)
    aws.stop()

It is a process, not a thread, because moto logs each request to stderr and because it then dies alone.
"""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from workshop.cloud.aws_account import PORT_FILE

from .processes import Child


class LocalAws:
    """A moto server. Its state lives in memory and is gone when it stops."""

    def __init__(self, folder: Path, *, env: dict[str, str] | None = None):
        self._folder = folder
        self._env = env
        self._port = 0
        self._child: Child | None = None

    def start(self) -> None:
        """Start it and wait until it listens; a second time, at the same address, empty.

        Raises ProcessFailed, quoting its log, if it does not.
        """
        port_file = self._folder / PORT_FILE
        port_file.unlink(missing_ok=True)
        self._child = Child(
            "aws", "workshop.lab.local_aws", [port_file, self._port], folder=self._folder, env=self._env
        )
        self._child.start(ready=port_file.exists)
        self._port = int(port_file.read_text(encoding="utf-8"))

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def stop(self) -> None:
        (self._folder / PORT_FILE).unlink(missing_ok=True)  # nobody looks for it any more
        if self._child:
            self._child.stop()


class ThisMachineAlone:
    """WSGI: answers to this machine's own names alone, and to no other web page.

    A page in the person's browser can send requests to 127.0.0.1, under its own name if its DNS says so, and could
    read APP_KEY in the messages.
    """

    def __init__(self, application):
        self._application = application

    def __call__(self, environ, start_response):
        if self._from_another_page(environ) or not self._is_loopback(environ.get("HTTP_HOST", "")):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"The local AWS answers to programs on this machine alone.\n"]
        return self._application(environ, start_response)

    def _from_another_page(self, environ) -> bool:
        origin = environ.get("HTTP_ORIGIN")
        site = environ.get("HTTP_SEC_FETCH_SITE", "none")
        return site not in ("none", "same-origin") or origin not in (None, f"http://{environ.get('HTTP_HOST')}")

    def _is_loopback(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname or ""
        return name in ("127.0.0.1", "::1", "localhost") or name.endswith(".localhost")


def serve(port_file: Path, port: int) -> None:
    """Serve moto on 127.0.0.1 for ever; write the port it got (a free one for 0) into `port_file`."""
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from .fifo_order import keep_order
    from .moto_speed_up import speed_up

    keep_order()
    speed_up()
    server = make_server(
        "127.0.0.1",
        port,
        ThisMachineAlone(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    half_written = port_file.with_suffix(".part")
    half_written.write_text(str(server.server_port), encoding="utf-8")
    half_written.replace(port_file)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
