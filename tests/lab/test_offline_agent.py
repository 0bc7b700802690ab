"""The offline agent, driven by pyngrok's own API and by plain HTTP, in front of small real servers."""

import gzip
import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psutil
import pytest
from pyngrok import agent, installer, ngrok
from pyngrok.exception import PyngrokNgrokHTTPError

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
            case "/redirect":
                self.answer(302, gzip.compress(b"hello"), {"Location": "/elsewhere", "Content-Encoding": "gzip"})
            case "/chunked":
                self.send_chunk(b"hello")
                self.server.go_on.wait(10)
                self.wfile.write(b"6\r\n world\r\n0\r\n\r\n")
            case "/until-the-client-leaves":
                self.send_chunk(b"hello")
                if self.connection.recv(1) == b"":
                    self.server.client_left.set()
                self.close_connection = True
            case "/breaks-off":
                self.send_chunk(b"half")
                self.close_connection = True
            case "/no-http":
                self.wfile.write(b"220 mail server ready\r\n\r\n")
                self.close_connection = True
            case _:
                self.answer(200, json.dumps({"path": self.path, "headers": dict(self.headers)}).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, hashlib.sha256(body).hexdigest().encode())

    def send_chunk(self, chunk):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.flush()

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
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Application)
        self.go_on = threading.Event()
        self.client_left = threading.Event()
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


@pytest.mark.parametrize("address", ["{}", "http://127.0.0.1:{}/"])
def test_connect_forwards_a_loopback_address_as_the_path_was_written(offline, application, address):
    opened = ngrok.connect(address.format(application.server_port), bind_tls=True)
    assert opened.public_url.startswith("http://127.0.0.1:")
    assert get_json(f"{opened.public_url}/a%2Fb%7e?c=%20d&e")["path"] == "/a%2Fb%7e?c=%20d&e"
    assert str(application.server_port) in opened.upstream["url"]
    ngrok.disconnect(opened.public_url)


def test_two_tunnels_lead_to_their_own_applications_and_close_one_by_one(offline, application):
    other = Server()
    first, second = ngrok.connect(application.server_port).public_url, ngrok.connect(other.server_port).public_url
    assert {first, second} <= {t.public_url for t in ngrok.get_tunnels()}
    other.shutdown()
    other.server_close()
    assert get_json(first)["path"] == "/"
    with pytest.raises(HTTPError, match="502"):
        urlopen(second)
    ngrok.disconnect(second)
    assert get_json(first)["path"] == "/"
    assert second not in {t.public_url for t in ngrok.get_tunnels()}
    ngrok.disconnect(first)
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(urlsplit(first).netloc).connect()


def test_a_name_in_use_is_refused_as_ngrok_refuses_it(offline, application):
    opened = ngrok.connect(application.server_port, name="taken")
    with pytest.raises(PyngrokNgrokHTTPError) as refusal:
        ngrok.connect(application.server_port, name="taken")
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
        ({"addr": "22", "proto": "tcp"}, "HTTP alone"),
        ({"addr": "file:///tmp"}, "HTTP alone"),
        ({"addr": "8000", "url": "tcp://1.tcp.ngrok.io:2000"}, "HTTP alone"),
        ({"addr": "8000", "auth": "user:password"}, "basic_auth"),
        ({"addr": "99999"}, "is no address"),
        ({"addr": "http://"}, "is no address"),
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


def test_requests_are_recorded_newest_first_and_shown_on_a_page(public_url, connection, application):
    urlopen(Request(f"{public_url}/message", data=b"{}", headers={"Authorization": "Token k"}))
    connection.request("GET", "/<script>alert(1)</script>")
    connection.getresponse().read()
    with urlopen(f"{public_url}/chunked"):  # its answer has begun
        under_way, script, message = agent.get_requests()[:3]
        application.go_on.set()
    assert (message.request["method"], message.request["uri"]) == ("POST", "/message")
    assert message.request["headers"]["Authorization"] == ["Token k"]
    assert (message.response["status"], message.response["status_code"]) == ("200 OK", 200)
    assert message.duration > 0
    assert agent.get_request(message.id).data == message.data
    assert script.request["uri"] == "/<script>alert(1)</script>"
    assert (under_way.request["uri"], under_way.duration) == ("/chunked", 0)
    page = urlopen(ngrok.get_ngrok_process().api_url).read().decode()
    assert "/message" in page
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
    body = b'{"name": "x", "upstream": {"url": "http://localhost:1"}}'
    connection.request("POST", "/api/endpoints", body=body, headers=form)
    assert connection.getresponse().status == 400
    assert ngrok.get_tunnels() == []


# Forwarding


