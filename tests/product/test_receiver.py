"""POST /api/v1/image-processing-sync: every row of its table, in process and served by granian."""

import http.client
import io
import json
import logging
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.test.utils import override_settings
from django_site import APP_KEY, RECEIVER, in_threads, picture, unannounced_image
from PIL import Image as Pillow

pytest_plugins = ["django_site_fixtures"]

TOKEN = f"Token {APP_KEY}"


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
def received(django_site):
    from workshop_django.image_sync.models import ReceivedMessage

    return ReceivedMessage.objects


def is_json(answer) -> bool:
    return answer.headers["Content-Type"].startswith("application/json") and bool(answer.json())


# Right key, known image


def test_a_known_image_gets_its_thumbnail_and_a_row(post, received, django_site):
    image = unannounced_image(picture((400, 200)))
    answer = post({"image_id": image.pk}, key="message-1")
    assert answer.status_code == 200
    assert answer.json() == {"message": "Data processed successfully"}
    row = received.get()
    assert (row.image_id, row.idempotency_key) == (image.pk, "message-1")
    with Pillow.open(row.thumbnail.path) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (256, 128))


def test_fields_that_it_does_not_know_are_ignored(post):
    assert post({"image_id": unannounced_image().pk, "since": "tomorrow"}).status_code == 200


def test_without_an_idempotency_key_each_request_is_processed(post, received):
    image = unannounced_image()
    assert [post({"image_id": image.pk}).status_code for _ in range(2)] == [200, 200]
    assert received.count() == 2


# The same Idempotency-Key again


def test_the_same_key_again_is_answered_200_and_nothing_is_done_twice(post, received, django_site):
    image = unannounced_image()
    post({"image_id": image.pk}, key="message-1")
    answer = post({"image_id": image.pk}, key="message-1")
    assert answer.status_code == 200
    assert answer.json() == {"message": "Already processed"}
    assert received.count() == 1
    assert len(django_site.thumbnails()) == 1


def test_the_key_alone_tells_a_duplicate(post, received):
    first, second = unannounced_image(), unannounced_image()
    post({"image_id": first.pk}, key="message-1")
    assert post({"image_id": second.pk}, key="message-1").json() == {"message": "Already processed"}
    assert received.get().image_id == first.pk


@pytest.mark.parametrize("key", ["", "   ", "k" * 101])
def test_an_empty_or_overlong_key_is_refused_by_name(post, received, key):
    answer = post({"image_id": unannounced_image().pk}, key=key)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()
    assert not received.exists()


def test_a_thousand_posts_at_once_with_five_hundred_keys_leave_five_hundred_rows_and_effects(
    served_site, django_site, received
):
    image = unannounced_image()
    port = urlsplit(served_site).port
    keys = [f"message-{n // 2}" for n in range(1000)]  # the two of a pair are in flight together
    chunks = [keys[start::25] for start in range(25)]

    def post_all(chunk):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        answers = []
        for key in chunk:
            headers = {"Authorization": TOKEN, "Content-Type": "application/json", "Idempotency-Key": key}
            connection.request("POST", RECEIVER, json.dumps({"image_id": image.pk}), headers)
            response = connection.getresponse()
            answers.append((response.status, json.loads(response.read())["message"]))
        connection.close()
        return answers

    answers = [answer for chunk in in_threads(post_all, chunks, threads=25) for answer in chunk]
    assert {status for status, _ in answers} == {200}
    assert sum(message == "Data processed successfully" for _, message in answers) == 500
    assert sum(message == "Already processed" for _, message in answers) == 500
    assert received.count() == 500
    assert received.values("idempotency_key").distinct().count() == 500
    assert {Path(row.thumbnail.path) for row in received.all()} == set(django_site.thumbnails())
    assert len(django_site.thumbnails()) == 500


# No key, wrong key, malformed header


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "Token",
        "Token ",
        APP_KEY,
        f"Bearer {APP_KEY}",
        f"Token {APP_KEY} more",
        f"Token {APP_KEY}x",
        f"Token {APP_KEY[:-1]}",
        f"Token {APP_KEY.lower()}",
        "Token YOUR_SECURE_APP_KEY",
        "Token clé-ÿ",
    ],
)
def test_without_the_right_key_nobody_gets_in(post, received, token):
    answer = post({"image_id": unannounced_image().pk}, token=token)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Token"
    assert is_json(answer)
    assert not received.exists()


def test_an_unset_key_lets_nobody_in_not_even_with_a_fallback_or_an_empty_key(post):
    body = {"image_id": unannounced_image().pk}
    with override_settings(APP_KEY="", APP_KEY_FALLBACKS=["old"]):
        assert [post(body, token=token).status_code for token in ("Token ", "Token old", None)] == [401] * 3


def test_while_a_key_is_replaced_the_new_and_the_old_one_get_in(post):
    body = {"image_id": unannounced_image().pk}
    with override_settings(APP_KEY="new", APP_KEY_FALLBACKS=["old", "older"]):
        statuses = [post(body, token=f"Token {key}").status_code for key in ("new", "old", "older", "oldest", APP_KEY)]
    assert statuses == [200, 200, 200, 401, 401]


def test_without_a_key_it_does_not_tell_which_images_exist(post):
    assert post({"image_id": 12345}, token=None).status_code == 401
    assert post(b"not JSON", token=None).status_code == 401


