"""The agent API, as https://ngrok.com/docs/agent/api describes it: open, list and close endpoints, list requests.

And the page at /inspect/http, where a person reads the requests.
"""

import asyncio
import json
import logging
import sys
from collections import deque

from aiohttp import web
from yarl import URL

from .. import browser
from .forwarding import Endpoint, Exchange, upstream_session
from .page import page

KEPT_EXCHANGES = 200
# What ngrok's endpoints take (https://ngrok.com/docs/agent/config/v3). Those that choose the public address or
# describe the endpoint change nothing here: the address is this machine's.
USED = {"name", "upstream", "host_header", "url"}
WITHOUT_EFFECT = {"schemes", "domain", "hostname", "subdomain", "metadata", "description", "pooling_enabled"}
SEE_REAL = "Write NGROK_AUTHTOKEN=<your token> into .env to use the real ngrok, which does."


async def serve() -> None:
    """Serve the API on a free port of 127.0.0.1, and say so in the log lines that pyngrok waits for."""
    # What aiohttp has to say goes where pyngrok reads. On standard error it would stand in the learner's notebook.
    logging.basicConfig(stream=sys.stdout)
    async with upstream_session() as session:
        runner = web.AppRunner(Agent(session).application(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        print(f'lvl=info msg="starting web service" addr={host}:{port}')
        print('lvl=info msg="client session established"')
        print('lvl=info msg="tunnel session started"', flush=True)
        await asyncio.Event().wait()


class Agent:
    def __init__(self, session):
        self._session = session
        self._endpoints: dict[str, Endpoint] = {}
        self._exchanges: deque[Exchange] = deque(maxlen=KEPT_EXCHANGES)  # the newest first

    def application(self) -> web.Application:
        application = web.Application(middlewares=[from_this_machine_alone])
        routes = application.router
        routes.add_get("/api/endpoints", self.list_endpoints)
        routes.add_post("/api/endpoints", self.open_endpoint)
        routes.add_delete("/api/endpoints/{name}", self.close_endpoint)
        routes.add_get("/api/requests/http", self.list_requests)
        routes.add_get("/api/requests/http/{id}", self.show_request)
        routes.add_get("/", self.page)
        routes.add_get("/inspect/http", self.page)
        return application

    async def list_endpoints(self, request: web.Request) -> web.Response:
        return web.json_response({"endpoints": [endpoint.described() for endpoint in self._endpoints.values()]})

    async def open_endpoint(self, request: web.Request) -> web.Response:
        options = await request.json()
        name, upstream = options["name"], _upstream(options)
        if name in self._endpoints:
            raise refused(400, f'tunnel "{name}" already exists')
        endpoint = Endpoint(name, upstream, self._session, self._exchanges, options.get("host_header"))
        self._endpoints[name] = endpoint
        await endpoint.open()
        return web.json_response(endpoint.described(), status=201)

    async def close_endpoint(self, request: web.Request) -> web.Response:
        endpoint = self._endpoints.pop(request.match_info["name"], None)
        if endpoint is None:
            raise refused(404, f'tunnel "{request.match_info["name"]}" not found')
        await endpoint.close()
        return web.Response(status=204)

    async def list_requests(self, request: web.Request) -> web.Response:
        return web.json_response({"requests": [exchange.described() for exchange in self._exchanges]})

    async def show_request(self, request: web.Request) -> web.Response:
        for exchange in self._exchanges:
            if exchange.id == request.match_info["id"]:
                return web.json_response(exchange.described())
        raise refused(404, "request not found: it is unknown, or made room for newer ones")

    async def page(self, request: web.Request) -> web.Response:
        urls = [endpoint.public_url for endpoint in self._endpoints.values()]
        prefix = request.headers.get("X-Forwarded-Prefix", "") if browser.on_a_hub() else ""  # the proxy says it
        return web.Response(text=page(self._exchanges, urls, prefix), content_type="text/html")


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
    if request.url.host not in ("127.0.0.1", "localhost") and not browser.on_a_hub():
        raise refused(403, f"the agent answers to 127.0.0.1 and localhost, not to {request.host}")
    if request.method == "POST" and request.content_type != "application/json":
        raise refused(400, "the Content-Type must be application/json")
    return await handler(request)


def _upstream(options: dict) -> str:
    """The URL to forward to, or ngrok's error with the reason why not."""
    address = options["upstream"]["url"]
    for url in (address, options.get("url") or ""):
        if url.startswith(("tcp://", "tls://", "file://")):
            raise refused(400, f"the offline agent forwards HTTP alone, not {url}. {SEE_REAL}")
    if unknown := sorted(set(options) - USED - WITHOUT_EFFECT):
        raise refused(400, f"the offline agent does not have the option {', '.join(unknown)}. {SEE_REAL}")
    try:
        url = URL(address)
        usable = url.scheme in ("http", "https") and url.host and url.port
    except ValueError:
        usable = False
    if not usable:
        raise refused(400, f'"{address}" is no address to forward to: write a port, or http://host:port')
    return address.rstrip("/")
