"""What the environment and .env say, and what the project answers: settings, system checks, schema, migrations."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.core import checks
from django.core.management import call_command
from django.test.utils import override_settings
from django_site import APP_KEY

from workshop.folders import sqlite_url

CHECKOUT = Path(__file__).parent.parent.parent
PRODUCTION = {
    "SECRET_KEY": "x9f-Wn2_8kQz7LmP4rTv6YbC1dEh3GjK5sAuNpXqZwRyBtVo-9Hs4",
    "DEBUG": "",
    "ALLOWED_HOSTS": "gallery.example",
    "CSRF_TRUSTED_ORIGINS": "https://gallery.example",
    "DATABASE_URL": "sqlite://:memory:",
    "APP_KEY": "p7Gz-4Kc_Qm9XwLr2TnVb8YdHs5JfEa3",
    "SYNC_ENDPOINTS": "https://one.example/api/v1/image-processing-sync",
    "SECURE_PROXY_SSL_HEADER": "X-Forwarded-Proto",
}

OWN_KEY = "a-key-of-its-own"  # of an app; not in a function, for a report shows the lines around


def manage(*arguments, project=CHECKOUT, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, project / "workshop_django" / "manage.py", *arguments],
        env={**os.environ, **PRODUCTION, **environment},
        cwd=project,
        capture_output=True,
        text=True,
    )


def reason(finished: subprocess.CompletedProcess) -> str:
    """The last line of what it complained of: the exception."""
    assert finished.returncode == 1, finished.stdout
    return finished.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A checkout of its own, in a folder of an awkward name, whose .env a test may write."""
    folder = tmp_path_factory.mktemp("checkout") / "kit%20main"
    shutil.copytree(CHECKOUT / "workshop_django", folder / "workshop_django", ignore=shutil.ignore_patterns("media"))
    return folder


def test_for_production_the_deployment_check_has_nothing_to_say():
    finished = manage("check", "--deploy", "--fail-level", "DEBUG")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.strip() == "System check identified no issues (0 silenced)."


def test_migrations_are_complete(django_site):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)  # ends the process if they are not


def test_the_openapi_schema_is_valid_without_a_warning_and_names_every_status(django_site, tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yaml"))
    schema = (tmp_path / "schema.yaml").read_text("utf-8")
    assert [status for status in (200, 400, 401, 404, 411, 413, 422, 500) if f"'{status}':" not in schema] == []
    assert "Authorization" in schema


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("SECRET_KEY", "", "Write SECRET_KEY="),
        ("DEBUG", "yes please", "Write DEBUG=true or DEBUG=false"),
        ("DATABASE_URL", "nonsense", "Write for example DATABASE_URL="),
        ("DATABASE_URL", "mongodb://user:pass-word@host/db", "Write for example DATABASE_URL="),
        ("SQS_QUEUE_URL", "image-processing-sync", "Write SQS_QUEUE_URL=https://"),
        ("AWS_SECRET_ACCESS_KEY", "", "Set both, or neither"),
        ("AWS_ACCESS_KEY_ID", "", "Set both, or neither"),
        ("DJANGO_LOG_FILE", "/no/such/folder/django.log", "folder that does not exist"),
    ],
)
def test_a_missing_or_malformed_value_names_the_variable_and_what_to_write(variable, value, advice):
    said = reason(manage("check", **{variable: value}))
    assert said.startswith("django.core.exceptions.ImproperlyConfigured:")
    assert variable in said
    assert advice in said
    assert "pass-word" not in said


def test_values_come_from_env_file_and_the_environment_wins(project):
    (project / ".env").write_text("\ufeffAPP_KEY=from the file\nAWS_REGION_NAME=eu-west-1 # a comment\n", "utf-8")
    environment = {**os.environ, **PRODUCTION, "AWS_REGION_NAME": "sa-east-1"}
    del environment["APP_KEY"], environment["DATABASE_URL"]
    code = (
        "from workshop_django.config.settings import *; print(APP_KEY, AWS_REGION_NAME, DATABASES['default']['NAME'])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=environment, capture_output=True, text=True
    )
    database = project / "workshop_django" / "db.sqlite3"
    assert finished.stdout.strip() == f"from the file sa-east-1 {database.as_posix()}", finished.stderr


