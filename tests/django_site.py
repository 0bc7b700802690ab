"""What tests of workshop_django work with, beside the fixtures in django_site_fixtures."""

import io
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from django.db import connections
from django.test.utils import override_settings
from PIL import Image as Pillow

from workshop.folders import sqlite_url

APP_KEY = "a-key-for-tests-wBvH2xqZ7dK9"
ENDPOINT = "http://127.0.0.1:9/api/v1/image-processing-sync"  # nothing posts to it in these tests
RECEIVER = "/api/v1/image-processing-sync"


class database:  # noqa: N801  (a context manager)
    """Inside the block, Django's default database is another SQLite file, for every thread."""

    def __init__(self, file: Path):
        self.file = file

    def __enter__(self):
        connections.close_all()
        self.before = connections.settings["default"]["NAME"]
        connections.settings["default"]["NAME"] = str(self.file)
        connections["default"].settings_dict["NAME"] = str(self.file)

    def __exit__(self, *exception):
        connections.close_all()
        connections.settings["default"]["NAME"] = self.before
        connections["default"].settings_dict["NAME"] = self.before


@dataclass
class Site:
    database_file: Path
    media: Path

    @property
    def environment(self) -> dict[str, str]:
        """What another process needs to work on the same database and files."""
        return {
            "DJANGO_SETTINGS_MODULE": "workshop_django.config.settings",
            "SECRET_KEY": "only-for-tests",
            "DEBUG": "true",
            "DATABASE_URL": sqlite_url(self.database_file),
            "MEDIA_ROOT": str(self.media),
            "APP_KEY": APP_KEY,
            "SYNC_ENDPOINTS": ENDPOINT,
        }

    def thumbnails(self) -> list[Path]:
        return list((self.media / "thumbnails").glob("*"))


def picture(size=(40, 30), mode="RGB", format="PNG", color=None, **options) -> bytes:
    """An image file."""
    buffer = io.BytesIO()
    Pillow.new(mode, size, color or 0).save(buffer, format, **options)
    return buffer.getvalue()


def save_image(title="a picture", content: bytes | None = None):
    """Save a gallery.Image, as code of a project would."""
    from django.core.files.base import ContentFile

    from workshop_django.gallery.models import Image

    return Image.objects.create(title=title, file=ContentFile(content or picture(), name="picture.png"))


def unannounced_image(content: bytes | None = None):
    """An image that is in the gallery already: its message is none of the test's business."""
    with override_settings(SYNC_ENDPOINTS=[]):
        return save_image(content=content)


def in_threads(call: Callable, arguments: Iterable, threads: int = 8) -> list:
    """call(argument) for each argument, in threads that start together and leave no database connection open."""
    arguments = list(arguments)
    start = threading.Barrier(min(threads, len(arguments)))
    local = threading.local()

    def one(argument):
        if not hasattr(local, "started"):
            local.started = True
            start.wait()
        try:
            return call(argument)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(start.parties) as pool:
        return list(pool.map(one, arguments))


def bodies(sqs, queue_url: str) -> list[str]:
    """Receive and delete everything in the queue."""
    received = []
    while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            received.append(message["Body"])
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return received


def child_environment(**variables: str) -> dict[str, str]:
    return {**os.environ, **variables}
