import contextlib
import threading

import httpx
import pytest
from pyngrok import ngrok

CHAPTER = "04_expose_with_pyngrok"


def closes_its_own(port, path):
    url = ngrok.connect(port).public_url
    try:
        return httpx.get(url + path).status_code
    finally:
        ngrok.disconnect(url)


def finds_it_again(port, path):
    before = {tunnel.public_url for tunnel in ngrok.get_tunnels()}
    answer = httpx.get(ngrok.connect(port).public_url + path)
    for tunnel in ngrok.get_tunnels():
        if tunnel.public_url not in before:
            ngrok.disconnect(tunnel.public_url)
    return answer.status_code


def leaves_it_open(port, path):
    tunnel = ngrok.connect(port)
    return httpx.get(tunnel.public_url + path).status_code


def disconnects_the_object(port, path):
    tunnel = ngrok.connect(port)
    answer = httpx.get(tunnel.public_url + path)
    ngrok.disconnect(tunnel)
    return answer.status_code


def kills_the_agent(port, path):
    status = leaves_it_open(port, path)
    ngrok.kill()
    return status


def closes_all(port, path):
    status = leaves_it_open(port, path)
    for tunnel in ngrok.get_tunnels():
        ngrok.disconnect(tunnel.public_url)
    return status


def closes_too_early(port, path):
    tunnel = ngrok.connect(port)
    ngrok.disconnect(tunnel.public_url)
    return httpx.get(tunnel.public_url + path).status_code


def returns_the_answer(port, path):
    with self_closing(port) as url:
        return httpx.get(url + path)


def needs_no_tunnel(port, path):
    return 200


def is_always_200(port, path):
    with self_closing(port) as url:
        httpx.get(url + path)
        return 200


@pytest.mark.parametrize("answer", [closes_its_own, finds_it_again])
def test_q1_takes_any_way_to_close_what_was_opened(outcome, answer):
    assert outcome(1, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (leaves_it_open, "the tunnel is still open afterwards"),
        (disconnects_the_object, "ngrok.disconnect takes its public URL; given anything else, it does nothing"),
        (kills_the_agent, "another tunnel, which was open before, is closed, too. ngrok.kill() closes all"),
        (closes_all, "another tunnel, which was open before, is closed, too"),
        (closes_too_early, "closes_too_early raised ConnectError"),
        (returns_the_answer, "it returned the whole answer; it should return the status"),
        (needs_no_tunnel, "the request did not reach the server"),
        (is_always_200, "it returned 200 for a page that answers 404"),
        (8000, "a function was expected, and this is an int"),
    ],
)
def test_q1_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(1, answer)
    assert state == "wrong"
    assert because in text
    assert not ngrok.get_tunnels(), "what the answer left open is closed"


LOCAL = ["localhost", "127.0.0.1"]


@pytest.mark.parametrize(
    "answer",
    [[*LOCAL, ".ngrok-free.app"], (".ngrok-free.app", "127.0.0.1", "localhost", "[::1]"), [*LOCAL, ".NGROK-free.app"]],
)
def test_q2_takes_any_list_that_lets_the_right_hosts_in(outcome, answer):
    assert outcome(2, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        ([*LOCAL, "*"], "'*' lets in everybody"),
        ([*LOCAL, "https://*.ngrok-free.app"], "has a scheme"),
        ([*LOCAL, "*.ngrok-free.app"], "has a star, which stands for nothing here"),
        ([*LOCAL, "abc123.ngrok-free.app"], "another name the next time"),
        ([*LOCAL, "ngrok-free.app"], "the tunnel's name abc123.ngrok-free.app is refused"),
        ([".ngrok-free.app"], "localhost is refused: you have locked yourself out"),
        (["localhost", ".ngrok-free.app"], "127.0.0.1 is refused"),
        (["localhost:8000", "127.0.0.1:8000", ".ngrok-free.app"], "has a port; Django takes it off"),
        ([*LOCAL, ".ngrok-free.app/"], "has a path"),
        ([*LOCAL, ".app"], "a stranger's host is let in: any-other.app"),
        ("localhost,127.0.0.1,.ngrok-free.app", "ALLOWED_HOSTS is one text; write a list"),
        ([], "ALLOWED_HOSTS is empty"),
        ([*LOCAL, 8000], "is not a list of texts"),
    ],
)
def test_q2_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(2, answer)
    assert state == "wrong"
    assert because in text


