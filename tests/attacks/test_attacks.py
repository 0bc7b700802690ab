"""Attacks, a row each, on Django as it is served. SECURITY.md names them all, and where the others are tested.

The bytes go over a socket as they are written here: no library corrects them.
"""

import contextlib
import io
import shutil
import socket
import sqlite3
import subprocess

import pytest
from django_site import APP_KEY, RECEIVER, Site, picture, unannounced_image

from workshop.lab.django_server import DjangoServer
from workshop.lab.processes import free_port, is_free

pytest_plugins = ["django_site_fixtures"]

KEY = f"Authorization: Token {APP_KEY}"
JSON = "Content-Type: application/json"


class Target:
    """Django with one image, number 1, and no effect yet."""

    def __init__(self, server: DjangoServer, site: Site):
        self.port, self.site = server.port, site

    def send(self, request: bytes) -> bytes:
        return send(self.port, request)

    def effects(self) -> int:
        with contextlib.closing(sqlite3.connect(self.site.database_file)) as database:
            return database.execute("SELECT count(*) FROM image_sync_thumbnail").fetchone()[0]


def send(port: int, request: bytes) -> bytes:
    """What is answered until the connection is closed, or nothing comes any more."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while part := connection.recv(65_536):
                answer += part
        return answer


@pytest.fixture(scope="module")
def target(migrated_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("target")
    file, media = folder / "db.sqlite3", folder / "media"
    (media / "images").mkdir(parents=True)
    shutil.copyfile(migrated_database, file)
    (media / "images" / "1.png").write_bytes(picture())
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "INSERT INTO gallery_image (id, title, file, created_at, announcement_id) "
            "VALUES (1, 'one', 'images/1.png', '2026-01-01', '00000000000000000000000000000001')"
        )
    site = Site(file, media)
    server = DjangoServer(folder, port=free_port(), env={**site.environment, "SYNC_ENDPOINTS": ""})
    server.start()
    yield Target(server, site)
    server.stop()


def post(*headers: str, body: bytes = b'{"image_id": 1}', path: str = RECEIVER, length: str | None = None) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
    if length is not None or not any("length" in line.lower() or "encoding" in line.lower() for line in headers):
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


SMUGGLED = post(KEY, JSON)
NO_ENTRY = {
    "no key": post(JSON),
    "an empty key": post("Authorization: Token", JSON),
    "an empty header": post("Authorization:", JSON),
    "another key": post(f"{KEY}x", JSON),
    "the key, shorter": post(KEY[:-1], JSON),
    "the key twice": post(f"{KEY} {APP_KEY}", JSON),
    "two keys in two headers": post("Authorization: Token x", KEY, JSON),
    "a list of keys": post(f"Authorization: Token x, Token {APP_KEY}", JSON),
    "another scheme": post(f"Authorization: Bearer {APP_KEY}", JSON),
    "no scheme": post(f"Authorization: {APP_KEY}", JSON),
    "in quotes": post(f'Authorization: Token "{APP_KEY}"', JSON),
    "in Latin-1": post("Authorization: Token schl\xfcssel\xff", JSON),
    "with a NUL": post(f"{KEY}\0", JSON),
    "in the query": post(JSON, path=f"{RECEIVER}?key={APP_KEY}&Authorization=Token+{APP_KEY}"),
    "in a cookie": post(f"Cookie: Authorization=Token {APP_KEY}; sessionid={APP_KEY}", JSON),
    "under a name with an underscore": post(f"HTTP_AUTHORIZATION: Token {APP_KEY}", JSON),
    "a long one": post("Authorization: Token " + "x" * 200_000, JSON),
    "as another user of a proxy": post("X-Forwarded-User: admin", "Remote-User: admin", JSON),
    "another method by a header": post("X-HTTP-Method-Override: GET", JSON),
}
ODD = {
    "length and chunks": post(KEY, JSON, "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED, length="5"),
    "chunks and length": post(
        KEY, JSON, "Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED
    ),
    "two lengths": post(KEY, JSON, "Content-Length: 2", f"Content-Length: {len(SMUGGLED) + 2}", body=b"{}" + SMUGGLED),
    "a list of lengths": post(KEY, JSON, "Content-Length: 2, 2", body=b"{}"),
    "a negative length": post(KEY, JSON, length="-1"),
    "a length with a sign": post(KEY, JSON, length="+15"),
    "a length in hexadecimal": post(KEY, JSON, length="0x0f"),
    "a length without end": post(KEY, JSON, length="9" * 40),
    "an unknown coding": post(KEY, JSON, "Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "chunked after a coding": post(KEY, JSON, "Transfer-Encoding: identity, chunked", body=b"0\r\n\r\n"),
    "a blank before the colon": post(KEY, JSON, "Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "a chunk larger than all": post(KEY, JSON, "Transfer-Encoding: chunked", body=b"f" * 20 + b"\r\n{}\r\n0\r\n\r\n"),
    "a compressed body": post(KEY, JSON, "Content-Encoding: gzip", body=b"\x1f\x8b\x08\0\0\0\0\0"),
    "a header of 2 MB": post(KEY, JSON, "X-Large: " + "x" * 2_000_000),
    "50,000 headers": post(KEY, JSON, *(f"X-{n}: x" for n in range(50_000))),
    "a path of 1 MB": post(KEY, JSON, path=RECEIVER + "x" * 1_000_000),
    "a body of 2 MB": post(KEY, JSON, body=b'{"image_id": 1, "x": "' + b"x" * 2_000_000 + b'"}'),
    "deep nesting": post(KEY, JSON, body=b"[" * 30_000 + b"]" * 30_000),
    "a number of 50,000 digits": post(KEY, JSON, body=b'{"image_id": ' + b"9" * 50_000 + b"}"),
    "a header in the key": post(KEY, JSON, "Idempotency-Key: a\tb"),
    "a Host of an attacker": post(KEY, JSON).replace(b"Host: 127.0.0.1", b"Host: evil.example"),
    "no Host": post(KEY, JSON).replace(b"Host: 127.0.0.1\r\n", b""),
    "HTTP/0.9": b"POST /\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
PATHS = [
    "/media/../db.sqlite3",
    "/media/..%2fdb.sqlite3",
    "/media/%2e%2e/db.sqlite3",
    "/media/..%5cdb.sqlite3",
    "/media//etc/passwd",
    "/media/%00",
    "/static/../../manage.py",
    "/static/%2e%2e/%2e%2e/manage.py",
    "/.env",
    "/.git/config",
]


def status(answer: bytes) -> int:
    """0: it hung up without a word."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0


