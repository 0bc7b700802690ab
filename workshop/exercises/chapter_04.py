"""Chapter 4, Expose it with pyngrok: what its exercise asks, and how it looks at the answers."""

import contextlib
import json
import logging

import httpx
from pyngrok import ngrok

from .calling import Raised, attempt, call, expect, kind, shown
from .question import Wrong, question
from .servers import RecordingServer

LAB = {"queue": False}

LOCAL = ("localhost", "127.0.0.1", "[::1]")
TUNNELS = ".ngrok-free.dev"
TIMEOUT = 20  # seconds: the first tunnel starts an agent, and a real one calls ngrok's servers


@question(
    hints=[
        "Chapter 4 ends with the line that closes a tunnel. It must run before the function returns.",
        "ngrok.disconnect(tunnel.public_url) closes this tunnel, and no other.",
    ],
    why="No door to your laptop stays open that nobody watches.",
)
def q1(lab, status_through_tunnel):
    """status_through_tunnel(port, path) returns the status, and its tunnel is closed; other tunnels are not."""
    with RecordingServer() as server, _another_tunnel(server.port) as open_before:
        for path, status in (("/200", 200), ("/404", 404)):
            result = call(status_through_tunnel, server.port, path, timeout=TIMEOUT)
            _require_as_before(open_before)
            expect(result, status, f"for a page that answers {status} ")
        if server.paths() != ["/200", "/404"]:
            raise Wrong(
                "not asked", f"the server at that port should be asked once for each page; it saw {server.paths()}"
            )
        itself = {f"{name}:{server.port}" for name in ("127.0.0.1", "localhost")}
        if any(request.headers.get("Host") in itself for request in server.requests):
            raise Wrong("no tunnel", "the page was asked for at the port itself; ask for it at the tunnel's public URL")


@question(
    hints=[
        "The star lets everybody in. Which three do you want, and how is the one written whose first part changes?",
        "No scheme, no port, no star: a name that begins with a dot stands for all its subdomains.",
        'Both local names, and ".ngrok-free.dev".',
    ],
    why="Nobody can have your Django believe that it is somewhere else.",
)
def q2(lab, ALLOWED_HOSTS):  # noqa: N803  (Django's own name)
    """Both local names and every name under ngrok-free.dev are let in, and no other."""
    hosts = _texts(ALLOWED_HOSTS)
    if "*" in hosts:
        raise Wrong("everybody", "'*' lets in everybody, whatever name they write into the header Host")
    if odd := [host for host in hosts if set("*/") & set(host) or host.endswith(":8000")]:
        raise Wrong("not a name", f"{odd[0]!r} is compared with a name as it is: no scheme, no port, no path, no star")
    for host in ("localhost:8000", "127.0.0.1:8000", "abc123.ngrok-free.dev", "def456.ngrok-free.dev"):
        if not _is_let_in(host, hosts):
            raise Wrong("refused", f"who comes to {host} is refused with 400")
    if strange := [host for host in hosts if host.strip(".") not in LOCAL and not host.endswith(TUNNELS)]:
        raise Wrong("a stranger", f"{strange[0]!r} lets in a host that is not yours")


@question(
    hints=[
        "What is the first word of the address in the browser of somebody who comes through the tunnel?",
        "An origin is a scheme and a host. The browser speaks HTTPS with ngrok.",
    ],
    why="People can upload, and no other site can post a form in their name.",
)
def q3(lab, CSRF_TRUSTED_ORIGINS):  # noqa: N803  (Django's own name)
    """A form that came through the tunnel is accepted under any of its names, and no other origin's is."""
    origins = _texts(CSRF_TRUSTED_ORIGINS)
    if odd := [origin for origin in origins if "://" not in origin or "://." in origin]:
        raise Wrong("no origin", f"{odd[0]!r} is no origin: that is a scheme and a host, with a star for any subdomain")
    for name in ("abc123", "def456"):
        if not _form_is_accepted(f"https://{name}.ngrok-free.dev", origins):
            raise Wrong("refused", f"a form from https://{name}.ngrok-free.dev is refused with 403")
    if plain := [origin for origin in origins if origin.startswith("http://")]:
        raise Wrong(
            "http", f"{plain[0]!r} is trusted, too: it is no https, and whoever is on the way can write such a page"
        )
    if strange := [origin for origin in origins if not origin.rstrip("/").endswith(TUNNELS)]:
        raise Wrong("a stranger", f"{strange[0]!r} is not the address of your tunnel")


