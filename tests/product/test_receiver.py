"""POST /api/v1/image-processing-sync: every row of its table, in process and served as a lab serves it."""

import errno
import http.client
import io
import json
import logging
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django_site import APP_KEY, RECEIVER, in_threads, picture, unannounced_image
from PIL import Image as Pillow
from PIL import ImageCms

TOKEN = f"Token {APP_KEY}"
JSON_HEADERS = {"Authorization": TOKEN, "Content-Type": "application/json"}


@pytest.fixture
def post(client):
    """post(body, key, Idempotency-Key) -> the answer. A body that is not bytes is written as JSON."""

    def post(body=None, *, token=TOKEN, key=None, content_type="application/json"):
        headers = {}
        if token is not None:
            headers["Authorization"] = token
        if key is not None:
            headers["Idempotency-Key"] = key
        data = body if isinstance(body, bytes) else json.dumps(body)
        return client.post(RECEIVER, data, content_type=content_type, headers=headers)

    return post


@pytest.fixture
def thumbnails(django_site):
    from workshop_django.image_sync.models import Thumbnail

    return Thumbnail.objects


def is_json(answer) -> bool:
    return answer.headers["Content-Type"].startswith("application/json") and bool(answer.json())


# Right key, known image


def test_a_known_image_gets_its_thumbnail_and_a_row(post, thumbnails):
    image = unannounced_image(picture((400, 200)))
    answer = post({"image_id": image.pk}, key="message-1")
    assert answer.status_code == 200
    assert answer.json() == {"message": "Data processed successfully"}
    row = thumbnails.get()
    assert row.image_id == image.pk
    with Pillow.open(row.file.path) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (256, 128))


def test_fields_that_it_does_not_know_are_ignored(post):
    assert post({"image_id": unannounced_image().pk, "since": "tomorrow"}).status_code == 200


def test_a_thousand_posts_at_once_with_five_hundred_keys_leave_five_hundred_rows_and_effects(
    served_site, django_site, thumbnails
):
    from workshop_django.inbox.models import ReceivedMessage

    image = unannounced_image()
    port = urlsplit(served_site).port
    keys = [f"message-{n // 2}" for n in range(1000)]  # the two of a pair are in flight together
    chunks = [keys[start::25] for start in range(25)]

    def post_all(chunk):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        answers = []
        for key in chunk:
            headers = JSON_HEADERS | {"Idempotency-Key": key}
            connection.request("POST", RECEIVER, json.dumps({"image_id": image.pk}), headers)
            response = connection.getresponse()
            answers.append((response.status, json.loads(response.read())["message"]))
        connection.close()
        return answers

    answers = [answer for chunk in in_threads(post_all, chunks, threads=25) for answer in chunk]
    assert {status for status, _ in answers} == {200}
    assert sum(message == "Data processed successfully" for _, message in answers) == 500
    assert sum(message == "Already processed" for _, message in answers) == 500
    assert ReceivedMessage.objects.count() == 500
    assert {Path(row.file.path) for row in thumbnails.all()} == set(django_site.thumbnails())
    assert len(django_site.thumbnails()) == thumbnails.count() == 500


# What is refused


@pytest.mark.parametrize(
    "image_id", [0, -1, 1.0, 1.5, "1", "one", True, None, [], {}, 2**63, 10**400, "../../etc/passwd", "1 OR 1=1"]
)
def test_an_image_id_that_is_no_positive_integer_is_refused_by_name(post, image_id):
    answer = post({"image_id": image_id})
    assert answer.status_code == 400
    assert list(answer.json()) == ["image_id"]


def test_a_missing_image_id_is_refused_by_name(post):
    answer = post({"id": 1})
    assert (answer.status_code, list(answer.json())) == (400, ["image_id"])


def test_a_body_that_is_too_large_is_refused_by_name(post):
    answer = post(b'{"image_id": 1, "padding": "' + b"." * 64 * 1024 + b'"}')
    assert (answer.status_code, list(answer.json())) == (413, ["body"])


