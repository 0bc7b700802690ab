"""A tunnel: a loopback address whose requests are forwarded, as they come, to another address."""

import html
import socket
import time
import uuid
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .inspection import Exchange, Inspector, Message
from .metrics import Meter

# These belong to one connection, not to the message: RFC 9110, section 7.6.1. Expect is answered here.
HOP_BY_HOP = {
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
CONNECT_TIMEOUT = 10  # seconds; how long an answer may take is for the two ends to say
IDLE_CONNECTION = 1  # seconds; less than any usual server's, which would close it under the next request
CLOSE_TIMEOUT = 1  # seconds for requests under way when a tunnel closes; pyngrok waits for 4


class LoopbackFirst(AbstractResolver):
    """Resolves localhost to 127.0.0.1, then ::1. Where ::1 comes first, each connection to a server that listens
    on 127.0.0.1 alone, as Django's do, would begin with a refusal; on Windows that takes a quarter of a second."""

    def __init__(self):
        self._others = aiohttp.DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family=socket.AF_INET) -> list[ResolveResult]:
        if host != "localhost":
            return await self._others.resolve(host, port, family)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
        ]

    async def close(self) -> None:
        await self._others.close()


def upstream_session() -> aiohttp.ClientSession:
    """The session for all tunnels. It adds nothing of its own to a request and keeps nothing of a response."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION, resolver=LoopbackFirst())
    return aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT),
    )


class MeteredServer(web.Server):
    """Counts its connections, too."""

    def __init__(self, handler):
        super().__init__(handler, access_log=None, handler_cancellation=True)
        self.meter = Meter()
        self._opened: dict[object, int] = {}

    def connection_made(self, handler, transport) -> None:
        super().connection_made(handler, transport)
        self._opened[handler] = time.perf_counter_ns()

    def connection_lost(self, handler, exc=None) -> None:
        super().connection_lost(handler, exc)
        self.meter.add(time.perf_counter_ns() - self._opened.pop(handler))

    def described(self) -> dict:
        closed = self.meter.described()
        return {**closed, "count": closed["count"] + len(self._opened), "gauge": len(self._opened)}


class ForwardedResponse(web.StreamResponse):
    """Says what the application said. aiohttp would add the Content-Type of a download where there was none."""

    async def _prepare_headers(self) -> None:
        said = {name for name in ("Content-Type", "Server") if name in self.headers}
        await super()._prepare_headers()
        for name in {"Content-Type", "Server"} - said:
            self.headers.popall(name, None)


class Tunnel:
    """`upstream` is a URL. `host_header`: what the application sees as Host; None leaves it as it came."""

    def __init__(
        self,
        name: str,
        upstream: str,
        session: aiohttp.ClientSession,
        inspector: Inspector | None,
        host_header: str | None = None,
    ):
        self.id = uuid.uuid4().hex
        self.name = name
        self.upstream = upstream
        self.public_url = ""
        self._host_header = host_header
        self._session = session
        self._inspector = inspector
        self._requests = Meter()
        self._server = MeteredServer(self._handle)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=CLOSE_TIMEOUT)

    async def open(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.public_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        await self._runner.cleanup()

    def described(self, kind: str) -> dict:
        """The tunnel in the words of ngrok's API, for configuration version 2 ("tunnels") and 3 ("endpoints")."""
        return {
            "name": self.name,
            "ID": self.id,
            "uri": f"/api/{kind}/{quote(self.name, safe='')}",
            "public_url": self.public_url,
            "url": self.public_url,
            "proto": "http",
            "config": {"addr": self.upstream, "inspect": self._inspector is not None},
            "upstream": {"url": self.upstream, "protocol": "http1"},
            "metrics": {"conns": self._server.described(), "http": self._requests.described()},
        }

    async def replay(self, recorded: Exchange) -> None:
        """Send a request that went through before once more, through this tunnel."""
        headers = _without_hop_by_hop(recorded.request.headers)
        headers.popall("Content-Length", None)
        async with self._session.request(
            recorded.method,
            URL(self.public_url + recorded.uri, encoded=True),
            headers=headers,
            data=bytes(recorded.request.body) or None,
            allow_redirects=False,
        ) as response:
            await response.read()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        exchange = Exchange(
            self.name,
            request.remote or "",
            request.method,
            _path(request),
            Message(f"{request.method} {request.raw_path} HTTP/1.1", request.headers),
        )
        if self._inspector:
            self._inspector.add(exchange)
        try:
            return await self._forward(request, exchange)
        finally:
            exchange.duration = time.perf_counter_ns() - exchange.started
            self._requests.add(exchange.duration)

    async def _forward(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            upstream = await self._session.request(
                request.method,
                URL(self.upstream + exchange.uri, encoded=True),
                headers=self._headers(request),
                data=_body(request, exchange.request) if request.body_exists else None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            return self._no_answer(exchange, error)
        async with upstream:
            kept = exchange.answered(upstream.status, upstream.reason or "", upstream.headers)
            response = ForwardedResponse(status=upstream.status, reason=upstream.reason)
            response.headers.extend(_without_hop_by_hop(upstream.headers))
            await response.prepare(request)
            try:
                async for chunk in upstream.content.iter_any():
                    kept.keep(chunk)
                    await response.write(chunk)
                await response.write_eof()
            except aiohttp.ClientPayloadError:  # the application broke off; so must we, or half would look whole
                request.transport.abort()
            except ConnectionError:  # the client left
                pass
            return response

    def _headers(self, request: web.BaseRequest):
        headers = _without_hop_by_hop(request.headers)
        seen = request.headers.get("X-Forwarded-For")
        headers["X-Forwarded-For"] = f"{seen}, {request.remote}" if seen else request.remote or ""
        headers["X-Forwarded-Proto"] = "http"
        headers["X-Forwarded-Host"] = request.headers.get("Host", "")
        if self._host_header:
            rewritten = URL(self.upstream).authority
            headers["Host"] = rewritten if self._host_header == "rewrite" else self._host_header
        return headers

    def _no_answer(self, exchange: Exchange, error: Exception) -> web.Response:
        """The page for a request that the application did not answer; ngrok's code for it is ERR_NGROK_8012."""
        refused = isinstance(error, aiohttp.ClientConnectorError | TimeoutError)
        what = "could not connect to" if refused else "got no usable HTTP answer from"
        reason = html.escape(str(error) or type(error).__name__)
        upstream = html.escape(self.upstream)
        text = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>502 Bad Gateway</title>'
            "<h1>The tunnel works, but nothing answers behind it</h1>"
            f"<p>The agent {what} <code>{upstream}</code>: {reason}</p>"
            f"<p>Is the server running, and is it the one at <code>{upstream}</code>?</p></html>"
        )
        response = web.Response(
            status=502, text=text, content_type="text/html", headers={"Ngrok-Error-Code": "ERR_NGROK_8012"}
        )
        exchange.answered(502, response.reason, response.headers).keep(response.body)
        return response


def _path(request: web.BaseRequest) -> str:
    """Path and query as they came, also where the request line names the whole URL, as it does for a proxy.

    Anything else ("*", "host:443", "@host") is refused: put behind the upstream's address it could change that.
    """
    target = request.raw_path
    if target.startswith(("http://", "https://")):
        target = "/" + target.partition("://")[2].partition("/")[2]
    if not target.startswith("/"):
        raise web.HTTPBadRequest(text=f"The tunnel forwards requests for a path, such as /, not for {target!r}.\n")
    return target


async def _body(request: web.BaseRequest, kept: Message) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_any():
        kept.keep(chunk)
        yield chunk


def _without_hop_by_hop(headers):
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    kept = headers.copy()
    for name in HOP_BY_HOP | named:
        kept.popall(name, None)
    return kept