@question(
    hints=[
        "Three things: which have no answer, which have failed, and which comes first.",
        "exchange['response'] is None while there is no answer. And the agent has the newest first.",
        "reversed(...) turns the list around; continue goes on with the next one.",
    ],
    why="When nothing arrives, you know in a minute on which side of the tunnel to look.",
)
def q4(lab, failed_requests):
    """failed_requests(agent_url): (method, path, status) of every answer of 400 and more, the oldest first."""
    came = [("GET", "/a", 404), ("POST", "/b", 399), ("PUT", "/c", 400), ("GET", "/d", None), ("POST", "/a", 503)]
    exchanges = [
        {
            "request": {"method": method, "uri": path, "headers": {}},
            "response": status and {"status": f"{status} ...", "status_code": status},
        }
        for method, path, status in reversed(came)
    ]
    with RecordingServer(json.dumps({"requests": exchanges}).encode()) as agent:
        found = attempt(failed_requests, agent.url(""))
        asked = agent.paths()
    if [path.partition("?")[0] for path in asked] != ["/api/requests/http"]:
        raise Wrong("not asked", f"the agent at agent_url should be asked once for its requests; it saw {asked}")
    if isinstance(found, Raised):
        raise Wrong("raised", f"a request of the record has no answer yet, and it raised {found}")
    if not isinstance(found, list):
        raise Wrong("no list", f"it returned {kind(found)}; a list was expected")
    right = [(method, path, status) for method, path, status in came if status and status >= 400]
    found = [tuple(entry) if isinstance(entry, list) else entry for entry in found]
    if found == right[::-1]:
        raise Wrong("newest first", "the newest comes first, as the agent has it")
    expect(found, right, f"for the requests {came} ")


@question(
    hints=[
        "When the block raises, the exception comes out of the yield, and the line behind it is never reached.",
        "Which part of a try statement runs in every case?",
        "try: yield tunnel.public_url, and finally: ngrok.disconnect(tunnel.public_url)",
    ],
    why="What a `with` opens is closed in every case, also by a test that fails and by Ctrl-C.",
)
def q5(lab, tunnel_to):
    """`with tunnel_to(port) as url:` has a tunnel inside, none after it, whatever happened; and others stay."""

    def block(error=None):
        with tunnel_to(server.port) as url:
            if error:
                raise error
            return url, url in _urls(), httpx.get(f"{url}/200", timeout=TIMEOUT).status_code

    with RecordingServer() as server, _another_tunnel(server.port) as open_before:
        inside = attempt(block, timeout=TIMEOUT)
        if isinstance(inside, Raised) or inside[1:] != (True, 200):
            raise Wrong("no tunnel", f"inside of the block there is no tunnel to use: {shown(inside)}")
        _require_as_before(open_before)
        for error in (ValueError("in the block"), KeyboardInterrupt()):
            outcome = attempt(block, error, timeout=TIMEOUT)
            if _urls() - open_before:
                raise Wrong("left open", f"the block raised {type(error).__name__}, and the tunnel stays open")
            if not isinstance(outcome, Raised) or outcome.error is not error:
                raise Wrong("swallowed", f"the block raised {type(error).__name__}, and that did not go on: {outcome}")
            _require_as_before(open_before)


@contextlib.contextmanager
def _another_tunnel(port: int):
    """A tunnel that is open meanwhile; gives the URLs of all that are. Afterwards, only what was open before is."""
    before = _urls()
    try:
        yield before | {ngrok.connect(port).public_url}
    finally:
        for late in _urls() - before:
            ngrok.disconnect(late)


def _urls() -> set[str]:
    return {tunnel.public_url for tunnel in ngrok.get_tunnels()}


def _require_as_before(open_before: set[str]) -> None:
    urls = _urls()
    if open_before - urls:
        raise Wrong("neighbour", "another tunnel, which was open before, is closed, too")
    if urls - open_before:
        raise Wrong(
            "still open",
            "the tunnel is still open afterwards: no line closes it, or none that is reached, or it was told to close "
            "something else than a public URL, which does nothing and says nothing",
        )


def _texts(value: object) -> list[str]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise Wrong("no list", f"a list of texts was expected, and this is {shown(value)}")
    return list(value)


def _is_let_in(host: str, allowed_hosts: list[str]) -> bool:
    from django.core.exceptions import DisallowedHost
    from django.test import RequestFactory, override_settings

    with override_settings(ALLOWED_HOSTS=allowed_hosts, DEBUG=False):
        try:
            RequestFactory().get("/", headers={"host": host}).get_host()
        except DisallowedHost:
            return False
    return True


def _form_is_accepted(origin: str, origins: list[str]) -> bool:
    """Get the gallery's page as a browser behind the tunnel does, and post its form from `origin`."""
    from django.test import Client, override_settings

    host = origin.partition("://")[2]
    logger = logging.getLogger("django")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # a line for each refused form would only fill the notebook
    try:
        with override_settings(ALLOWED_HOSTS=[".ngrok-free.dev"], CSRF_TRUSTED_ORIGINS=origins):
            browser = Client(enforce_csrf_checks=True, headers={"host": host, "origin": origin})
            token = browser.get("/").cookies["csrftoken"].value
            return browser.post("/", {"title": "A picture", "csrfmiddlewaretoken": token}).status_code != 403
    finally:
        logger.setLevel(level)