def test_an_image_that_is_unknown_is_not_found(post, thumbnails):
    answer = post({"image_id": 12345}, key="message-1")
    assert (answer.status_code, list(answer.json())) == (404, ["image_id"])
    assert not thumbnails.exists()


# Work that fails


def test_work_that_fails_leaves_nothing_behind_and_a_retry_succeeds(post, thumbnails, django_site, caplog):
    image = unannounced_image()
    file = Path(image.file.path)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    logging.getLogger("workshop_django").addHandler(caplog.handler)
    answer = post({"image_id": image.pk}, key="message-1")
    logging.getLogger("workshop_django").removeHandler(caplog.handler)
    assert answer.status_code == 500
    assert is_json(answer)
    assert "Traceback" not in answer.text
    assert "Traceback" in caplog.text  # on the server
    assert not thumbnails.exists()
    assert django_site.thumbnails() == []
    file.write_bytes(content)
    assert post({"image_id": image.pk}, key="message-1").json() == {"message": "Data processed successfully"}


def test_of_a_thumbnail_that_cannot_be_stored_wholly_neither_row_nor_file_is_left(
    post, thumbnails, django_site, monkeypatch
):
    image = unannounced_image()

    def chunks(self, *arguments):
        yield self.read(100)
        assert len(django_site.thumbnails()) == 1
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("django.core.files.base.ContentFile.chunks", chunks, raising=False)
    assert post({"image_id": image.pk}, key="message-1").status_code == 500
    monkeypatch.undo()
    assert (django_site.thumbnails(), thumbnails.count()) == ([], 0)
    assert post({"image_id": image.pk}, key="message-1").json() == {"message": "Data processed successfully"}


def test_a_thumbnail_whose_row_could_not_be_stored_is_removed_again(post, thumbnails, django_site, monkeypatch):
    def save(self, *args, **kwargs):
        assert len(django_site.thumbnails()) == 1
        raise OSError("the database is gone")

    image = unannounced_image()
    monkeypatch.setattr(thumbnails.model, "save", save)
    assert post({"image_id": image.pk}, key="message-1").status_code == 500
    assert django_site.thumbnails() == []


def test_a_database_that_does_not_answer_is_a_500_in_json_and_an_unhealthy_server(post, client, django_site):
    body = {"image_id": unannounced_image().pk}
    assert client.get("/healthz").json() == {"status": "ok"}
    from django.db import connection

    connection.close()
    connection.settings_dict["NAME"] = str(django_site.media / "no" / "such" / "folder")
    answer, health = post(body), client.get("/healthz")
    assert answer.status_code == 500
    assert is_json(answer)
    assert health.status_code == 503


# The thumbnail


def made_of(content: bytes) -> Pillow.Image:
    from workshop_django.image_sync.thumbnail import thumbnail

    return Pillow.open(io.BytesIO(thumbnail(io.BytesIO(content))))


