"""The gallery page: what it shows, what it takes, and what it refuses with a reason."""

import errno
import io
import struct
import subprocess
import sys
import urllib.request
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.utils import override_settings
from django_site import APP_KEY, RECEIVER, child_environment, picture, save_image, unannounced_image
from PIL import Image as Pillow
from PIL import ImageCms

CHECKOUT = Path(__file__).parent.parent.parent


@pytest.fixture
def images(django_site):
    from workshop_django.gallery.models import Image

    return Image.objects


@pytest.fixture
def upload(client):
    def upload(content: bytes, name="photo.png", title="", content_type="image/png"):
        return client.post("/", {"title": title, "file": SimpleUploadedFile(name, content, content_type)})

    return upload


def receive(client, image):
    headers = {"Authorization": f"Token {APP_KEY}", "Idempotency-Key": f"message-{image.pk}"}
    return client.post(RECEIVER, {"image_id": image.pk}, content_type="application/json", headers=headers)


class Tags(HTMLParser):
    """The page's tags, [(tag, attributes)], and its text."""

    def __init__(self, answer):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(answer.text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises that many pixels: a decompression bomb."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def png_with(kind: bytes, data: bytes) -> bytes:
    """A good PNG with one more chunk behind its header."""
    content = picture()
    return content[:33] + chunk(kind, data) + content[33:]


TURNED = b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"  # an EXIF entry: the orientation is 6
OUT_OF_RANGE = b"\x02\x01\x04\0\x01\0\0\0\xff\xff\xff\xff"  # and one: four thousand million bits a sample
ODD_METADATA = {
    "EXIF out of range": picture(
        format="JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x02\0" + OUT_OF_RANGE + TURNED + bytes(4)
    ),
    "an eXIf chunk that is no TIFF": png_with(b"eXIf", b"no TIFF at all"),
    "a broken raw profile": png_with(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n   12\nnot hex\n")
    ),
    "a colour profile that is none": picture(icc_profile=b"no profile"),
    "a colour profile for other pixels": picture(
        mode="L", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    ),
}


# What it takes


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_an_uploaded_image_is_saved_and_shown(client, upload, images, format):
    answer = upload(picture(format=format), title="A picture")
    assert (answer.status_code, answer.headers["Location"]) == (302, "./")
    image = images.get()
    assert image.title == "A picture"
    assert "A picture" in Tags(client.get("/")).text
    with Pillow.open(image.file.path) as stored:
        assert stored.format == format


def test_a_cameras_jpeg_with_a_second_picture_in_it_is_taken(upload, images):
    buffer = io.BytesIO()
    Pillow.new("RGB", (40, 30)).save(buffer, "MPO", save_all=True, append_images=[Pillow.new("RGB", (40, 30))])
    assert upload(buffer.getvalue(), name="DSC001.JPG").status_code == 302
    assert images.get().file.name.endswith(".jpg")


def test_without_a_title_the_files_name_is_used(upload, images):
    upload(picture(), name="my holiday.png")
    assert images.get().title == "my holiday.png"


@pytest.mark.parametrize("name", ["x.html", "x.php.png", "ü" * 120 + ".png", "n" * 250 + ".png", "../../x.png"])
def test_the_file_is_stored_under_a_name_of_ours_with_the_suffix_of_what_it_is(upload, images, django_site, name):
    assert upload(picture(format="GIF"), name=name, title="t").status_code in (302, 400)
    for image in images.all():
        assert image.file.name.startswith("images/")
        assert image.file.name.endswith(".gif")
        assert len(Path(image.file.name).name) == 36
    outside = [path for path in django_site.media.rglob("*") if path.is_file() and path.suffix != ".gif"]
    assert outside == []


@pytest.mark.parametrize("what", ODD_METADATA)
def test_odd_metadata_never_spoil_a_picture_on_the_way_to_its_thumbnail(client, upload, images, what):
    assert upload(ODD_METADATA[what]).status_code == 302
    assert receive(client, images.get()).status_code == 200


def test_a_full_disk_leaves_no_half_upload(upload, images, django_site, monkeypatch):
    def chunks(self, *arguments):
        yield b"half"
        assert [path.stat().st_size for path in django_site.media.rglob("*.png")]
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("django.core.files.uploadedfile.InMemoryUploadedFile.chunks", chunks)
    assert upload(picture()).status_code == 500
    assert [path for path in django_site.media.rglob("*") if path.is_file()] == []


# What it refuses

REFUSED = {
    "text": (b"hello", "cannot be read as an image"),
    "nothing in it": (b"", "The file is empty"),
    "an SVG": (
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "cannot be read as an image",
    ),
    "a truncated PNG": (picture((200, 200), color="red")[:200], "cannot be read as an image"),
    "a truncated JPEG": (picture((900, 900), format="JPEG", color="red")[:2000], "cannot be read as an image"),
    "a PNG's first bytes": (b"\x89PNG\r\n\x1a\n", "cannot be read as an image"),
    "a TIFF": (picture(format="TIFF"), "cannot be read as an image"),
    "a bomb of 26 megapixels": (png_that_claims(5000, 5200), "25,000,000 pixels"),
    "a bomb of 400 megapixels": (png_that_claims(20_000, 20_000), "25,000,000 pixels"),
    "a bomb of 4 terapixels": (png_that_claims(2_000_000, 2_000_000), "25,000,000 pixels"),
    "over 10 MB": (picture() + b"\0" * 10 * 1024 * 1024, "At most 10 MB"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_it_refuses_with_a_reason_on_the_page(upload, images, django_site, kind):
    content, reason = REFUSED[kind]
    answer = upload(content)
    assert answer.status_code == 400
    page = Tags(answer)
    assert reason in page.text
    assert "The image was not saved." in page.text
    assert not images.exists()
    assert [path for path in django_site.media.rglob("*") if path.is_file()] == []


def test_a_form_without_a_file_is_refused(client, images):
    answer = client.post("/", {"title": "no file"})
    assert answer.status_code == 400
    assert "Choose an image first." in Tags(answer).text


@pytest.mark.parametrize("title", ["t" * 201, "\x00"])
def test_a_title_that_cannot_be_stored_is_refused(upload, title):
    assert upload(picture(), title=title).status_code == 400


@pytest.mark.parametrize("damage", range(0, 120, 3))
def test_no_damaged_upload_makes_an_internal_error(upload, damage):
    content = bytearray(picture((8, 8), "P", "GIF" if damage % 2 else "PNG"))
    content[damage % len(content)] ^= 0xFF
    assert upload(bytes(content)).status_code in (302, 400)


def test_a_request_that_is_no_form_at_all_is_answered(client):
    for content_type in ("application/json", "multipart/form-data", "multipart/form-data; boundary=x"):
        assert client.post("/", b"\xff\x00--x", content_type=content_type).status_code == 400


# What it shows


def test_empty_it_says_what_to_do(client):
    assert "Nothing here yet. Upload an image" in Tags(client.get("/")).text


def test_it_shows_each_images_state(client, sqs, queue_url):
    unannounced_image()
    with override_settings(SQS_QUEUE_URL=""):
        save_image("waits")
    save_image("sent")
    done = save_image("done")
    receive(client, done)
    page = Tags(client.get("/"))
    assert "done processed sent sent" in page.text.replace("…", "").replace("  ", " ")
    assert "waits waiting to be sent" in page.text.replace("…", "").replace("  ", " ")
    assert "a picture not announced" in page.text.replace("…", "").replace("  ", " ")
    (thumbnail,) = page.all("img")
    assert thumbnail["alt"] == "Thumbnail of done"
    assert thumbnail["src"].endswith(".webp")


def test_it_says_when_images_are_announced_to_nobody(client):
    with override_settings(SYNC_ENDPOINTS=[]):
        assert "SYNC_ENDPOINTS is not set" in Tags(client.get("/")).text


def test_images_come_in_pages_and_no_page_counts_them(client, images):
    images.bulk_create(images.model(title=f"image {n}", file="images/x.png") for n in range(60))
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        first = Tags(client.get("/"))
    assert len(queries) == 3  # images, thumbnails, messages
    assert "COUNT" not in str(queries.captured_queries)
    assert [n for n in range(60) if f"image {n} " in first.text] == list(range(36, 60))
    (older,) = [link["href"] for link in first.all("a") if link["href"].startswith("?before=")]
    (older,) = [link["href"] for link in Tags(client.get(f"/{older}")).all("a") if link["href"].startswith("?before=")]
    last = Tags(client.get(f"/{older}"))
    assert [n for n in range(60) if f"image {n} " in last.text] == list(range(12))
    assert not [link for link in last.all("a") if "?before=" in link["href"]]
    for odd in ("nonsense", "-1", "9" * 30):
        assert client.get(f"/?before={odd}").status_code == 200


@override_settings(DEBUG=False)
def test_in_production_gallery_and_media_are_for_who_is_logged_in_and_no_browser_guesses_what_a_file_is(
    client, upload, images
):
    from django.contrib.auth.models import User

    file = unannounced_image().file.url
    for answer in (client.get("/"), upload(picture()), client.get(file)):
        assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/admin/login/")
    assert images.count() == 1
    client.force_login(User.objects.create(username="somebody"))
    answer = client.get(file)
    assert (client.get("/").status_code, answer.status_code) == (200, 200)
    assert (answer.headers["Content-Type"], answer.headers["X-Content-Type-Options"]) == ("image/png", "nosniff")


def test_a_title_is_shown_as_text_never_as_html(client):
    save_image("<script>alert(1)</script>")
    answer = client.get("/")
    assert "<script>" not in answer.text
    assert "<script>alert(1)</script>" in Tags(answer).text


def test_the_page_needs_nothing_from_elsewhere_and_every_field_has_a_label(client):
    save_image()
    page = Tags(client.get("/"))
    addresses = [a.get("href") or a.get("src") for tag in ("link", "script", "img", "a") for a in page.all(tag)]
    assert not [address for address in addresses if address.startswith(("http", "//"))]
    labelled = {label["for"] for label in page.all("label")}
    assert {field["id"] for field in page.all("input") if field["type"] != "hidden"} == labelled
    assert page.all("html") == [{"lang": "en"}]


def test_the_admin_shows_images_outbox_and_received_messages_and_no_keys(client, queue_url):
    from django.contrib.auth.models import User

    image = save_image()
    receive(client, image)
    client.force_login(User.objects.create_superuser("admin"))
    for path in (
        "gallery/image/",
        "gallery/image/add/",
        "sqs/outboxmessage/",
        "inbox/receivedmessage/",
        "image_sync/thumbnail/",
    ):
        assert client.get(f"/admin/{path}").status_code == 200
    for path in (
        "gallery/image/1/change/",
        "sqs/outboxmessage/1/change/",
        "inbox/receivedmessage/1/change/",
        "image_sync/thumbnail/1/change/",
    ):
        answer = client.get(f"/admin/{path}")
        assert answer.status_code == 200
        assert APP_KEY not in answer.text
    assert client.post("/admin/gallery/image/1/change/", {"title": "new title"}).status_code == 302
    image.refresh_from_db()
    assert image.title == "new title"
    bad = client.post("/admin/gallery/image/add/", {"title": "x", "file": io.BytesIO(b"no image")})
    assert "cannot be read as an image" in bad.text


# Served as a lab serves it


def test_served_with_debug_it_gives_page_style_and_uploads(served_site):
    image = unannounced_image()
    with urllib.request.urlopen(f"{served_site}/") as answer:
        assert b"Gallery" in answer.read()
    with urllib.request.urlopen(f"{served_site}/static/gallery/gallery.css") as answer:
        assert answer.headers["Content-Type"].startswith("text/css")
    with urllib.request.urlopen(f"{served_site}{image.file.url}") as answer:
        assert (answer.headers["Content-Type"], answer.read()) == ("image/png", picture())


def test_for_production_collectstatic_gathers_the_style(django_site, tmp_path):
    subprocess.run(
        [sys.executable, CHECKOUT / "workshop_django" / "manage.py", "collectstatic", "--noinput", "-v0"],
        env=child_environment(**django_site.environment, STATIC_ROOT=str(tmp_path / "static")),
        check=True,
    )
    assert (tmp_path / "static" / "gallery" / "gallery.css").is_file()