@pytest.mark.parametrize(
    "answer",
    [
        ["https://*.ngrok-free.app"],
        ("https://*.ngrok-free.app",),
        ["https://*.ngrok-free.app", "http://localhost:8000"],
    ],
)
def test_q3_takes_any_list_that_trusts_the_right_sites(outcome, answer):
    assert outcome(3, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (["http://abc123.ngrok-free.app"], "the browser speaks https with ngrok"),
        (["https://abc123.ngrok-free.app"], "the next time the tunnel has another name"),
        (["*.ngrok-free.app"], "has no scheme, and Django will not start with it"),
        (["https://*"], "names no host"),
        (["https://.ngrok-free.app"], "the leading dot belongs to ALLOWED_HOSTS"),
        (["https://*.app"], "a form of another site is accepted: https://any-other.app"),
        (["https://*.ngrok-free.app", "https://evil.example"], "is accepted: https://evil.example"),
        (["https://ngrok-free.app"], "a form from https://abc123.ngrok-free.app is refused with 403"),
        ("https://*.ngrok-free.app", "CSRF_TRUSTED_ORIGINS is one text"),
    ],
)
def test_q3_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(3, answer)
    assert state == "wrong"
    assert because in text


def finds(
    failed=lambda response: response and response["status_code"] >= 400,
    entry=lambda request, response: (request["method"], request["uri"], response["status_code"]),
    order=reversed,
):
    """A solution, with one thing changed."""

    def failed_requests(agent_url):
        exchanges = httpx.get(f"{agent_url}/api/requests/http").json()["requests"]
        return [entry(e["request"], e["response"]) for e in order(exchanges) if failed(e["response"])]

    return failed_requests


def by_path(exchanges):
    return sorted(exchanges, key=lambda exchange: exchange["request"]["uri"])


def twice(exchanges):
    return [*reversed(exchanges), *exchanges]


def asks_for_each(agent_url):
    found = []
    client = httpx.Client(base_url=agent_url)
    for exchange in client.get("/api/requests/http").json()["requests"]:
        whole = client.get(exchange["uri"]).json()
        if whole["response"] is None or whole["response"]["status"] < "4":
            continue
        found.insert(0, [whole["request"]["method"], whole["request"]["uri"], int(whole["response"]["status"][:3])])
    return found


def asks_the_usual_port(agent_url):
    return httpx.get("http://127.0.0.1:9/api/requests/http").json()["requests"]


@pytest.mark.parametrize("answer", [finds(), asks_for_each])
def test_q4_takes_any_way_to_find_what_failed(outcome, answer):
    assert outcome(4, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (finds(failed=lambda response: response["status_code"] >= 400), "TypeError: 'NoneType' object is not"),
        (finds(order=list), "the newest comes first, as the agent has it"),
        (finds(order=by_path), "not in the order in which they were sent"),
        (finds(order=twice), "4 requests failed, and 8 are in the list"),
        (finds(failed=lambda response: response and response["status_code"] >= 300), "an answer 302 is in the list"),
        (finds(failed=lambda response: response and response["status_code"] != 200), "an answer 201 is in the list"),
        (finds(failed=lambda response: response and response["status_code"] >= 500), "1 of 4 failed requests are in"),
        (finds(failed=lambda response: response and response["status_code"] > 400), "an answer 400 is missing"),
        (
            finds(
                failed=lambda response: response is None or response["status_code"] >= 400,
                entry=lambda request, response: (
                    request["method"],
                    request["uri"],
                    response["status_code"] if response else 0,
                ),
            ),
            "a request that has no answer yet is in the list",
        ),
        (
            finds(entry=lambda request, response: (request["method"], request["uri"], response["status"])),
            "return the number",
        ),
        (finds(entry=lambda request, response: response), "an entry of the list is a dict"),
        (
            finds(entry=lambda request, response: (request["uri"], request["method"], response["status_code"])),
            "its path first",
        ),
        (
            finds(entry=lambda request, response: (request["method"].lower(), request["uri"], response["status_code"])),
            "an entry is ('post', '/401', 401); ('POST', '/401', 401)",
        ),
        (lambda agent_url: [], "it returned none of them"),
        (lambda agent_url: None, "it returned None; return a list"),
        (asks_the_usual_port, "raised ConnectError"),
    ],
)
def test_q4_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(4, answer)
    assert state == "wrong"
    assert because in text


