"""Chapter 4, Expose it with pyngrok: what its exercise asks, and how it looks at the answers."""

import contextlib
import logging
import secrets
import socket

import httpx
from pyngrok import ngrok

from .calling import Raised, attempt, call, kind
from .question import Wrong, question
from .servers import RecordingServer

LAB = {"queue": False}

TIMEOUT = 20  # seconds: the first tunnel starts an agent, and a real one calls ngrok's servers


@question(
    hints=[
        "Chapter 4 ends with the line that closes a tunnel. It must run before the function returns.",
        "ngrok.disconnect(tunnel.public_url) closes this tunnel, and no other.",
    ],
    why="A tunnel that stays open is a door to your laptop that nobody watches any more.",
)
def q1(lab, status_through_tunnel):
    """status_through_tunnel(port, path) returns the status, and its tunnel is closed; other tunnels are not."""
    with RecordingServer() as server, _another_tunnel(server.port) as (_, open_before):
        for path, status in (("/200", 200), ("/404", 404)):
            result = call(status_through_tunnel, server.port, path, timeout=TIMEOUT)
            if isinstance(result, httpx.Response):
                raise Wrong("it returned the whole answer; it should return the status, a number")
            if result != status:
                raise Wrong(f"it returned {result!r} for a page that answers {status}")
            if path not in server.paths():
                raise Wrong("the request did not reach the server at that port")
            _require_as_before(open_before)


@question(
    hints=[
        "The star lets everybody in. Name three: both local names, and the tunnel's, whose first part changes.",
        "A name that begins with a dot stands for all its subdomains. No scheme, no port, no star.",
    ],
    why="Django builds links from the Host: whoever may choose it freely can send your users elsewhere.",
)
def q2(lab, ALLOWED_HOSTS):  # noqa: N803  (Django's own name)
    """Both local names and every name under ngrok-free.app are let in, and no other."""
    hosts = ALLOWED_HOSTS
    _require_list_of_texts(hosts, "ALLOWED_HOSTS")
    if "*" in hosts:
        raise Wrong("'*' lets in everybody, whatever name they write into the header Host")
    for host in hosts:
        if "://" in host:
            raise Wrong(
                f"{host!r} has a scheme; ALLOWED_HOSTS takes names alone, and compares them with the header Host"
            )
        if "*" in host:
            raise Wrong(f"{host!r} has a star, which stands for nothing here: a leading dot stands for all subdomains")
        if ":" in host.strip("[]") and "]" not in host and host.count(":") == 1:
            raise Wrong(f"{host!r} has a port; Django takes it off the header Host before it compares")
        if "/" in host:
            raise Wrong(f"{host!r} has a path; ALLOWED_HOSTS takes names alone")
    for host, what in [
        ("abc123.ngrok-free.app", "the tunnel's name abc123.ngrok-free.app is refused with 400"),
        ("def456.ngrok-free.app", "the tunnel has another name the next time, and def456.ngrok-free.app is refused"),
        ("localhost:8000", "localhost is refused: you have locked yourself out"),
        ("127.0.0.1:8000", "127.0.0.1 is refused: you have locked yourself out"),
    ]:
        if not _is_let_in(host, hosts):
            raise Wrong(what)
    for host in ("evil.example", "any-other.app", "ngrok-free.app.evil.example", "evil-ngrok-free.app", "ngrok.io"):
        if _is_let_in(host, hosts):
            raise Wrong(f"a stranger's host is let in: {host}")


@question(
    hints=[
        "What is the first word of the address in the browser of somebody who comes through the tunnel?",
        "An origin is a scheme and a host: https://... A star in the place of the first part stands for any subdomain.",
    ],
    why="With an origin too many, another site can post a form in the name of a user who is logged in at yours.",
)
def q3(lab, CSRF_TRUSTED_ORIGINS):  # noqa: N803  (Django's own name)
    """A form that came through the tunnel is accepted under any of its names, and no other site's is."""
    origins = CSRF_TRUSTED_ORIGINS
    _require_list_of_texts(origins, "CSRF_TRUSTED_ORIGINS")
    for origin in origins:
        if "://" not in origin:
            raise Wrong(f"{origin!r} has no scheme, and Django will not start with it: an origin begins with https://")
        if origin.partition("://")[2].strip("/") == "*":
            raise Wrong(f"{origin!r} names no host; the star can only stand for the first part of one")
        if origin.partition("://")[2].startswith("."):
            raise Wrong(f"{origin!r}: the leading dot belongs to ALLOWED_HOSTS; here a star stands for any subdomain")
    accepted = {
        origin: _form_is_accepted(origin, origins)
        for origin in (
            "https://abc123.ngrok-free.app",
            "https://def456.ngrok-free.app",
            "https://evil.example",
            "https://any-other.app",
            "https://evil-ngrok-free.app",
        )
    }
    if not accepted.pop("https://abc123.ngrok-free.app"):
        if any(origin.startswith("http://") for origin in origins):
            raise Wrong(
                "a form from https://abc123.ngrok-free.app is refused with 403: the browser speaks https with ngrok, "
                "and http:// is another origin"
            )
        raise Wrong("a form from https://abc123.ngrok-free.app is refused with 403")
    if not accepted.pop("https://def456.ngrok-free.app"):
        raise Wrong(
            "the next time the tunnel has another name, and a form from https://def456.ngrok-free.app is refused"
        )
    for origin, was_accepted in accepted.items():
        if was_accepted:
            raise Wrong(f"a form of another site is accepted: {origin}")


