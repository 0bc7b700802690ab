"""More receivers, each a Django of its own with its own key and database, as other teams would run them.

receiver = ExtraReceiver(folder, "team-blue")
receiver.start()
receiver.add(image)      # it must know the image that a message will name
receiver.app             # {"endpoint": ..., "key": ...}, for a message's "apps"
"""

import secrets
import shutil
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from .django_server import DjangoServer
from .processes import free_port

RECEIVER_PATH = "/api/v1/image-processing-sync"


class ExtraReceiver:
    """A Django server with its own SQLite file, media folder and APP_KEY. Needs Django set up here, too."""

    def __init__(self, folder: Path, name: str):
        self.name = name
        self.key = secrets.token_urlsafe(32)
        self._folder = folder / name
        self.media = self._folder / "media"
        self.media.mkdir(parents=True)
        database = self._folder / "db.sqlite3"
        self.server = DjangoServer(
            self._folder,
            port=free_port(),
            env={
                "APP_KEY": self.key,
                "DATABASE_URL": f"sqlite:///{database.as_posix()}",
                "MEDIA_ROOT": str(self.media),
                "DJANGO_LOG_FILE": "",
            },
        )
        # The same settings as the default database, in another file: Django's own way to a second database.
        connections.databases[name] = {**connections.databases["default"], "NAME": str(database)}

    @property
    def app(self) -> dict[str, str]:
        return {"endpoint": self.server.url + RECEIVER_PATH, "key": self.key}

    def start(self) -> None:
        call_command("migrate", database=self.name, verbosity=0, interactive=False)
        self.server.start()

    def stop(self) -> None:
        self.server.stop()
        connections[self.name].close()
        del connections[self.name], connections.databases[self.name]

    def add(self, image) -> None:
        """Give this receiver its own copy of a gallery image, under the same id; nothing is sent."""
        copy = self.media / image.file.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(settings.MEDIA_ROOT) / image.file.name, copy)
        type(image).objects.using(self.name).bulk_create([image])

    def received(self):
        """What this receiver has stored, as a queryset."""
        from workshop_django.image_sync.models import ReceivedMessage

        return ReceivedMessage.objects.using(self.name)
