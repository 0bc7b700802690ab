"""The offline agent, driven by pyngrok's own API and by plain HTTP, in front of small real servers."""

import asyncio
import base64
import gzip
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psutil
import pytest
from pyngrok import agent, aio, installer, ngrok
from pyngrok.exception import PyngrokNgrokError, PyngrokNgrokHTTPError

from workshop.lab import tunnel

TEN_MEGABYTES = os.urandom(10 * 1024 * 1024)


class Application(BaseHTTPRequestHandler):
    """Answers with what it saw, or as its path says."""

    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024  # one packet an answer
    timeout = 20

    def do_GET(self):
        match urlsplit(self.path).path:
            case "/picture":
                self.answer(200, TEN_MEGABYTES, {"Content-Type": "image/png"})
            case "/compressed":
                self.answer(200, gzip.compress(b"hello"), {"Content-Encoding": "gzip"})
            case "/redirect":
                self.answer(302, b"", {"Location": "/elsewhere", "Set-Cookie": "a=1"})
            case "/not-modified":
                self.send_response(304)
                self.end_headers()
            case "/chunked":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"5\r\nhello\r\n")
                self.wfile.flush()
                self.server.go_on.wait(10)
                self.wfile.write(b"6\r\n world\r\n0\r\n\r\n")
            case "/until-the-client-leaves":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"hello")
                self.wfile.flush()
                if self.connection.recv(1) == b"":
                    self.server.client_left.set()
                self.close_connection = True
            case "/breaks-off":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"4\r\nhalf\r\n")
                self.close_connection = True
            case "/no-http":
                self.wfile.write(b"220 mail server ready\r\n\r\n")
                self.close_connection = True
            case "/foreign-host-refused" if not self.headers["Host"].startswith("127.0.0.1"):
                self.answer(400, b"DisallowedHost")
            case "/together":
                self.server.together.wait(10)  # goes on when all of them are here
                self.answer(200, b"together")
            case _:
                self.answer(200, json.dumps({"path": self.path, "headers": dict(self.headers)}).encode())

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "12345")
        self.end_headers()

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        seen = {"length": len(body), "sha256": hashlib.sha256(body).hexdigest(), "path": self.path}
        self.server.posted.append(seen)
        self.answer(200, json.dumps(seen).encode())

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Application)
        self.posted = []
        self.go_on = threading.Event()
        self.client_left = threading.Event()
        self.together = threading.Barrier(50)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def application():
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """pyngrok pointed at the offline agent; a download would fail the test."""
    with pytest.MonkeyPatch.context() as patch:

        def download(*args, **kwargs):
            raise AssertionError("pyngrok tried to download ngrok")

        patch.setattr(installer, "_download_file", download)
        tunnel.configure(tmp_path_factory.mktemp("tunnel"), None)
        yield
        tunnel.restore()


@pytest.fixture
def public_url(offline, application):
    opened = ngrok.connect(application.server_port).public_url
    yield opened
    ngrok.disconnect(opened)


@pytest.fixture
def connection(public_url):
    connection = http.client.HTTPConnection(urlsplit(public_url).netloc, timeout=20)
    yield connection
    connection.close()


def get_json(url, headers=None):
    with urlopen(Request(url, headers=headers or {})) as response:
        return json.load(response)


# pyngrok's API


def test_connect_forwards_a_loopback_address_to_the_port(offline, application):
    opened = ngrok.connect(application.server_port)
    assert urlsplit(opened.public_url).scheme == "http"
    assert urlsplit(opened.public_url).hostname == "127.0.0.1"
    assert get_json(f"{opened.public_url}/a%2Fb%7e?c=%20d&e")["path"] == "/a%2Fb%7e?c=%20d&e"
    assert opened.upstream["url"] == f"http://localhost:{application.server_port}"
    ngrok.disconnect(opened.public_url)


@pytest.mark.parametrize("options", [{"bind_tls": True}, {"schemes": ["https"]}, {"schemes": ["http", "https"]}])
def test_connect_takes_the_options_that_choose_a_scheme(offline, application, options):
    opened = ngrok.connect(application.server_port, name="with options", **options)
    assert opened.name == "with options"
    assert get_json(opened.public_url)["path"] == "/"
    ngrok.disconnect(opened.public_url)


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "http://localhost:{}", "http://127.0.0.1:{}/"])
def test_an_address_may_be_written_in_ngroks_ways(offline, application, address):
    address = address.format(application.server_port)
    if "://" not in address:
        opened = ngrok.connect(name="written", upstream={"url": address})
    else:
        opened = ngrok.connect(address)
    assert get_json(f"{opened.public_url}/x")["path"] == "/x"
    opened.refresh_metrics()
    ngrok.disconnect(opened.public_url)
    assert opened.public_url not in [t.public_url for t in ngrok.get_tunnels()]