@question(
    hints=[
        'httpx.get(agent_url + "/api/requests/http").json()["requests"] is the list. Print one entry and look at it.',
        'entry["response"] is None while there is no answer; else its "status_code" is a number. 400 and more failed.',
        "The agent has the newest first: reversed(...) turns it around.",
    ],
    why="When nothing arrives, this record tells in a minute on which side of the tunnel to look.",
)
def q4(lab, failed_requests):
    """failed_requests(agent_url): (method, path, status) of every answer of 400 and more, the oldest first."""
    with RecordingServer() as server, _another_tunnel(server.port) as (url, _), httpx.Client(timeout=TIMEOUT) as client:
        mark = f"?check={secrets.token_hex(8)}"  # the record also has what the learner did
        expected = []
        for method, path in [
            ("GET", "/200"),
            ("POST", "/401"),
            ("POST", "/201"),
            ("GET", "/302"),
            ("POST", "/400"),
            ("POST", "/503"),
            ("GET", "/404"),
        ]:
            answer = client.request(method, url + path + mark)
            if answer.status_code >= 400:
                expected.append((method, path, answer.status_code))
        agent_url = ngrok.get_ngrok_process().api_url
        with _unanswered(server, url, f"/never{mark}"):
            result = call(failed_requests, agent_url, timeout=TIMEOUT)
    found = _without_mark(result, mark)
    if not found:
        raise Wrong("there were four requests that failed, and it returned none of them")
    if any(isinstance(status, str) for _, _, status in found):
        raise Wrong(f"it returned the status {found[0][2]!r}; return the number, status_code")
    if any(path == "/never" for _, path, _ in found):
        raise Wrong("a request that has no answer yet is in the list; it has not failed")
    if extra := [status for _, _, status in found if isinstance(status, int) and status < 400]:
        raise Wrong(f"an answer {min(extra)} is in the list; a failure is 400 or more")
    if len(found) < len(expected):
        missing = [status for _, _, status in expected if status not in [entry[2] for entry in found]]
        raise Wrong(f"{len(found)} of 4 failed requests are in the list; an answer {missing[0]} is missing")
    if found == expected[::-1]:
        raise Wrong("the newest comes first, as the agent has it; the oldest should come first")
    if len(found) == len(expected) and all(entry in expected for entry in found) and found != expected:
        raise Wrong("the four are not in the order in which they were sent; the oldest should come first")
    for entry, right in zip(found, expected, strict=False):
        if entry != right:
            raise Wrong(f"an entry is {entry!r}; {right!r}, as (method, path, status), was expected")
    if len(found) > len(expected):
        raise Wrong(f"4 requests failed, and {len(found)} are in the list")


@question(
    hints=[
        "@contextmanager makes a context manager of a function: what stands before its yield happens first, what "
        "stands behind it happens last. The value after yield is what `as` gives.",
        "When the block raises, the exception comes out of the yield. try: yield ... finally: close.",
        "tunnel = ngrok.connect(port), then try: yield tunnel.public_url, finally: ngrok.disconnect(tunnel.public_url)",
    ],
    why="What a `with` opens is closed in every case, also by a test that fails and by Ctrl-C.",
)
def q5(lab, tunnel_to):
    """`with tunnel_to(port) as url:` has a tunnel inside, none after it, whatever happened; and others stay."""
    with RecordingServer() as server, _another_tunnel(server.port) as (_, open_before):
        manager = call(tunnel_to, server.port, timeout=TIMEOUT)
        if hasattr(manager, "__next__"):
            raise Wrong("it is a generator, and `with` does not take one; write @contextmanager above the function")
        if not hasattr(manager, "__enter__") or not hasattr(manager, "__exit__"):
            raise Wrong(f"tunnel_to(port) returned {kind(manager)}; `with` needs a context manager")
        url, reached, opened = _inside(manager)
        if url is None:
            raise Wrong("`as` gives None; give the public URL of the tunnel")
        if hasattr(url, "public_url"):
            raise Wrong("`as` gives the whole tunnel; give its public_url, a text")
        if not isinstance(url, str) or not url.startswith("http"):
            raise Wrong(f"`as` gives {kind(url)}; give the public URL of the tunnel, a text")
        if not reached:
            raise Wrong("inside of the block nobody answers at the URL; is the tunnel closed too early?")
        if not opened:
            raise Wrong("the URL is not that of a tunnel to this port")
        _require_as_before(open_before)

        outcome = attempt(_fail_inside, tunnel_to, server.port, timeout=TIMEOUT)
        if _urls() - open_before:
            raise Wrong("when the block raises an exception, the tunnel stays open; close it in a `finally`")
        if not isinstance(outcome, Raised):
            raise Wrong("an exception of the block disappears; the tunnel should be closed, and the exception go on")
        if not isinstance(outcome.error, _Trouble):
            raise Wrong(f"the block raised an exception of its own, and {outcome} came out instead of it")
        _require_as_before(open_before)

        def two_at_once():
            with tunnel_to(server.port) as first:
                with tunnel_to(server.port):
                    pass
                return _answers(first)

        if not call(two_at_once, timeout=TIMEOUT):
            raise Wrong("with two tunnels open at once, closing the inner one closes the outer one, too")
        _require_as_before(open_before)


