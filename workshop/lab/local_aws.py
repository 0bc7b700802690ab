"""The embedded AWS: moto's server as a process of its own, on a free port, with its log in a file.

    aws = LocalAws(folder)
    aws.start()
    boto3.client("sqs", endpoint_url=aws.endpoint_url)
    aws.stop()

It is a process, not a thread, because moto logs each request to stderr and because it then dies alone.
"""

import sys
from pathlib import Path

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


def serve(port_file: Path, port: int) -> None:
    """Serve moto on 127.0.0.1 for ever; write the port it got (a free one for 0) into `port_file`."""
    sys.modules["rfc3987_syntax"] = None  # jsonschema does without it, and CloudFormation need not wait for its grammar

    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    server = make_server(
        "127.0.0.1",
        port,
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    half_written = port_file.with_suffix(".part")
    half_written.write_text(str(server.server_port), encoding="utf-8")
    half_written.replace(port_file)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
