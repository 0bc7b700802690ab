"""What went through the tunnels: kept for the agent API, for replays, and for the page that lists it."""

import base64
import html
import itertools
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

KEPT_EXCHANGES = 200
KEPT_BODY = 64 * 1024  # bytes: a message and its answer; of an uploaded picture only the beginning
_numbers = itertools.count(1)


class Message:
    """A request or a response: its first line, its headers, and the beginning of its body."""

    def __init__(self, first_line: str, headers):
        self.first_line = first_line
        self.headers = headers.copy()
        self.body = bytearray()
        self.complete = True

    def keep(self, chunk: bytes) -> None:
        self.body += chunk[: KEPT_BODY - len(self.body)]
        self.complete = self.complete and len(self.body) < KEPT_BODY

    def described(self) -> dict:
        lines = [self.first_line, *(f"{name}: {value}" for name, value in self.headers.items()), "", ""]
        raw = "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body
        return {
            "proto": "HTTP/1.1",
            "headers": {name: self.headers.getall(name) for name in self.headers},
            "raw": base64.b64encode(raw).decode(),
        }


@dataclass
class Exchange:
    """A request and its response, which is None until there is one. `duration` in nanoseconds, as in ngrok's API."""

    tunnel_name: str
    remote_addr: str
    method: str
    uri: str
    request: Message
    response: Message | None = None
    status: int = 0
    reason: str = ""
    duration: int = 0
    id: str = field(default_factory=lambda: f"{next(_numbers):016x}")
    start: datetime = field(default_factory=lambda: datetime.now().astimezone())
    started: int = field(default_factory=time.perf_counter_ns)

    def answered(self, status: int, reason: str, headers) -> Message:
        self.status, self.reason = status, reason
        self.response = Message(f"HTTP/1.1 {status} {reason}", headers)
        return self.response

    def described(self) -> dict:
        response = self.response and {
            "status": f"{self.status} {self.reason}".strip(),
            "status_code": self.status,
            **self.response.described(),
        }
        return {
            "uri": f"/api/requests/http/{self.id}",
            "id": self.id,
            "tunnel_name": self.tunnel_name,
            "remote_addr": self.remote_addr,
            "start": self.start.isoformat(timespec="milliseconds"),
            "duration": self.duration,
            "request": {"method": self.method, "uri": self.uri, **self.request.described()},
            "response": response,
        }


class Inspector:
    """The exchanges of all tunnels; the oldest make room for the newest."""

    def __init__(self):
        self._exchanges: deque[Exchange] = deque(maxlen=KEPT_EXCHANGES)

    def add(self, exchange: Exchange) -> None:
        self._exchanges.append(exchange)

    def newest_first(self, tunnel_name: str | None = None, limit: int = KEPT_EXCHANGES) -> list[Exchange]:
        chosen = (e for e in reversed(self._exchanges) if tunnel_name in (None, e.tunnel_name))
        return list(itertools.islice(chosen, limit))

    def get(self, exchange_id: str) -> Exchange | None:
        return next((e for e in self._exchanges if e.id == exchange_id), None)

    def clear(self) -> None:
        self._exchanges.clear()


def page(exchanges: list[Exchange], public_urls: list[str]) -> str:
    """The page at /inspect/http: the requests, newest first. Plain HTML that needs nothing else."""
    links = ", ".join(f'<a href="{html.escape(url)}">{html.escape(url)}</a>' for url in public_urls)
    rows = "".join(
        f"<tr><td>{e.start:%H:%M:%S}</td><td>{html.escape(e.method)}</td>"
        f'<td><a href="/api/requests/http/{quote(e.id)}">{html.escape(e.uri)}</a></td>'
        f"<td>{f'{e.status} {html.escape(e.reason)}' if e.response else 'no answer yet'}</td>"
        f'<td class="number">{f"{e.duration / 1e6:.1f} ms" if e.duration else ""}</td></tr>'
        for e in exchanges
    )
    table = f"<table>{TABLE_HEAD}<tbody>{rows}</tbody></table>"
    return PAGE.format(
        tunnels=f"Open tunnels: {links}" if links else "No tunnel is open.",
        requests=table if exchanges else "<p>No request has come through a tunnel yet.</p>",
    )


TABLE_HEAD = """<caption>Requests, newest first</caption>
<thead><tr><th scope="col">Time</th><th scope="col">Method</th><th scope="col">Path</th>
<th scope="col">Answer</th><th scope="col" class="number">Duration</th></tr></thead>"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Requests through the tunnel</title>
<style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }}
body {{ margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
caption {{ text-align: left; font-weight: bold }}
th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #888; overflow-wrap: anywhere }}
.number {{ text-align: right; white-space: nowrap }}
</style></head><body>
<h1>Requests through the tunnel</h1>
<p>{tunnels}</p>
{requests}
<p><a href="/inspect/http">Reload</a></p>
</body></html>
"""