class _Trouble(Exception):
    """What a block in a check raises."""


def _fail_inside(tunnel_to, port) -> None:
    with tunnel_to(port):
        raise _Trouble("something went wrong in the block")


def _inside(manager) -> tuple[object, bool, bool]:
    """What `as` gives, whether it answers, and whether it is a tunnel."""

    def use_it():
        with manager as url:
            if not isinstance(url, str):
                return url, False, False
            return url, _answers(url), url in _urls()

    use_it.__name__ = "a `with` block"
    return call(use_it, timeout=TIMEOUT)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url + "/200", timeout=TIMEOUT).status_code == 200
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


@contextlib.contextmanager
def _another_tunnel(port: int):
    """A tunnel that is open meanwhile, and the URLs of all that are. Afterwards, only what was open before is."""
    before = _urls()
    try:
        url = ngrok.connect(port).public_url
        yield url, before | {url}
    finally:
        for late in _urls() - before:
            ngrok.disconnect(late)


def _urls() -> set[str]:
    return {tunnel.public_url for tunnel in ngrok.get_tunnels()}


def _require_as_before(open_before: set[str]) -> None:
    urls = _urls()
    if open_before - urls:
        raise Wrong(
            "another tunnel, which was open before, is closed, too. ngrok.kill() closes all; close your own alone"
        )
    if urls - open_before:
        raise Wrong(
            "the tunnel is still open afterwards. ngrok.disconnect takes its public URL; given anything else, it does "
            "nothing and says nothing"
        )


@contextlib.contextmanager
def _unanswered(server: RecordingServer, url: str, path: str):
    """A request through the tunnel is under way, and has no answer."""
    host, _, port = url.partition("://")[2].rstrip("/").partition(":")
    if not port:
        yield  # a real tunnel: without this, for it has TLS
        return
    with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        server.wait_for(path, TIMEOUT)
        yield


def _without_mark(result: object, mark: str) -> list[tuple]:
    """The entries of this check."""
    if not isinstance(result, (list, tuple)):
        raise Wrong(f"it returned {kind(result)}; return a list")
    entries = []
    for entry in result:
        if not isinstance(entry, (list, tuple)) or len(entry) != 3:
            raise Wrong(f"an entry of the list is {kind(entry)}; each should be (method, path, status)")
        method, path, status = entry
        if mark in str(path):
            entries.append((method, str(path).removesuffix(mark), status))
        elif mark in str(method):
            raise Wrong("an entry has its path first; each should be (method, path, status)")
    return entries


def _require_list_of_texts(value: object, name: str) -> None:
    if isinstance(value, str):
        raise Wrong(f"{name} is one text; write a list of texts")
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise Wrong(f"{name} is not a list of texts")
    if not value:
        raise Wrong(f"{name} is empty")


def _is_let_in(host: str, allowed_hosts: list[str]) -> bool:
    from django.core.exceptions import DisallowedHost
    from django.test import RequestFactory, override_settings

    with override_settings(ALLOWED_HOSTS=list(allowed_hosts), DEBUG=False):
        try:
            RequestFactory().get("/", headers={"host": host}).get_host()
        except DisallowedHost:
            return False
    return True


def _form_is_accepted(origin: str, origins: list[str]) -> bool:
    """Get the gallery's page as a browser behind the tunnel does, and post its form from `origin`."""
    from django.test import Client, override_settings

    host = origin.partition("://")[2] if origin.endswith(".ngrok-free.app") else "abc123.ngrok-free.app"
    logger = logging.getLogger("django")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # a line for each refused form would only fill the notebook
    try:
        with override_settings(ALLOWED_HOSTS=[".ngrok-free.app"], CSRF_TRUSTED_ORIGINS=list(origins)):
            browser = Client(enforce_csrf_checks=True, headers={"host": host, "origin": origin})
            token = browser.get("/").cookies["csrftoken"].value
            return browser.post("/", {"title": "A picture", "csrfmiddlewaretoken": token}).status_code != 403
    finally:
        logger.setLevel(level)
