"""The Django project served by waitress, as a process of its own.

server = DjangoServer(folder, port=free_port(), env={"DATABASE_URL": ...})
server.start()
server.url  # http://127.0.0.1:<port>
server.stop()
"""

import http.client
from collections.abc import Callable
from pathlib import Path

from . import browser
from .processes import Child

THREADS = 8  # requests handled at once: SQLite takes one writer at a time, the rest wait for a lock
# Waitress gives a request to a thread when it is there wholly, so whoever sends half of one and waits holds no thread.
CONNECTIONS = 400  # at once; Windows' select() takes 512
SILENCE = 20  # seconds after which a connection is closed that neither brings a request nor waits for an answer


class DjangoServer:
    """`folder` keeps the log, `django.log`; `env` is added to this process's environment; the code lies in `cwd`."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        host: str = "127.0.0.1",
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ):
        self.host = host
        self.port = port
        self.folder = folder
        self._child = Child(
            "django",
            "waitress",
            [
                *("--host", host, "--port", port, "--threads", THREADS),
                *("--connection-limit", CONNECTIONS, "--channel-timeout", SILENCE, "--cleanup-interval", SILENCE),
                *(["--no-clear-untrusted-proxy-headers"] if browser.on_a_hub() else []),  # the hub's proxy says https
                "workshop_django.config.wsgi:application",
            ],
            folder=folder,
            env={**(env or {}), **browser.django_environment(port)},
            cwd=cwd,
        )

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def log_path(self) -> Path:
        return self._child.log_path

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.alive

    def start(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start it, do what can be done meanwhile, and wait until it answers.

        Raises ProcessFailed, quoting its log, if it does not.
        """
        self._child.launch()
        meanwhile()
        self._child.wait_until(self._answers)

    def stop(self) -> None:
        self._child.stop()

    def kill(self) -> None:
        """As `kill -9`."""
        self._child.kill()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()