def test_two_tunnels_at_once_lead_to_their_own_applications(offline, application):
    other = Server()
    first, second = ngrok.connect(application.server_port), ngrok.connect(other.server_port)
    assert {first.public_url, second.public_url} <= {t.public_url for t in ngrok.get_tunnels()}
    assert len({first.public_url, second.public_url}) == 2
    other.shutdown()
    other.server_close()
    assert get_json(first.public_url)["path"] == "/"
    with pytest.raises(HTTPError, match="502"):
        urlopen(second.public_url)
    ngrok.disconnect(first.public_url)
    ngrok.disconnect(second.public_url)


def test_connecting_twice_to_one_port_gives_two_tunnels(offline, application):
    first, second = ngrok.connect(application.server_port), ngrok.connect(application.server_port)
    ngrok.disconnect(first.public_url)
    assert get_json(second.public_url)["path"] == "/"
    ngrok.disconnect(second.public_url)


def test_a_name_in_use_is_refused_as_ngrok_refuses_it(offline, application):
    opened = ngrok.connect(application.server_port, name="taken")
    with pytest.raises(PyngrokNgrokHTTPError) as refusal:
        ngrok.connect(application.server_port, name="taken")
    assert refusal.value.status_code == 400
    # ngrok's own answer, from https://github.com/bubenshchykov/ngrok/issues/331
    assert json.loads(refusal.value.body) == {
        "error_code": 102,
        "status_code": 400,
        "msg": "invalid tunnel configuration",
        "details": {"err": 'tunnel "taken" already exists'},
    }
    ngrok.disconnect(opened.public_url)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"addr": "22", "proto": "tcp"}, "forwards HTTP alone"),
        ({"addr": "443", "proto": "tls"}, "forwards HTTP alone"),
        ({"addr": "file:///tmp"}, "forwards HTTP alone"),
        ({"addr": "8000", "url": "tcp://1.tcp.ngrok.io:2000"}, "forwards HTTP alone"),
        ({"addr": "8000", "auth": "user:password"}, "does not have the option basic_auth"),
        ({"addr": "99999"}, "is no address to forward to"),
        ({"addr": "http://"}, "is no address to forward to"),
    ],
)
def test_what_the_offline_agent_cannot_do_is_refused_with_a_reason(offline, arguments, reason):
    with pytest.raises(PyngrokNgrokHTTPError, match=reason) as refusal:
        ngrok.connect(**arguments)
    assert refusal.value.status_code == 400


def test_disconnect_ends_a_tunnel_while_a_request_is_under_way(offline, application):
    opened = ngrok.connect(application.server_port)
    with urlopen(f"{opened.public_url}/chunked") as response:
        assert response.read(5) == b"hello"
        ngrok.disconnect(opened.public_url)  # pyngrok would give up after 4 s
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
    application.go_on.set()
    assert ngrok.get_tunnels() == []


def test_disconnected_the_address_answers_no_more(offline, application):
    opened = ngrok.connect(application.server_port)
    ngrok.disconnect(opened.public_url)
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(urlsplit(opened.public_url).netloc).connect()


def test_kill_ends_the_agent_and_connect_starts_another(offline, application):
    first = ngrok.connect(application.server_port)
    process = psutil.Process(ngrok.get_ngrok_process().proc.pid)
    ngrok.kill()
    assert not process.is_running()
    second = ngrok.connect(application.server_port)
    assert get_json(second.public_url)["path"] == "/"
    assert [t.public_url for t in ngrok.get_tunnels()] == [second.public_url]
    with pytest.raises(OSError, match="refused"):
        urlopen(first.public_url)
    ngrok.disconnect(second.public_url)


def test_the_metrics_count_requests_and_connections(public_url):
    [opened] = ngrok.get_tunnels()
    assert opened.metrics["http"]["count"] == 0
    for _ in range(3):
        get_json(public_url)
    opened.refresh_metrics()
    assert opened.metrics["http"]["count"] == 3
    assert opened.metrics["http"]["p50"] > 0
    assert opened.metrics["http"]["rate1"] == pytest.approx(3 / 60)
    assert opened.metrics["conns"]["count"] == 3
    assert set(opened.metrics["http"]) == {"count", "rate1", "rate5", "rate15", "p50", "p90", "p95", "p99"}