def test_the_application_sees_the_host_it_was_called_by_and_who_called(public_url):
    asked = {"Host": "shop.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "10.0.0.9"}
    seen = get_json(public_url, asked)["headers"]
    assert seen["Host"] == seen["X-Forwarded-Host"] == "shop.example"
    assert seen["X-Forwarded-Proto"] == "http"
    assert seen["X-Forwarded-For"] == "10.0.0.9, 127.0.0.1"


def test_host_header_rewrite_shows_the_application_its_own_address(offline, application):
    opened = ngrok.connect(application.server_port, host_header="rewrite")
    headers = get_json(opened.public_url)["headers"]
    assert headers["Host"] == f"localhost:{application.server_port}"
    assert headers["X-Forwarded-Host"] == urlsplit(opened.public_url).netloc
    ngrok.disconnect(opened.public_url)


def test_nothing_is_added_to_a_request_but_the_forwarding_headers_and_nothing_to_an_answer(connection, application):
    direct = http.client.HTTPConnection("127.0.0.1", application.server_port)
    answers = []
    for through in (direct, connection):
        through.putrequest("GET", "/redirect", skip_accept_encoding=True)
        through.endheaders()
        answer = through.getresponse()
        answers.append((answer.status, sorted(set(answer.headers) - {"Date"}), gzip.decompress(answer.read())))
    direct.close()
    assert answers[0] == answers[1]
    connection.putrequest("GET", "/", skip_accept_encoding=True)
    connection.endheaders()
    headers = json.load(connection.getresponse())["headers"]
    assert set(headers) == {"Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"}


def test_ten_megabytes_pass_unchanged_both_ways(public_url):
    answer = urlopen(Request(f"{public_url}/upload", data=TEN_MEGABYTES)).read()
    assert answer.decode() == hashlib.sha256(TEN_MEGABYTES).hexdigest()
    with urlopen(f"{public_url}/picture") as response:
        assert response.headers["Content-Type"] == "image/png"
        assert response.headers["Content-Length"] == str(len(TEN_MEGABYTES))
        assert response.read() == TEN_MEGABYTES


def test_an_answer_streams_as_it_is_written(public_url, application):
    with urlopen(f"{public_url}/chunked") as response:
        assert response.read(5) == b"hello"  # the application waits for go_on
        application.go_on.set()
        assert response.read() == b" world"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET http://shop.example/path?x=1 HTTP/1.1", 200),
        ("OPTIONS * HTTP/1.1", 404),
        ("CONNECT shop.example:443 HTTP/1.1", 404),
        ("GET @shop.example/ HTTP/1.1", 400),
        ("not HTTP at all", 400),
    ],
)
def test_no_request_line_leads_past_the_upstream(public_url, capfd, request_line, status):
    with socket.create_connection(("127.0.0.1", urlsplit(public_url).port), timeout=10) as client:
        client.sendall(f"{request_line}\r\nHost: shop.example\r\nConnection: close\r\n\r\n".encode())
        assert int(client.recv(1000).split()[1]) == status
    assert capfd.readouterr().err == ""  # it would stand in the learner's notebook


def test_a_client_that_leaves_releases_the_application(public_url, application):
    with urlopen(f"{public_url}/until-the-client-leaves") as response:
        assert response.read(5) == b"hello"
    assert application.client_left.wait(5)


@pytest.mark.parametrize("path", ["/no-http", "/breaks-off"])
def test_an_answer_that_is_no_whole_http_does_not_look_whole(public_url, path):
    with pytest.raises((http.client.IncompleteRead, ConnectionError, HTTPError)):
        urlopen(public_url + path).read()


def test_a_target_that_is_down_answers_502_and_is_named(offline):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        port = taken.getsockname()[1]
        opened = ngrok.connect(port)
        with pytest.raises(HTTPError) as answer:
            urlopen(opened.public_url)
    assert (answer.value.code, answer.value.headers["Ngrok-Error-Code"]) == (502, "ERR_NGROK_8012")
    assert f"http://localhost:{port}" in answer.value.read().decode()
    assert agent.get_requests()[0].response["status"] == "502 Bad Gateway"
    ngrok.disconnect(opened.public_url)


def test_a_browser_loads_a_page_through_the_tunnel(public_url, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    if not browser:
        pytest.skip("no Chromium or Chrome on this machine")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom"]
    dom = subprocess.run([*command, f"{public_url}/gallery"], capture_output=True, text=True, timeout=60, check=True)
    assert '"path": "/gallery"' in dom.stdout


# The process

PARENT = """
import sys
from pathlib import Path
from pyngrok import ngrok
from workshop.lab import tunnel
tunnel.configure(Path(sys.argv[1]), None)
ngrok.connect(9)
print(ngrok.get_ngrok_process().proc.pid, flush=True)
sys.stdin.read()
"""


def test_a_killed_parent_leaves_no_agent(tmp_path):
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        left = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        gone, _ = psutil.wait_procs([left], timeout=5)
        assert gone


def test_a_command_of_the_real_ngrok_exits_with_1_and_says_how_to_have_that():
    command = [str(tunnel.offline_agent()), "http", "8000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "NGROK_AUTHTOKEN" in done.stderr
