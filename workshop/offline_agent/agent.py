"""The agent API, as https://ngrok.com/docs/agent/api describes it: open, list and close tunnels, inspect requests."""

import asyncio
import json
from collections import deque
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from .forwarding import Exchange, Tunnel

KEPT_EXCHANGES = 200


async def serve() -> None:
    """Serve the API on a free port of 127.0.0.1, and say so in the log lines that pyngrok waits for."""
    async with aiohttp.ClientSession(
        auto_decompress=False, connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        agent = Agent(session)
        runner = web.AppRunner(agent.application(), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        log("starting web service", obj="web", addr=f"{host}:{port}")
        log("client session established", obj="tunnels.session")
        log("tunnel session started", obj="tunnels.session")
        await asyncio.Event().wait()


def log(message: str, **fields: str) -> None:
    """A line in ngrok's log format, on standard output."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    words = [f"t={now}", "lvl=info", f"msg={json.dumps(message)}", *(f"{k}={json.dumps(v)}" for k, v in fields.items())]
    try:
        print(" ".join(words), flush=True)
    except OSError:  # whoever read the log has gone; the guard ends this process
        pass


class Agent:
    def __init__(self, session: aiohttp.ClientSession):
        self.session = session
        self.tunnels: dict[str, Tunnel] = {}
        self.exchanges: deque[Exchange] = deque(maxlen=KEPT_EXCHANGES)

    def application(self) -> web.Application:
        application = web.Application(middlewares=[errors_as_ngrok_writes_them])
        for kind in ("tunnels", "endpoints"):  # ngrok 2 and 3 have different words for the same thing
            application.router.add_get(f"/api/{kind}", self.list_tunnels)
            application.router.add_post(f"/api/{kind}", self.open_tunnel)
            application.router.add_get(f"/api/{kind}/{{name}}", self.show_tunnel)
            application.router.add_delete(f"/api/{kind}/{{name}}", self.close_tunnel)
        application.router.add_get("/api/requests/http", self.list_requests)
        application.router.add_delete("/api/requests/http", self.forget_requests)
        application.router.add_get("/api/requests/http/{id}", self.show_request)
        application.router.add_get("/api/status", self.status)
        return application

    async def list_tunnels(self, request: web.Request) -> web.Response:
        kind = request.path.split("/")[2]
        return web.json_response({kind: [t.described(kind) for t in self.tunnels.values()], "uri": request.path})

    async def open_tunnel(self, request: web.Request) -> web.Response:
        kind = request.path.split("/")[2]
        try:
            options = await request.json()
            name = options["name"]
            address = options["upstream"]["url"] if "upstream" in options else str(options["addr"])
        except (ValueError, KeyError, TypeError):
            raise refused(400, "The tunnel needs a name and an address.") from None
        if name in self.tunnels:
            raise refused(400, f'The tunnel "{name}" exists already: choose another name, or disconnect it first.')
        if (
            options.get("proto", "http") != "http"
            or not address.startswith(("http://", "https://"))
            and ":/" in address
        ):
            raise refused(
                400, f"The offline agent forwards HTTP alone, not {address}. Real ngrok does; see .env.example."
            )
        if options.get("url", "").startswith(("tcp:", "tls:")):
            raise refused(400, "The offline agent forwards HTTP alone. Real ngrok does tcp and tls; see .env.example.")
        tunnel = Tunnel(name, upstream_url(address), self.session, self.exchanges)
        self.tunnels[name] = tunnel
        await tunnel.open()
        log("started tunnel", obj="tunnels", name=name, addr=tunnel.upstream, url=tunnel.public_url)
        return web.json_response(tunnel.described(kind), status=201)

    async def show_tunnel(self, request: web.Request) -> web.Response:
        return web.json_response(self._tunnel(request).described(request.path.split("/")[2]))

    async def close_tunnel(self, request: web.Request) -> web.Response:
        tunnel = self._tunnel(request)
        del self.tunnels[tunnel.name]
        await tunnel.close()
        return web.Response(status=204)

    async def list_requests(self, request: web.Request) -> web.Response:
        name = request.query.get("tunnel_name")
        newest_first = [e for e in reversed(self.exchanges) if name in (None, e.tunnel_name)]
        limit = int(request.query.get("limit", KEPT_EXCHANGES))
        return web.json_response({"requests": [e.described() for e in newest_first[:limit]], "uri": request.path})

    async def show_request(self, request: web.Request) -> web.Response:
        for exchange in self.exchanges:
            if exchange.id == request.match_info["id"]:
                return web.json_response(exchange.described())
        raise refused(404, "There is no such request, or it is too old.")

    async def forget_requests(self, request: web.Request) -> web.Response:
        self.exchanges.clear()
        return web.Response(status=204)

    async def status(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "online", "agent_version": "offline", "uri": "/api/status"})

    def _tunnel(self, request: web.Request) -> Tunnel:
        try:
            return self.tunnels[request.match_info["name"]]
        except KeyError:
            raise refused(404, f"There is no tunnel named {request.match_info['name']!r}.") from None


def upstream_url(address: str) -> str:
    """ngrok's ways to write an address, "8000", "host:8000" or a URL, as a URL."""
    if "://" in address:
        return address.rstrip("/")
    return f"http://localhost:{address}" if address.isdigit() else f"http://{address}"


def refused(status: int, message: str) -> web.HTTPException:
    """An error in the shape of ngrok's API, which pyngrok shows to its caller."""
    kind = web.HTTPNotFound if status == 404 else web.HTTPBadRequest
    body = {"error_code": 102, "status_code": status, "msg": message, "details": {"err": message}}
    return kind(text=json.dumps(body), content_type="application/json")


@web.middleware
async def errors_as_ngrok_writes_them(request: web.Request, handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValueError as error:
        raise refused(400, str(error)) from error
