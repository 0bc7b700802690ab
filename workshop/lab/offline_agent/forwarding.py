"""An endpoint: a loopback address whose requests are forwarded, as they come, to another address; and their record."""

import html
import socket
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

# These belong to one connection, not to the message: RFC 9110, section 7.6.1. Expect is answered here.
HOP_BY_HOP = {"connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
CONNECT_TIMEOUT = 10  # seconds; how long an answer may take is for the two ends to say
IDLE_CONNECTION = 1  # seconds; less than any usual server's, which would close it under the next request
CLOSE_TIMEOUT = 1  # seconds for requests under way when an endpoint closes; pyngrok waits for 4


@dataclass
class Exchange:
    """A request and its answer: no status yet means no answer yet. `duration` in nanoseconds, as in ngrok's API."""

    tunnel_name: str
    method: str
    uri: str
    headers: CIMultiDictProxy[str]
    status: int = 0
    reason: str = ""
    duration: int = 0
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    start: datetime = field(default_factory=lambda: datetime.now().astimezone())

    def described(self) -> dict:
        headers = {name: self.headers.getall(name) for name in self.headers}
        response = {"status": f"{self.status} {self.reason}", "status_code": self.status}
        return {
            "uri": f"/api/requests/http/{self.id}",
            "id": self.id,
            "tunnel_name": self.tunnel_name,
            "start": self.start.isoformat(timespec="milliseconds"),
            "duration": self.duration,
            "request": {"method": self.method, "uri": self.uri, "headers": headers},
            "response": response if self.status else None,
        }


def upstream_session() -> aiohttp.ClientSession:
    """The session for all endpoints. It adds nothing of its own to a request and keeps nothing of a response."""
    return aiohttp.ClientSession(
        # No look at certificates: ngrok's agent takes self-signed ones of a local server, too.
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION, family=socket.AF_INET, ssl=False),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT),
    )


class ForwardedResponse(web.StreamResponse):
    """Says what the application said. aiohttp would name itself, and add the Content-Type of a download."""

    async def _prepare_headers(self) -> None:
        said = {name for name in ("Content-Type", "Server") if name in self.headers}
        await super()._prepare_headers()
        for name in {"Content-Type", "Server"} - said:
            self.headers.popall(name, None)


class Endpoint:
    """`upstream` is a URL. `host_header`: what the application sees as Host; None leaves it as it came."""

    def __init__(
        self,
        name: str,
        upstream: str,
        session: aiohttp.ClientSession,
        exchanges: deque[Exchange],
        host_header: str | None = None,
    ):
        self.name = name
        self.public_url = ""
        self._upstream = upstream
        # Not by its name: a machine without any network does not resolve localhost (aiohttp asks getaddrinfo with
        # AI_ADDRCONFIG), and where it means ::1 first, Windows needs a quarter of a second to go on to Django's.
        url = URL(upstream)
        self._address = str(url.with_host("127.0.0.1") if url.host == "localhost" else url).removesuffix("/")
        self._session = session
        self._exchanges = exchanges
        self._host_header = URL(upstream).authority if host_header == "rewrite" else host_header
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=CLOSE_TIMEOUT
        )

    async def open(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.public_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        await self._runner.cleanup()

    def described(self) -> dict:
        return {
            "name": self.name,
            "uri": f"/api/endpoints/{quote(self.name, safe='')}",
            "url": self.public_url,
            "upstream": {"url": self._upstream, "protocol": "http1"},
        }

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        exchange = Exchange(self.name, request.method, request.rel_url.raw_path_qs, request.headers)
        self._exchanges.appendleft(exchange)
        started = time.perf_counter_ns()
        try:
            return await self._forward(request, exchange)
        finally:
            exchange.duration = time.perf_counter_ns() - started

    async def _forward(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        try:
            upstream = await self._session.request(
                request.method,
                URL(self._address + exchange.uri, encoded=True),
                headers=self._headers(request),
                data=request.content if request.body_exists else None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            exchange.status, exchange.reason = 502, "Bad Gateway"
            return _no_answer(self._upstream, error)
        async with upstream:
            exchange.status, exchange.reason = upstream.status, upstream.reason or ""
            response = ForwardedResponse(
                status=upstream.status, reason=upstream.reason, headers=_without_hop_by_hop(upstream.headers)
            )
            await response.prepare(request)
            try:
                async for chunk in upstream.content.iter_any():
                    await response.write(chunk)
            except aiohttp.ClientPayloadError:  # the application broke off; so must we, or half would look whole
                request.transport.abort()
            return response

    def _headers(self, request: web.Request) -> CIMultiDict[str]:
        headers = _without_hop_by_hop(request.headers)
        seen = request.headers.get("X-Forwarded-For")
        headers["X-Forwarded-For"] = f"{seen}, {request.remote}" if seen else request.remote
        headers["X-Forwarded-Proto"] = "http"
        headers["X-Forwarded-Host"] = request.host
        if self._host_header:
            headers["Host"] = self._host_header
        return headers


def _no_answer(upstream: str, error: Exception) -> web.Response:
    """The page for a request that the application did not answer; ngrok's code for it is ERR_NGROK_8012."""
    upstream = html.escape(upstream)
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>502 Bad Gateway</title>'
        "<h1>The tunnel works, but no HTTP answer comes from behind it</h1>"
        f"<p><code>{upstream}</code>: {html.escape(str(error) or type(error).__name__)}</p>"
        f"<p>Is the server running, and is it the one at <code>{upstream}</code>?</p></html>"
    )
    return web.Response(status=502, text=text, content_type="text/html", headers={"Ngrok-Error-Code": "ERR_NGROK_8012"})


def _without_hop_by_hop(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP | named)