def test_an_env_file_in_another_encoding_is_named(project):
    (project / ".env").write_text("SECRET_KEY=abc\n", "utf-16")  # as PowerShell's > writes it
    assert ".env is not UTF-8" in reason(manage("check", project=project))
    (project / ".env").unlink()


def test_without_debug_the_site_is_closed_to_plain_http_and_only_a_named_header_of_a_proxy_is_believed():
    code = """
from django.conf import settings
from django.test import Client
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
client = Client(headers={"host": "gallery.example"})
print(client.get("/healthz").status_code, client.get("/api/schema").status_code,
      client.get("/api/schema", headers={"X-Forwarded-Proto": "https"}).status_code)
"""
    assert manage("shell", "--no-imports", "-c", code).stdout.split() == ["200", "301", "200"]
    finished = manage("shell", "--no-imports", "-c", code, SECURE_PROXY_SSL_HEADER="")
    assert finished.stdout.split() == ["200", "301", "301"]


def test_the_log_goes_to_the_file_that_the_settings_name_and_holds_no_key(tmp_path):
    log = tmp_path / "django.log"
    code = "import logging; logging.getLogger('workshop_django').warning('olá'); logging.getLogger('django').info('x')"
    manage("shell", "--no-imports", "-c", code, DJANGO_LOG_FILE=str(log))
    assert log.read_text("utf-8").splitlines()[0].endswith("WARNING workshop_django: olá")
    assert PRODUCTION["APP_KEY"] not in log.read_text("utf-8")


def test_a_report_of_an_error_shows_no_key_wherever_it_stands(django_site):
    from django.conf import settings
    from django.views.debug import get_exception_reporter_class

    message = {"apps": [{"endpoint": "https://one.example/", "key": OWN_KEY}], "note": "shown"}
    settings_with_keys = {
        "SYNC_ENDPOINTS": ["https://one.example/|their-key"],
        "APP_KEY_FALLBACKS": ["an-old-key"],
        "AWS_SECRET_ACCESS_KEY": "a<secret>&",
    }
    with override_settings(**settings_with_keys):
        sql = ["INSERT", APP_KEY, "their-key", "an-old-key", settings.SECRET_KEY, "a<secret>&", json.dumps(message)]
        try:
            raise OSError(f"could not run {sql} for {message}")
        except OSError:
            reporter = get_exception_reporter_class(None)(None, *sys.exc_info())
        reports = [reporter.get_traceback_html(), reporter.get_traceback_text()]
    keys = ("their-key", "an-old-key", APP_KEY, settings.SECRET_KEY, "a&lt;secret&gt;", OWN_KEY)
    assert [key for key in keys for report in reports if key in report] == []
    assert all("shown" in report for report in reports)


def test_the_command_of_env_example_makes_a_secret_key_that_is_fit_for_production():
    example = (CHECKOUT / ".env.example").read_text("utf-8")
    code = re.findall(r'python -c "(.*)"', example.partition("#SECRET_KEY=")[0])[-1]
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert manage("check", "--deploy", "--fail-level", "WARNING", SECRET_KEY=made).returncode == 0


def test_sqlite_lets_readers_and_one_writer_work_at_once_and_has_writers_wait(django_site):
    from django.db import connection

    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert cursor.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL
        assert cursor.execute("PRAGMA busy_timeout").fetchone() == (20_000,)
    assert connection.transaction_mode == "IMMEDIATE"


# System checks


@pytest.mark.parametrize("table", ["image_sync_receivedmessage (id)", "sqs_outboxmessage (id, body)"])
def test_a_database_of_an_older_checkout_is_recognised_by_whatever_is_run_first(tmp_path, table):
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as connection:
        connection.execute(f"CREATE TABLE {table}")
    for command in ("migrate", "relay_outbox"):
        finished = manage(command, DATABASE_URL=sqlite_url(tmp_path / "db.sqlite3"))
        assert finished.returncode == 1
        assert "before version 1.0" in finished.stderr
        assert "delete it" in finished.stderr


def warned(**settings) -> list[str]:
    with override_settings(**settings):
        return [found.id for found in checks.run_checks() if found.id.startswith(("inbox.", "gallery."))]


def test_the_keys_of_these_tests_are_fine(django_site):
    assert warned() == []


def test_no_endpoints_are_warned_of(django_site):
    assert warned(SYNC_ENDPOINTS=[]) == ["gallery.W001"]