@pytest.mark.parametrize(
    ("mode", "format", "color", "shown"),
    [
        ("1", "PNG", 1, (255, 255, 255)),
        ("L", "PNG", 128, (128, 128, 128)),
        ("LA", "PNG", (128, 255), (128, 128, 128)),
        ("P", "GIF", 0, (0, 0, 0)),
        ("RGB", "WEBP", (200, 100, 50), (200, 100, 50)),
        ("RGBA", "PNG", (200, 100, 50, 255), (200, 100, 50)),
        ("CMYK", "JPEG", (0, 0, 0, 127), (128, 128, 128)),
        ("I;16", "PNG", 32768, (128, 128, 128)),  # all 16 bits count
    ],
)
@pytest.mark.parametrize("size", [(300, 300), (3001, 2003)])
def test_a_thumbnail_shows_every_kind_of_pixel_of_small_and_of_large_pictures(mode, format, color, shown, size):
    with made_of(picture(size, mode, format, color=color)) as made:
        assert max(made.size) == 256
        width, height = made.size
        for place in [(0, 0), (width // 2, height // 2), (width - 1, height - 1)]:
            assert all(abs(a - b) < 6 for a, b in zip(made.convert("RGB").getpixel(place), shown, strict=True))


def test_a_transparent_picture_stays_transparent():
    with made_of(picture((10, 10), "RGBA", color=(255, 0, 0, 0))) as made:
        assert made.mode == "RGBA"
        assert made.getpixel((5, 5))[3] == 0


def test_a_photograph_taken_with_the_camera_turned_is_upright():
    exif = Pillow.Exif()
    exif[0x0112] = 6  # the orientation: turn by 90 degrees to see it upright
    with made_of(picture((200, 100), format="JPEG", exif=exif.tobytes())) as made:
        assert made.size == (100, 200)


def test_an_animation_is_shown_by_its_first_frame():
    frames = [Pillow.new("RGB", (20, 20), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    with made_of(buffer.getvalue()) as made:
        red, _, blue = made.convert("RGB").getpixel((10, 10))
        assert red > 200 > 50 > blue
        assert getattr(made, "n_frames", 1) == 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_are_converted_by_the_pictures_profile(mode):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # What such a file calls red, a screen must show as green.
    swapped = srgb.replace(b"rXYZ", b"____").replace(b"gXYZ", b"rXYZ").replace(b"____", b"gXYZ")
    with made_of(picture((40, 30), mode, color=(255, 0, 0), icc_profile=swapped)) as made:
        red, green, _ = made.convert("RGB").getpixel((20, 15))
        assert (red < 50, green > 200) == (True, True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell a process its largest size in this way")
def test_four_large_pictures_at_once_need_the_memory_of_one(tmp_path):
    (tmp_path / "large.png").write_bytes(picture((5000, 5000), "RGBA"))  # 100 MB, decoded
    code = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from workshop_django.image_sync.thumbnail import thumbnail

def largest():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024 if sys.platform == "darwin" else 1024)

before = largest()
with ThreadPoolExecutor(4) as threads:
    list(threads.map(lambda _: thumbnail(Path("large.png").open("rb")), range(4)))
print(largest() - before)
"""
    grown = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert int(grown.stdout) < 200


# Served as a lab serves it


def test_served_it_answers_the_same_to_odd_bytes_on_the_wire(served_site):
    port = urlsplit(served_site).port

    def answer(method="POST", body=b"{}", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request(method, RECEIVER, body, headers or {}, encode_chunked=False)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, content

    assert answer("GET", None)[0] == 405
    assert answer(headers={"Authorization": b"Token \xff\xfe\xc3\xa9"})[0] == 401
    assert answer(body=b"\xff", headers=JSON_HEADERS)[0] == 400
    chunks = b'b\r\n{"image_id"\r\n8\r\n: 12345}\r\n0\r\n\r\n'
    status, content = answer(body=chunks, headers=JSON_HEADERS | {"Transfer-Encoding": "chunked"})
    assert (status, list(json.loads(content))) == (404, ["image_id"])
    status, content = answer(body=b" " * 100_000, headers=JSON_HEADERS)
    assert (status, list(json.loads(content))) == (413, ["body"])


def test_clients_that_send_half_a_request_and_wait_hold_up_nobody_else(served_site):
    address = urlsplit(served_site)
    head = (  # they need no key: the upload page reads what it is sent, for a browser with any cookie
        f"POST / HTTP/1.1\r\nHost: {address.netloc}\r\nCookie: csrftoken={'a' * 32}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
    )
    with ExitStack() as clients:
        for half in [head, f"{head}Content-Length: 9\r\n\r\nx", f"{head}Transfer-Encoding: chunked\r\n\r\n9\r\nx"] * 40:
            client = clients.enter_context(socket.create_connection((address.hostname, address.port), timeout=20))
            client.sendall(half.encode())
        connection = http.client.HTTPConnection(address.netloc, timeout=20)
        connection.request("POST", RECEIVER, b'{"image_id": 12345}', JSON_HEADERS)
        assert connection.getresponse().status == 404
        connection.close()