def test_get_version_set_auth_token_and_update_work_without_a_network(offline):
    ngrok.kill()  # pyngrok asks for a version only while no agent runs
    version, _ = ngrok.get_version()
    assert version.startswith("3.")
    ngrok.set_auth_token("a-token-that-is-kept-nowhere")
    assert "offline agent" in ngrok.update()


def test_the_cloud_api_is_refused_without_showing_the_key(offline):
    ngrok.kill()
    with pytest.raises(PyngrokNgrokError, match="does not know 'ngrok api'") as refusal:
        ngrok.api("endpoints", "list", "--api-key", "secret-key")
    assert "secret-key" not in str(refusal.value)


def test_the_asyncio_module_works(offline, application):
    async def through():
        opened = await aio.connect(str(application.server_port))
        answer = await aio.api_request(f"{opened.public_url}/async")
        assert opened.public_url in [t.public_url for t in await aio.get_tunnels()]
        await aio.disconnect(opened.public_url)
        return answer["path"]

    assert asyncio.run(through()) == "/async"


def test_the_agent_status_is_online(offline):
    status = agent.get_agent_status()
    assert (status.status, status.uri) == ("online", "/api/status")
    assert "legs" in status.session


# Inspection


def test_a_request_is_kept_with_its_answer_and_can_be_replayed(public_url, application):
    agent.delete_requests()
    urlopen(Request(f"{public_url}/message", data=b'{"image_id": 1}', headers={"Authorization": "Token k"}))
    [kept] = agent.get_requests()
    assert kept.request["method"] == "POST"
    assert kept.request["uri"] == "/message"
    assert kept.request["headers"]["Authorization"] == ["Token k"]
    assert base64.b64decode(kept.request["raw"]).endswith(b'\r\n\r\n{"image_id": 1}')
    assert (kept.response["status"], kept.response["status_code"]) == ("200 OK", 200)
    assert b'"length": 15' in base64.b64decode(kept.response["raw"])
    assert kept.duration > 0
    assert agent.get_request(kept.id).data == kept.data

    agent.replay_request(kept.id)
    assert [seen["length"] for seen in application.posted] == [15, 15]
    assert application.posted[0] == application.posted[1]
    assert len(agent.get_requests()) == 2
    agent.delete_requests()
    assert agent.get_requests() == []


def test_requests_are_listed_a_tunnel_and_not_kept_with_inspect_off(offline, application):
    agent.delete_requests()
    watched = ngrok.connect(application.server_port, name="watched")
    unwatched = ngrok.connect(application.server_port, name="unwatched", inspect=False)
    get_json(watched.public_url)
    get_json(unwatched.public_url)
    assert [r.tunnel_name for r in agent.get_requests()] == ["watched"]
    assert len(agent.get_requests("watched")) == 1
    assert agent.get_requests("unwatched") == []
    ngrok.disconnect(watched.public_url)
    ngrok.disconnect(unwatched.public_url)


def test_a_request_too_large_to_keep_is_not_replayed_in_part(public_url):
    agent.delete_requests()
    urlopen(Request(f"{public_url}/upload", data=TEN_MEGABYTES))
    [kept] = agent.get_requests()
    with pytest.raises(PyngrokNgrokHTTPError, match="too large"):
        agent.replay_request(kept.id)


def test_an_unknown_request_or_tunnel_is_not_found(offline):
    with pytest.raises(PyngrokNgrokHTTPError) as refusal:
        agent.get_request("none")
    assert refusal.value.status_code == 404
    with pytest.raises(PyngrokNgrokHTTPError) as refusal:
        ngrok.api_request(f"{ngrok.get_ngrok_process().api_url}/api/tunnels/none")
    assert refusal.value.status_code == 404


def test_the_inspection_page_lists_requests_and_escapes_them(public_url):
    connection = http.client.HTTPConnection(urlsplit(public_url).netloc)
    connection.request("GET", "/<script>alert(1)</script>")
    connection.getresponse().read()
    with urlopen(ngrok.get_ngrok_process().api_url) as response:
        page = response.read().decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page


def test_a_web_page_of_another_origin_cannot_steer_the_agent(offline):
    api = urlsplit(ngrok.get_ngrok_process().api_url)
    connection = http.client.HTTPConnection(api.netloc)
    connection.request("GET", "/api/requests/http", headers={"Host": f"attacker.example:{api.port}"})
    response = connection.getresponse()
    response.read()
    assert response.status == 403
    form = {"Content-Type": "text/plain"}  # what a form may send without asking
    connection.request("POST", "/api/tunnels", body=b'{"name": "x", "addr": "1"}', headers=form)
    assert connection.getresponse().status == 400
    assert ngrok.get_tunnels() == []


# Forwarding