# Bad bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"{",
        b'{"image_id": NaN}',
        b'{"image_id": "\xff"}',
        b"\xff\xfe",
        b"[" * 60_000,
        b"[]",
        b"1",
        b"null",
    ],
)
def test_a_body_that_is_no_json_object_is_refused_by_name(post, body):
    answer = post(body)
    assert answer.status_code == 400
    assert set(answer.json()) <= {"body", "image_id"}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_does_not_say_it_is_json_is_refused_with_the_header_to_send(post, content_type):
    answer = post(b'{"image_id": 1}', content_type=content_type)
    assert answer.status_code == 400
    assert "Content-Type: application/json" in answer.json()["body"][0]


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


@pytest.mark.parametrize("size", [64 * 1024 + 1, 3 * 1024 * 1024])
def test_a_body_that_is_too_large_is_refused_by_name(post, size):
    answer = post(b'{"image_id": 1, "padding": "' + b"." * size + b'"}')
    assert (answer.status_code, list(answer.json())) == (413, ["body"])


def test_an_image_that_is_unknown_is_not_found(post, received):
    answer = post({"image_id": 12345}, key="message-1")
    assert (answer.status_code, list(answer.json())) == (404, ["image_id"])
    assert not received.exists()


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options", "trace"])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_other_methods_are_not_allowed_with_a_key_or_without(client, method, token):
    answer = getattr(client, method)(RECEIVER, headers={"Authorization": token} if token else {})
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"


# Work that fails


def test_work_that_fails_leaves_nothing_behind_and_a_retry_succeeds(post, received, django_site, caplog):
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
    assert not received.exists()
    assert django_site.thumbnails() == []
    file.write_bytes(content)
    assert post({"image_id": image.pk}, key="message-1").json() == {"message": "Data processed successfully"}


def test_a_thumbnail_whose_row_could_not_be_stored_is_removed_again(post, received, django_site, monkeypatch):
    image = unannounced_image()
    save = received.model.save

    def save_but_not_at_the_end(self, *args, **kwargs):
        if kwargs.get("update_fields"):
            assert len(django_site.thumbnails()) == 1
            raise OSError("the disk is full")
        save(self, *args, **kwargs)

    monkeypatch.setattr(received.model, "save", save_but_not_at_the_end)
    assert post({"image_id": image.pk}, key="message-1").status_code == 500
    assert django_site.thumbnails() == []
    assert not received.exists()


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


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_a_thumbnail_is_made_of_every_kind_of_pixel(mode):
    from workshop_django.image_sync.thumbnail import thumbnail

    content = picture((300, 300), mode, "JPEG" if mode in ("CMYK", "YCbCr") else "TIFF")
    with Pillow.open(io.BytesIO(thumbnail(io.BytesIO(content)))) as made:
        assert made.size == (256, 256)
        assert made.mode in ("RGB", "RGBA")


def test_a_sixteen_bit_picture_keeps_its_greys():
    from workshop_django.image_sync.thumbnail import thumbnail

    content = picture((10, 10), "I;16", "PNG", color=32768)
    with Pillow.open(io.BytesIO(thumbnail(io.BytesIO(content)))) as made:
        assert abs(made.getpixel((5, 5))[0] - 128) < 4


def test_a_transparent_picture_stays_transparent():
    from workshop_django.image_sync.thumbnail import thumbnail

    with Pillow.open(io.BytesIO(thumbnail(io.BytesIO(picture((10, 10), "RGBA", color=(255, 0, 0, 0)))))) as made:
        assert made.mode == "RGBA"
        assert made.getpixel((5, 5))[3] == 0


def test_a_photograph_taken_with_the_camera_turned_is_upright():
    from workshop_django.image_sync.thumbnail import thumbnail

    exif = Pillow.Exif()
    exif[0x0112] = 6  # the orientation: turn by 90 degrees to see it upright
    content = picture((200, 100), format="JPEG", exif=exif.tobytes())
    with Pillow.open(io.BytesIO(thumbnail(io.BytesIO(content)))) as made:
        assert made.size == (100, 200)


def test_an_animation_is_shown_by_its_first_frame():
    from workshop_django.image_sync.thumbnail import thumbnail

    frames = [Pillow.new("RGB", (20, 20), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    with Pillow.open(io.BytesIO(thumbnail(buffer))) as made:
        red, _, blue = made.convert("RGB").getpixel((10, 10))
        assert red > 200 > 50 > blue
        assert getattr(made, "n_frames", 1) == 1


# Served by granian


def test_served_it_answers_the_same_to_odd_bytes_on_the_wire(served_site):
    port = urlsplit(served_site).port

    def answer(method="POST", body=b"{}", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request(method, RECEIVER, body, headers or {}, encode_chunked=False)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, content

    json_headers = {"Authorization": TOKEN, "Content-Type": "application/json"}
    assert answer("GET", None)[0] == 405
    assert answer(headers={"Authorization": b"Token \xff\xfe\xc3\xa9"})[0] == 401
    assert answer(body=b"\xff", headers=json_headers)[0] == 400
    # Chunked, without a length; in one piece, for the answer may come before the last chunk is sent.
    chunks = b'b\r\n{"image_id"\r\n8\r\n: 12345}\r\n0\r\n\r\n'
    status, content = answer(body=chunks, headers=json_headers | {"Transfer-Encoding": "chunked"})
    assert status in (400, 404)
    assert json.loads(content)
    status, content = answer(body=b" " * 100_000, headers=json_headers)
    assert (status, list(json.loads(content))) == (413, ["body"])
