"""The same project on PostgreSQL: a real server, migrated, served, its outbox relayed by two at once."""

import http.client
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from django_site import APP_KEY, ENDPOINT, RECEIVER, bodies, child_environment, picture

from workshop.lab.django_server import DjangoServer
from workshop.lab.processes import free_port

pytest_plugins = ["postgresql"]

MANAGE = Path(__file__).parent.parent.parent / "workshop_django" / "manage.py"


@pytest.fixture
def environment(postgres, tmp_path):
    (tmp_path / "media").mkdir()
    return {
        "DJANGO_SETTINGS_MODULE": "workshop_django.config.settings",
        "SECRET_KEY": "only-for-tests",
        "DEBUG": "true",
        "DATABASE_URL": postgres,
        "MEDIA_ROOT": str(tmp_path / "media"),
        "APP_KEY": APP_KEY,
        "SYNC_ENDPOINTS": ENDPOINT,
    }


@pytest.fixture
def manage(environment):
    """manage("relay_outbox", SQS_QUEUE_URL=...) -> the running command."""

    def manage(*arguments, **variables):
        return subprocess.Popen(
            [sys.executable, MANAGE, *arguments],
            env=child_environment(**environment, **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return manage


@pytest.fixture
def server(environment, manage, tmp_path):
    """The site on the migrated database, without a queue to send to."""
    assert manage("migrate", "-v0").wait() == 0
    server = DjangoServer(tmp_path, port=free_port(), env={**environment, "SQS_QUEUE_URL": ""})
    server.start()
    yield server
    server.stop()


# As on a database that has no SKIP LOCKED
WITHOUT_SKIP_LOCKED = [
    *("shell", "--no-imports", "--command"),
    "from django.core.management import call_command; from django.db import connection; "
    "connection.features.has_select_for_update_skip_locked = False; call_command('relay_outbox')",
]


def in_threads(call, arguments) -> list:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(call, arguments))


def test_uploads_wait_two_relays_send_each_once_and_concurrent_duplicates_are_processed_once(
    server, manage, postgres, make_queue, sqs, tmp_path
):
    # Twenty images are uploaded, as a browser does, while there is no queue.
    def upload(number):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/")
        response = connection.getresponse()
        cookie = response.headers["Set-Cookie"].split(";")[0]
        token = response.read().decode().partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        parts = [
            b'Content-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n' + token.encode(),
            b'Content-Disposition: form-data; name="file"; filename="%d.png"\r\n\r\n' % number + picture(),
        ]
        body = b"".join(b"--limit\r\n" + part + b"\r\n" for part in parts) + b"--limit--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=limit", "Cookie": cookie}
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status

    assert in_threads(upload, range(20)) == [302] * 20
    with psycopg.connect(postgres) as connection:
        image_ids = [row[0] for row in connection.execute("SELECT id FROM gallery_image ORDER BY id")]
        assert connection.execute("SELECT count(*) FROM sqs_outboxmessage WHERE sent_at IS NULL").fetchone() == (20,)

    queue_url = make_queue()
    both = [manage(*command, SQS_QUEUE_URL=queue_url) for command in (["relay_outbox"], WITHOUT_SKIP_LOCKED)]
    assert sum(int(relay.communicate()[0].split()[1]) for relay in both) == 20
    assert sorted(json.loads(body)["data"]["image_id"] for body in bodies(sqs, queue_url)) == image_ids

    # Every message is delivered four times at once.
    def deliver(image_id):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        headers = {
            "Authorization": f"Token {APP_KEY}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"message-{image_id}",
        }
        connection.request("POST", RECEIVER, json.dumps({"image_id": image_id}), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())["message"]

    answers = in_threads(deliver, [image_id for image_id in image_ids for _ in range(4)])
    assert answers.count((200, "Data processed successfully")) == 20
    assert answers.count((200, "Already processed")) == 60
    with psycopg.connect(postgres) as connection:
        assert connection.execute("SELECT count(*) FROM image_sync_thumbnail").fetchone() == (20,)
    assert len(list((tmp_path / "media" / "thumbnails").iterdir())) == 20

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/")
    assert connection.getresponse().read().decode().count('class="state processed"') == 20


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a process can handle")
def test_a_watching_relay_outlives_cut_connections_and_a_database_that_is_not_migrated_yet(
    manage, postgres, make_queue, sqs
):
    queue_url = make_queue()
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        relay = manage("relay_outbox", "--watch", "--interval", "0.1", SQS_QUEUE_URL=queue_url)
        assert "Watching" in relay.stdout.readline()
        complaints = [relay.stderr.readline()]
        assert manage("migrate", "-v0").wait() == 0
        for number in range(3):
            connection.execute(
                "INSERT INTO sqs_outboxmessage (body, idempotency_key, created_at, not_before, message_id, attempts,"
                " last_error) VALUES (%s, %s, now(), now(), '', 0, '')",
                [json.dumps({"id": f"message-{number}", "data": {}}), f"message-{number}"],
            )
            assert relay.stdout.readline() == "sent 1\n"
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            complaints.append(relay.stderr.readline())
    assert ["The database does not answer" in complaint for complaint in complaints] == [True] * 4
    relay.terminate()
    said, complained = relay.communicate(timeout=60)
    assert (relay.returncode, said) == (0, "Stopped.\n")
    assert "Traceback" not in complained
    assert len(bodies(sqs, queue_url)) == 3