def test_the_application_sees_the_host_it_was_called_by_and_who_called(public_url):
    answer = get_json(public_url, {"Host": "shop.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "10.0.0.9"})
    assert answer["headers"]["Host"] == "shop.example"
    assert answer["headers"]["X-Forwarded-Host"] == "shop.example"
    assert answer["headers"]["X-Forwarded-Proto"] == "http"
    assert answer["headers"]["X-Forwarded-For"] == "10.0.0.9, 127.0.0.1"
    with pytest.raises(HTTPError) as refusal:
        urlopen(Request(f"{public_url}/foreign-host-refused", headers={"Host": "shop.example"}))
    assert refusal.value.read() == b"DisallowedHost"


def test_host_header_rewrite_shows_the_application_its_own_address(offline, application):
    opened = ngrok.connect(application.server_port, host_header="rewrite")
    headers = get_json(opened.public_url)["headers"]
    assert headers["Host"] == f"localhost:{application.server_port}"
    assert headers["X-Forwarded-Host"] == urlsplit(opened.public_url).netloc
    ngrok.disconnect(opened.public_url)


def test_nothing_is_added_to_a_request_but_the_forwarding_headers(connection):
    connection.putrequest("GET", "/", skip_accept_encoding=True)
    connection.endheaders()
    headers = json.load(connection.getresponse())["headers"]
    assert set(headers) == {"Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"}


def test_nothing_is_added_to_an_answer(connection, application):
    direct = http.client.HTTPConnection("127.0.0.1", application.server_port)
    for through in (direct, connection):
        through.request("GET", "/not-described")
    direct_answer, answer = direct.getresponse(), connection.getresponse()
    assert set(answer.headers) == set(direct_answer.headers) == {"Server", "Date", "Content-Length"}
    direct.close()


def test_ten_megabytes_pass_unchanged_both_ways(public_url):
    answer = json.load(urlopen(Request(f"{public_url}/upload", data=TEN_MEGABYTES)))
    assert answer["sha256"] == hashlib.sha256(TEN_MEGABYTES).hexdigest()
    with urlopen(f"{public_url}/picture") as response:
        assert response.headers["Content-Type"] == "image/png"
        assert response.headers["Content-Length"] == str(len(TEN_MEGABYTES))
        assert response.read() == TEN_MEGABYTES


def test_a_compressed_answer_stays_compressed(public_url):
    with urlopen(f"{public_url}/compressed") as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(response.read()) == b"hello"


def test_a_body_of_unknown_length_passes(connection):
    connection.request("POST", "/", body=iter([b"hello ", b"world"]), encode_chunked=True)
    assert json.load(connection.getresponse())["sha256"] == hashlib.sha256(b"hello world").hexdigest()


def test_a_client_that_expects_100_continue_is_told_to(public_url):
    with socket.create_connection(("127.0.0.1", urlsplit(public_url).port), timeout=10) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        client.sendall(b"hello")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_an_answer_streams_as_it_is_written(public_url, application):
    with urlopen(f"{public_url}/chunked") as response:
        assert response.read(5) == b"hello"  # the application waits for go_on
        application.go_on.set()
        assert response.read() == b" world"


def test_one_connection_carries_several_requests(connection):
    connection.request("HEAD", "/")
    head = connection.getresponse()
    assert (head.read(), head.headers["Content-Length"]) == (b"", "12345")
    connection.request("GET", "/redirect")
    redirect = connection.getresponse()
    redirect.read()
    assert (redirect.status, redirect.headers["Location"]) == (302, "/elsewhere")
    assert redirect.headers["Set-Cookie"] == "a=1"
    connection.request("GET", "/not-modified")
    assert connection.getresponse().read() == b""
    connection.request("GET", "/again")
    answer = json.load(connection.getresponse())
    assert answer["path"] == "/again"
    assert "Cookie" not in answer["headers"]
    [opened] = ngrok.get_tunnels()
    assert opened.metrics["conns"]["count"] == 1


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET http://shop.example/path?x=1 HTTP/1.1", 200),
        ("GET http://shop.example HTTP/1.1", 200),
        ("OPTIONS * HTTP/1.1", 400),
        ("CONNECT shop.example:443 HTTP/1.1", 400),
        ("GET @shop.example/ HTTP/1.1", 400),
        ("not HTTP at all", 400),
    ],
)
def test_no_request_line_leads_past_the_upstream(public_url, request_line, status):
    with socket.create_connection(("127.0.0.1", urlsplit(public_url).port), timeout=10) as client:
        client.sendall(f"{request_line}\r\nHost: shop.example\r\nConnection: close\r\n\r\n".encode())
        version, answered, *_ = client.recv(1000).split()
        assert (version[:5], int(answered)) == (b"HTTP/", status)
    assert not [log for log in ngrok.get_ngrok_process().logs if log.lvl == "ERROR"]


