"""The agent API, as https://ngrok.com/docs/agent/api describes it: open, list and close tunnels, inspect requests."""

import asyncio
import json
import logging
from datetime import datetime

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from . import VERSION
from .forwarding import Tunnel, upstream_session
from .inspection import KEPT_EXCHANGES, Inspector, page

# What ngrok's tunnels and endpoints take (https://ngrok.com/docs/agent/config). Those that choose the public
# address or describe the tunnel change nothing here: the address is this machine's.
USED = {"name", "addr", "proto", "upstream", "inspect", "host_header", "url"}
WITHOUT_EFFECT = {
    "schemes",
    "domain",
    "hostname",
    "subdomain",
    "metadata",
    "description",
    "bindings",
    "pooling_enabled",
}
SEE_REAL = "Write NGROK_AUTHTOKEN=<your token> into .env to use the real ngrok, which does."


async def serve() -> None:
    """Serve the API on a free port of 127.0.0.1, and say so in the log lines that pyngrok waits for."""
    handler = LogHandler(logging.WARNING)
    logging.basicConfig(
        handlers=[handler], format="%(message)s"
    )  # a stray line on stderr would show up in the learner's notebook
    async with upstream_session() as session:
        runner = web.AppRunner(Agent(session).application(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        log("starting web service", obj="web", addr=f"{host}:{port}")
        log("client session established", obj="csess")
        log("tunnel session started", obj="tunnels.session")
        await asyncio.Event().wait()


def log(message: str, lvl: str = "info", **fields: str) -> None:
    """A line in ngrok's log format, on standard output."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    words = [f"t={now}", f"lvl={lvl}", f"msg={json.dumps(message)}"]
    words += [f"{name}={json.dumps(value)}" for name, value in fields.items()]
    try:
        print(" ".join(words), flush=True)
    except OSError:  # whoever read the log has gone; the guard ends this process
        pass


class LogHandler(logging.Handler):
    """What aiohttp has to say, in ngrok's log format. pyngrok shows errors; a client that does not speak HTTP,
    such as a browser sent to https://127.0.0.1:<port>, is not one."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            log(f"bad request: {record.exc_info[1]}", obj=record.name)
        else:
            log(self.format(record), lvl="eror" if record.levelno >= logging.ERROR else "warn", obj=record.name)


class Agent:
    def __init__(self, session: aiohttp.ClientSession):
        self._session = session
        self._tunnels: dict[str, Tunnel] = {}
        self._inspector = Inspector()

    def application(self) -> web.Application:
        application = web.Application(middlewares=[from_this_machine_alone])
        routes = application.router
        for kind in ("tunnels", "endpoints"):  # configuration versions 2 and 3 have different words for the same thing
            routes.add_get(f"/api/{kind}", self.list_tunnels)
            routes.add_post(f"/api/{kind}", self.open_tunnel)
            routes.add_get(f"/api/{kind}/{{name}}", self.show_tunnel)
            routes.add_delete(f"/api/{kind}/{{name}}", self.close_tunnel)
        routes.add_get("/api/requests/http", self.list_requests)
        routes.add_post("/api/requests/http", self.replay_request)
        routes.add_delete("/api/requests/http", self.forget_requests)
        routes.add_get("/api/requests/http/{id}", self.show_request)
        routes.add_get("/api/status", self.status)
        routes.add_get("/", self.to_page)
        routes.add_get("/inspect/http", self.page)
        return application

    # Tunnels

    async def list_tunnels(self, request: web.Request) -> web.Response:
        kind = _kind(request)
        return web.json_response({kind: [t.described(kind) for t in self._tunnels.values()], "uri": f"/api/{kind}"})

    async def open_tunnel(self, request: web.Request) -> web.Response:
        options = await _json_object(request)
        name, upstream = _checked(options)
        if name in self._tunnels:
            raise refused(400, f'tunnel "{name}" already exists')
        inspector = self._inspector if options.get("inspect", True) else None
        tunnel = self._tunnels[name] = Tunnel(name, upstream, self._session, inspector, options.get("host_header"))
        await tunnel.open()
        log("started tunnel", obj="tunnels", name=name, addr=upstream, url=tunnel.public_url)
        return web.json_response(tunnel.described(_kind(request)), status=201)

    async def show_tunnel(self, request: web.Request) -> web.Response:
        return web.json_response(self._tunnel(request.match_info["name"]).described(_kind(request)))

    async def close_tunnel(self, request: web.Request) -> web.Response:
        tunnel = self._tunnel(request.match_info["name"])
        del self._tunnels[tunnel.name]
        await tunnel.close()
        log("stopped tunnel", obj="tunnels", name=tunnel.name)
        return web.Response(status=204)

    def _tunnel(self, name: str) -> Tunnel:
        if name not in self._tunnels:
            raise refused(404, f'tunnel "{name}" not found')
        return self._tunnels[name]

    # Requests

    async def list_requests(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", str(KEPT_EXCHANGES))
        if not limit.isdecimal():
            raise refused(400, "limit must be a whole number")
        exchanges = self._inspector.newest_first(request.query.get("tunnel_name"), int(limit))
        return web.json_response({"uri": "/api/requests/http", "requests": [e.described() for e in exchanges]})

    async def show_request(self, request: web.Request) -> web.Response:
        return web.json_response(self._exchange(request.match_info["id"]).described())

    async def replay_request(self, request: web.Request) -> web.Response:
        options = await _json_object(request)
        exchange = self._exchange(str(options.get("id")))
        if not exchange.request.complete:
            raise refused(400, f"request {exchange.id} is too large to have been kept whole: it cannot be replayed")
        await self._tunnel(options.get("tunnel_name") or exchange.tunnel_name).replay(exchange)
        return web.Response(status=204)

    async def forget_requests(self, request: web.Request) -> web.Response:
        self._inspector.clear()
        return web.Response(status=204)

    def _exchange(self, exchange_id: str):
        exchange = self._inspector.get(exchange_id)
        if exchange is None:
            raise refused(404, f'request "{exchange_id}" not found: it is unknown, or made room for newer ones')
        return exchange

    # The rest

    async def status(self, request: web.Request) -> web.Response:
        session = {"legs": [{"region": "offline", "latency": "0ms"}]}
        return web.json_response(
            {"status": "online", "agent_version": VERSION, "session": session, "uri": "/api/status"}
        )

    async def to_page(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/inspect/http")

    async def page(self, request: web.Request) -> web.Response:
        urls = [tunnel.public_url for tunnel in self._tunnels.values()]
        return web.Response(text=page(self._inspector.newest_first(), urls), content_type="text/html")


def refused(status: int, message: str) -> web.HTTPException:
    """An error in the shape of ngrok's API, which pyngrok shows to its caller."""
    kind = {400: web.HTTPBadRequest, 403: web.HTTPForbidden, 404: web.HTTPNotFound}[status]
    words = {400: "invalid tunnel configuration", 403: "forbidden", 404: "not found"}[status]
    body = {"error_code": 102, "status_code": status, "msg": words, "details": {"err": message}}
    return kind(text=json.dumps(body), content_type="application/json")


@web.middleware
async def from_this_machine_alone(request: web.Request, handler) -> web.StreamResponse:
    """A page in the person's browser may send requests here, too: not under a name of its own (DNS rebinding),
    and nothing that changes anything, for a form cannot send JSON nor a DELETE."""
    if request.url.host not in ("127.0.0.1", "localhost"):
        raise refused(403, f"the agent answers to 127.0.0.1 and localhost, not to {request.host}")
    if request.method == "POST" and request.content_type != "application/json":
        raise refused(400, "the Content-Type must be application/json")
    return await handler(request)


def _kind(request: web.Request) -> str:
    return request.path.split("/")[2]


async def _json_object(request: web.Request) -> dict:
    try:
        options = await request.json()
    except ValueError:
        raise refused(400, "the body is not JSON") from None
    if not isinstance(options, dict):
        raise refused(400, "the body is not a JSON object")
    return options


def _checked(options: dict) -> tuple[str, str]:
    """The name and the upstream URL of the tunnel asked for, or ngrok's error with the reason why not."""
    name, upstream = options.get("name"), options.get("upstream")
    address = upstream.get("url") if isinstance(upstream, dict) else upstream or options.get("addr")
    if not name or not isinstance(name, str):
        raise refused(400, "the tunnel needs a name")
    if not address:
        raise refused(400, "the tunnel needs an address to forward to: addr, or upstream.url")
    address = str(address)
    schemes = {text.partition(":")[0] for text in (address, str(options.get("url")), str(options.get("proto")))}
    if schemes & {"tcp", "tls", "file"}:
        raise refused(400, f"the offline agent forwards HTTP alone, not {options.get('url') or address}. {SEE_REAL}")
    unknown = sorted(set(options) - USED - WITHOUT_EFFECT)
    if unknown:
        raise refused(400, f"the offline agent does not have the option {', '.join(unknown)}. {SEE_REAL}")
    try:
        url = URL(_upstream_url(address))
        usable = url.scheme in ("http", "https") and url.host and url.port
    except ValueError:
        usable = False
    if not usable:
        raise refused(400, f'"{address}" is no address to forward to: write a port, host:port, or http://host:port')
    return name, str(url).rstrip("/")


def _upstream_url(address: str) -> str:
    """ngrok's ways to write an address, "8000", "host:8000" or a URL, as a URL."""
    if "://" in address:
        return address
    return f"http://localhost:{address}" if address.isdecimal() else f"http://{address}"