@contextlib.contextmanager
def self_closing(port):
    tunnel = ngrok.connect(port)
    try:
        yield tunnel.public_url
    finally:
        ngrok.disconnect(tunnel.public_url)


class SelfClosing:
    def __init__(self, port):
        self.port = port

    def __enter__(self):
        self.tunnel = ngrok.connect(self.port)
        return self.tunnel.public_url

    def __exit__(self, *exception):
        ngrok.disconnect(self.tunnel.public_url)


def with_an_exit_stack(port):
    stack = contextlib.ExitStack()
    url = ngrok.connect(port).public_url
    stack.callback(ngrok.disconnect, url)
    manager = contextlib.nullcontext(url)
    manager.__class__ = type("Closing", (contextlib.nullcontext,), {"__exit__": lambda self, *exception: stack.close()})
    return manager


def a_generator(port):
    yield ngrok.connect(port).public_url


@contextlib.contextmanager
def without_finally(port):
    tunnel = ngrok.connect(port)
    yield tunnel.public_url
    ngrok.disconnect(tunnel.public_url)


@contextlib.contextmanager
def swallows(port):
    tunnel = ngrok.connect(port)
    with contextlib.suppress(Exception):
        yield tunnel.public_url
    ngrok.disconnect(tunnel.public_url)


class SwallowsByReturning(SelfClosing):
    def __exit__(self, *exception):
        super().__exit__()
        return True


@contextlib.contextmanager
def raises_another(port):
    with self_closing(port) as url:
        try:
            yield url
        except Exception as error:
            raise ValueError("the block failed") from error


@contextlib.contextmanager
def kills(port):
    try:
        yield ngrok.connect(port).public_url
    finally:
        ngrok.kill()


@contextlib.contextmanager
def gives_the_tunnel(port):
    tunnel = ngrok.connect(port)
    try:
        yield tunnel
    finally:
        ngrok.disconnect(tunnel.public_url)


@contextlib.contextmanager
def gives_nothing(port):
    with self_closing(port):
        yield


@contextlib.contextmanager
def is_closed_already(port):
    with self_closing(port) as url:
        pass
    yield url


@contextlib.contextmanager
def leads_past_the_tunnel(port):
    with self_closing(port):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def stays_open(port):
    yield ngrok.connect(port).public_url


_shared = threading.local()


@contextlib.contextmanager
def remembers_only_one(port):
    _shared.tunnel = ngrok.connect(port)
    try:
        yield _shared.tunnel.public_url
    finally:
        ngrok.disconnect(_shared.tunnel.public_url)


_open = {}


@contextlib.contextmanager
def shares_one_for_a_port(port):
    url = _open.setdefault(port, None) or ngrok.connect(port).public_url
    _open[port] = url
    try:
        yield url
    finally:
        ngrok.disconnect(url)
        _open.pop(port, None)


@pytest.mark.parametrize("answer", [self_closing, SelfClosing, with_an_exit_stack])
def test_q5_takes_any_context_manager_that_closes_in_every_case(outcome, answer):
    assert outcome(5, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (a_generator, "it is a generator, and `with` does not take one"),
        (lambda port: ngrok.connect(port).public_url, "returned a str; `with` needs a context manager"),
        (lambda port: None, "returned None; `with` needs a context manager"),
        (gives_nothing, "`as` gives None"),
        (gives_the_tunnel, "`as` gives the whole tunnel; give its public_url"),
        (is_closed_already, "is the tunnel closed too early?"),
        (leads_past_the_tunnel, "the URL is not that of a tunnel"),
        (stays_open, "the tunnel is still open afterwards"),
        (kills, "ngrok.kill() closes all; close your own alone"),
        (without_finally, "when the block raises an exception, the tunnel stays open"),
        (swallows, "an exception of the block disappears"),
        (SwallowsByReturning, "an exception of the block disappears"),
        (raises_another, "ValueError: the block failed came out instead of it"),
        (shares_one_for_a_port, "closing the inner one closes the outer one, too"),
        (remembers_only_one, "the tunnel is still open afterwards"),
    ],
)
def test_q5_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(5, answer)
    assert state == "wrong"
    assert because in text
    assert not ngrok.get_tunnels(), "what the answer left open is closed"