def test_a_client_that_leaves_releases_the_application(public_url, application):
    with urlopen(f"{public_url}/until-the-client-leaves") as response:
        assert response.read(5) == b"hello"
    assert application.client_left.wait(5)


def test_fifty_requests_are_under_way_at_once(public_url):
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: urlopen(f"{public_url}/together").read(), range(50)))
    assert answers == [b"together"] * 50


def test_a_target_that_is_down_answers_502_and_is_named(offline):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        port = taken.getsockname()[1]
        opened = ngrok.connect(port)
        with pytest.raises(HTTPError) as answer:
            urlopen(opened.public_url)
    assert answer.value.code == 502
    assert answer.value.headers["Ngrok-Error-Code"] == "ERR_NGROK_8012"
    assert f"http://localhost:{port}" in answer.value.read().decode()
    assert agent.get_requests()[0].response["status"] == "502 Bad Gateway"
    ngrok.disconnect(opened.public_url)


def test_a_target_that_does_not_speak_http_answers_502(public_url):
    with pytest.raises(HTTPError) as answer:
        urlopen(f"{public_url}/no-http")
    assert answer.value.code == 502
    assert "no usable HTTP answer" in answer.value.read().decode()


def test_an_answer_that_breaks_off_does_not_look_whole(public_url):
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        urlopen(f"{public_url}/breaks-off").read()


def test_a_server_on_ipv6_alone_is_reached_by_localhost(offline):
    class OnIPv6(Server):
        address_family = socket.AF_INET6

        def __init__(self):
            ThreadingHTTPServer.__init__(self, ("::1", 0), Application)
            threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    try:
        server = OnIPv6()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    opened = ngrok.connect(server.server_port)
    assert get_json(opened.public_url)["path"] == "/"
    ngrok.disconnect(opened.public_url)
    server.shutdown()
    server.server_close()


def test_the_agent_listens_on_the_loopback_interface_alone(public_url):
    process = psutil.Process(ngrok.get_ngrok_process().proc.pid)
    listening = [c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert len(listening) == 2
    assert set(listening) == {"127.0.0.1"}


def test_a_browser_loads_a_page_through_the_tunnel(public_url, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    if not browser:
        pytest.skip("no Chromium or Chrome on this machine")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom"]
    dom = subprocess.run([*command, f"{public_url}/gallery"], capture_output=True, text=True, timeout=60, check=True)
    assert '"path": "/gallery"' in dom.stdout


# The process

PARENT = """
import os, sys, time
from pathlib import Path
from pyngrok import ngrok
from workshop.lab import tunnel
tunnel.configure(Path(sys.argv[1]), None)
del os.environ["WORKSHOP_PARENT_PID"]  # the agent watches the process that started it anyway
ngrok.connect(9)
print(ngrok.get_ngrok_process().proc.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's; TerminateProcess is tested in test_tunnel.py")
def test_kill_minus_9_of_the_parent_leaves_no_agent(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    left = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    gone, _ = psutil.wait_procs([left], timeout=5)
    assert gone
    parent.stdout.close()


def start_agent(**environment):
    command = [sys.executable, "-m", "workshop.lab.offline_agent", "start", "--none", "--log", "stdout"]
    environment = {**os.environ, **environment}
    return psutil.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_the_agent_ends_with_the_process_that_the_environment_names():
    """As on Windows, where pip's launcher stands between that process and the agent."""
    named = psutil.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    left = start_agent(WORKSHOP_PARENT_PID=str(named.pid), WORKSHOP_PARENT_CREATE_TIME=repr(named.create_time()))
    with named.stdin, left.stdout:
        assert "starting web service" in left.stdout.readline()
        named.kill()
        named.wait()
        left.wait(timeout=5)


def test_a_process_that_got_the_pid_later_is_not_taken_for_the_parent():
    left = start_agent(WORKSHOP_PARENT_PID=str(os.getpid()), WORKSHOP_PARENT_CREATE_TIME="1.0")
    with left.stdout:
        left.wait(timeout=5)


def test_it_runs_as_a_module_too():
    command = [sys.executable, "-m", "workshop.lab.offline_agent", "config", "check", "--config", "x.yml"]
    assert "Valid configuration file" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_an_unknown_command_exits_with_1_and_names_the_real_ngrok():
    command = [sys.executable, "-m", "workshop.lab.offline_agent", "http", "8000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "'ngrok http'" in done.stderr
    assert "NGROK_AUTHTOKEN" in done.stderr