def test_with_the_key_and_nothing_odd_there_is_an_effect(target):
    before = target.effects()
    assert status(target.send(SMUGGLED)) == 200
    assert target.effects() == before + 1


@pytest.mark.parametrize("attack", NO_ENTRY)
def test_without_the_key_nobody_gets_in(target, attack):
    before = target.effects()
    answer = target.send(NO_ENTRY[attack])
    assert status(answer) in ({401} if len(NO_ENTRY[attack]) < 5_000 else {401, 431}) | (
        {400} if "NUL" in attack else set()
    )
    assert target.effects() == before


@pytest.mark.parametrize("attack", ODD)
def test_odd_requests_have_no_effect_hide_none_behind_them_and_are_no_internal_error(target, attack):
    before = target.effects()
    answer = target.send(ODD[attack])
    assert status(answer) in {0, 400, 403, 404, 411, 413, 414, 422, 431, 501}
    assert b"Traceback" not in answer or b"DisallowedHost" in answer  # DEBUG's page about a Host
    assert target.effects() == before


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out_of_the_folder(target, path):
    answer = target.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    assert status(answer) in {301, 400, 404}
    for secret in (b"SQLite format", b"root:", b"manage.py help", b"[core]"):
        assert secret not in answer


@pytest.fixture
def nginx(target, tmp_path):
    """Its port. It stands in front of Django with the settings that infra/README.md names."""
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed here")
    port = free_port()
    (tmp_path / "nginx.conf").write_text(f"""
        daemon off; pid {tmp_path}/pid; events {{ worker_connections 2048; }}
        http {{
            access_log off; client_body_temp_path {tmp_path}/bodies; proxy_temp_path {tmp_path}/answers;
            fastcgi_temp_path {tmp_path}/1; uwsgi_temp_path {tmp_path}/2; scgi_temp_path {tmp_path}/3;
            server {{
                listen 127.0.0.1:{port}; client_body_timeout 10s; client_header_timeout 10s;
                location / {{ proxy_pass http://127.0.0.1:{target.port}; proxy_set_header Host $host; }}
            }}
        }}""")
    command = ["nginx", "-e", tmp_path / "error.log", "-c", tmp_path / "nginx.conf"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        while is_free(port):
            assert server.poll() is None, (tmp_path / "error.log").read_text()
        yield port
        server.terminate()


@pytest.mark.parametrize("begun", [b"POST / HTTP/1.1\r\nX-Slow: ", post(KEY, JSON, body=b'{"image', length="15")])
def test_behind_a_proxy_600_clients_that_never_finish_hold_up_nobody(nginx, begun):
    """Without one, 120 are tried, in tests/product."""
    with contextlib.ExitStack() as clients:
        for _ in range(600):
            clients.enter_context(socket.create_connection(("127.0.0.1", nginx))).sendall(begun)
        answer = send(nginx, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert status(answer) == 200


def test_a_form_without_its_token_is_refused(target):
    """Another site's page can make a browser send the form, and cannot read the token."""
    form = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + picture() + b"\r\n--x--\r\n"
    )
    headers = ["Content-Type: multipart/form-data; boundary=x", "Origin: https://evil.example"]
    assert status(target.send(post(*headers, body=form, path="/"))) == 403
    assert not [file for file in (target.site.media / "images").iterdir() if file.name != "1.png"]


POLYGLOTS = {
    "a GIF that is a script": b"GIF89a/*" + picture(format="GIF")[8:] + b"*/=1;alert(1)",
    "a PNG with a page behind it": picture() + b"<html><script>alert(1)</script>",
    "a JPEG with a ZIP behind it": picture(format="JPEG") + b"PK\x05\x06" + b"\0" * 18,
}


@pytest.mark.parametrize("polyglot", POLYGLOTS)
def test_what_is_two_things_at_once_is_stored_and_served_as_the_picture_alone(client, polyglot):
    from workshop_django.gallery.models import Image

    file = io.BytesIO(POLYGLOTS[polyglot])
    file.name = "page.html"
    if client.post("/", {"file": file}).status_code == 302:
        served = client.get(f"/media/{Image.objects.get().file.name}")
        assert served.headers["Content-Type"] in ("image/png", "image/gif", "image/jpeg")
        assert served.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("page", ["/", "/live/", "/admin/gallery/image/"])
def test_a_script_in_a_title_is_shown_and_never_run(django_site, client, page):
    from django.contrib.auth.models import User

    from workshop_django.gallery.models import Image

    image = unannounced_image()
    Image.objects.filter(pk=image.pk).update(title="<script>alert(1)</script>\"'><img src=x onerror=alert(1)>")
    client.force_login(User.objects.create_superuser("somebody"))
    answer = client.get(page)
    assert answer.status_code == 200
    assert b"<script>alert(1)" not in answer.content
    assert b"<img src=x" not in answer.content
