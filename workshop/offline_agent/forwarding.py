"""A tunnel: a loopback address whose requests are forwarded, as they come, to another address."""

import html
import itertools
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
from aiohttp import web
from yarl import URL

# These belong to one connection, not to the message: RFC 9110, section 7.6.1
HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10)
_numbers = itertools.count(1)


@dataclass
class Exchange:
    """A request that went through, for the inspection API. `duration` in nanoseconds, as in ngrok's."""

    tunnel_name: str
    remote_addr: str
    method: str
    uri: str
    headers: dict[str, list[str]]
    status: int = 0
    response_headers: dict[str, list[str]] = field(default_factory=dict)
    duration: int = 0
    id: str = field(default_factory=lambda: f"req_{next(_numbers)}")
    start: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    def described(self) -> dict:
        return {
            "uri": f"/api/requests/http/{self.id}",
            "id": self.id,
            "tunnel_name": self.tunnel_name,
            "remote_addr": self.remote_addr,
            "start": self.start,
            "duration": self.duration,
            "request": {"method": self.method, "proto": "HTTP/1.1", "headers": self.headers, "uri": self.uri},
            "response": {
                "status": str(self.status),
                "status_code": self.status,
                "proto": "HTTP/1.1",
                "headers": self.response_headers,
            },
        }


class Tunnel:
    def __init__(self, name: str, upstream: str, session: aiohttp.ClientSession, exchanges: deque[Exchange]):
        self.id = uuid.uuid4().hex
        self.name = name
        self.upstream = upstream
        self.public_url = ""
        self._session = session
        self._exchanges = exchanges
        self._durations: deque[int] = deque(maxlen=1000)
        self._count = 0
        self._runner: web.ServerRunner | None = None

    async def open(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._forward, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.public_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        await self._runner.cleanup()

    def described(self, kind: str) -> dict:
        """The tunnel in the words of ngrok's API, version 2 ("tunnels") and 3 ("endpoints") together."""
        durations = sorted(self._durations) or [0]
        percentiles = {f"p{p}": durations[min(len(durations) - 1, len(durations) * p // 100)] for p in (50, 90, 95, 99)}
        counts = {"count": self._count, "rate1": 0, "rate5": 0, "rate15": 0, **percentiles}
        return {
            "name": self.name,
            "ID": self.id,
            "uri": f"/api/{kind}/{self.name}",
            "public_url": self.public_url,
            "url": self.public_url,
            "proto": "http",
            "config": {"addr": self.upstream, "inspect": True},
            "upstream": {"url": self.upstream, "protocol": "http1"},
            "metrics": {"conns": {**counts, "gauge": 0}, "http": counts},
        }

    async def _forward(self, request: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter_ns()
        exchange = Exchange(self.name, request.remote or "", request.method, request.raw_path, _listed(request.headers))
        self._exchanges.append(exchange)
        self._count += 1
        try:
            response = await self._pass_on(request, exchange)
            exchange.status, exchange.response_headers = response.status, _listed(response.headers)
            return response
        finally:
            exchange.duration = time.perf_counter_ns() - started
            self._durations.append(exchange.duration)

    async def _pass_on(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        headers = _without_hop_by_hop(request.headers)
        seen = request.headers.get("X-Forwarded-For")
        headers["X-Forwarded-For"] = f"{seen}, {request.remote}" if seen else request.remote or ""
        headers["X-Forwarded-Proto"] = "http"
        headers["X-Forwarded-Host"] = request.headers.get("Host", "")
        path = request.raw_path if request.raw_path.startswith("/") else "/"
        try:
            upstream = await self._session.request(
                request.method,
                URL(self.upstream + path, encoded=True),
                headers=headers,
                data=request.content if request.body_exists else None,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                timeout=NO_TIMEOUT,
            )
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            return self._nobody_there(error)
        async with upstream:
            response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
            response.headers.extend(_without_hop_by_hop(upstream.headers))
            exchange.status = upstream.status
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    def _nobody_there(self, error: Exception) -> web.Response:
        text = (
            "<!doctype html><title>502</title><h1>The tunnel works, but nobody answers behind it</h1>"
            f"<p>The agent could not reach <code>{html.escape(self.upstream)}</code> "
            f"({html.escape(type(error).__name__)}). Is the server running, and on that port?</p>"
        )
        return web.Response(
            status=502, text=text, content_type="text/html", headers={"Ngrok-Error-Code": "ERR_NGROK_8012"}
        )


def _without_hop_by_hop(headers):
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    kept = headers.copy()
    for name in HOP_BY_HOP | named:
        kept.popall(name, None)
    return kept


def _listed(headers) -> dict[str, list[str]]:
    return {name: headers.getall(name) for name in headers}
