"""A fresh SQLite file and media folder for each test of workshop_django, in process and served."""

import shutil
from pathlib import Path

import django
import pytest
from django.core.management import call_command
from django.test import Client
from django.test.utils import override_settings
from django_site import APP_KEY, ENDPOINT, Site, database

from workshop.folders import sqlite_url
from workshop.lab.django_server import DjangoServer
from workshop.lab.processes import free_port
from workshop.run_folders import run_folder


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory) -> Path:
    """A migrated, empty SQLite file to copy. Sets Django up in this process, with the files that a Lab would use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_SETTINGS_MODULE", "workshop_django.config.settings")
        patch.setenv("SECRET_KEY", "only-for-tests")
        patch.setenv("DEBUG", "true")
        patch.setenv("DATABASE_URL", sqlite_url(run_folder() / "db.sqlite3"))
        patch.setenv("MEDIA_ROOT", str(run_folder() / "media"))
        django.setup()
    file = tmp_path_factory.mktemp("migrated") / "db.sqlite3"
    with database(file):
        call_command("migrate", verbosity=0, interactive=False)
    return file


@pytest.fixture
def django_site(migrated_database, tmp_path):
    """Django in this process on an empty database, with a key, an endpoint to announce to, and no queue."""
    media = tmp_path / "media"
    media.mkdir()
    file = tmp_path / "db.sqlite3"
    shutil.copyfile(migrated_database, file)
    settings = override_settings(
        MEDIA_ROOT=str(media),
        ALLOWED_HOSTS=["*"],
        APP_KEY=APP_KEY,
        APP_KEY_FALLBACKS=[],
        SYNC_ENDPOINTS=[ENDPOINT],
        SQS_QUEUE_URL="",
    )
    with settings, database(file):
        yield Site(file, media)


@pytest.fixture
def client(django_site) -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def queue_url(django_site, make_queue):
    """A queue on the local AWS, which the settings name."""
    url = make_queue()
    with override_settings(SQS_QUEUE_URL=url):
        yield url


@pytest.fixture
def served_site(django_site, tmp_path):
    """The same site, served as a lab serves it: its URL."""
    server = DjangoServer(tmp_path, port=free_port(), env=django_site.environment)
    server.start()
    yield server.url
    server.stop()
