"""More receivers, each a Django of its own with its own key and database, as other teams would run them.

receiver = ExtraReceiver(folder, "team-blue")
receiver.start()         # several may be started at once, each on a thread
receiver.add(image)      # it must know the image that a message will name
receiver.app             # {"endpoint": ..., "key": ...}, for a message's "apps"
receiver.server.stop()   # an outage; receiver.server.start() ends it, at the same port
receiver.stop()          # the end
"""

import secrets
import shutil
import threading
from copy import copy
from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from workshop.folders import sqlite_url
from workshop.names import RECEIVER_PATH

from .django_server import DjangoServer
from .processes import free_port

_migrating = threading.Lock()


class ExtraReceiver:
    """A Django server with its own SQLite file, media folder and APP_KEY. Needs Django set up here, too.

    A new receiver of the same name, as when a notebook runs again, replaces the one before and all that it stored.
    """

    _open: ClassVar[dict[str, "ExtraReceiver"]] = {}

    def __init__(self, folder: Path, name: str):
        if before := self._open.get(name):
            before.stop()
        self._open[name] = self
        self.name = name
        self.key = secrets.token_urlsafe(32)
        self._folder = folder / name
        shutil.rmtree(self._folder, ignore_errors=True)
        self.media = self._folder / "media"
        self.media.mkdir(parents=True)
        self._database = self._folder / "db.sqlite3"
        self.server = DjangoServer(
            self._folder,
            port=free_port(),
            env={
                "APP_KEY": self.key,
                "DATABASE_URL": sqlite_url(self._database),
                "MEDIA_ROOT": str(self.media),
                "DJANGO_LOG_FILE": "",
            },
        )
        connections.databases[name] = _settings_of(self._database)

    @property
    def app(self) -> dict[str, str]:
        return {"endpoint": self.server.url + RECEIVER_PATH, "key": self.key}

    def start(self) -> None:
        shutil.copyfile(_migrated(self._folder.parent), self._database)
        self.server.start()

    def stop(self) -> None:
        """Stop the server and forget the database. Safe to call again."""
        self.server.stop()
        if self._open.get(self.name) is self:
            connections[self.name].close()
            del connections[self.name], connections.databases[self.name], self._open[self.name]

    def add(self, image) -> None:
        """Give this receiver its own copy of a gallery image, under the same id; nothing is sent."""
        file = self.media / image.file.name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(settings.MEDIA_ROOT) / image.file.name, file)
        # A copy, because the row that is created remembers its database, and `image` belongs to another one.
        type(image).objects.using(self.name).bulk_create([copy(image)])

    def log(self) -> str:
        """What its Django has logged so far."""
        return self.server.log_path.read_text(encoding="utf-8", errors="replace")

    def received(self):
        """What this receiver has processed, as a queryset."""
        from workshop_django.inbox.models import ReceivedMessage

        return ReceivedMessage.objects.using(self.name)

    def thumbnails(self):
        """What it has made of it, as a queryset."""
        from workshop_django.image_sync.models import Thumbnail

        return Thumbnail.objects.using(self.name)


def _migrated(folder: Path) -> Path:
    """A SQLite file with empty tables, made once for all receivers: to copy it is quicker than to migrate each."""
    file = folder / "migrated.sqlite3"
    with _migrating:
        if not file.exists():
            unfinished = file.with_suffix(".unfinished")
            unfinished.unlink(missing_ok=True)
            connections.databases["migrated"] = _settings_of(unfinished)
            call_command("migrate", database="migrated", verbosity=0, interactive=False)
            connections["migrated"].close()
            del connections["migrated"], connections.databases["migrated"]
            unfinished.replace(file)
    return file


def _settings_of(file: Path) -> dict:
    """The default database's settings, for another file: Django's own way to a second database."""
    return {**connections.databases["default"], "NAME": str(file)}
