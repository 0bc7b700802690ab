"""The source guide's section 7, its complete test, typed into terminals: send, watch the function, watch Django.

Its commands are word for word the guide's, but for what everyone has to fill in: the endpoint, the key, and where
Django's log is. All else comes from what `python3 -m workshop deploy` prints.
"""

import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from django_site import picture
from PIL import Image as Pillow

from workshop.folders import CHECKOUT
from workshop.lab.processes import free_port

TIMEOUT = 120  # seconds that one step may take on a slow machine

SEND_MESSAGE = r"""
aws sqs send-message \
    --queue-url https://sqs.us-east-1.amazonaws.com/123456789012/image-processing-sync \
    --message-body '{"apps": [{"endpoint": "https://abc123.ngrok.io/api/v1/image-processing-sync", "key": "YOUR_SECURE_APP_KEY"}], "data": {"image_id": 1}}'
"""  # noqa: E501
LAMBDA_LOGS = "aws logs tail /aws/lambda/func_sqs_sync --follow"
DJANGO_LOGS = "tail -f /var/log/django/django.log"

pytestmark = pytest.mark.skipif(shutil.which("tail") is None, reason="there is no tail here")


class Terminal:
    """A shell that runs `script`, line by line, and keeps what it shows."""

    def __init__(self, script: str, folder, environment: dict[str, str]):
        self.shown: list[str] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            ["sh", "-c", script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self.shown.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, *texts: str) -> str:
        """The first line that has all the texts, as soon as it is shown."""
        deadline = time.monotonic() + TIMEOUT
        with self._news:
            while True:
                for line in self.shown:
                    if all(text in line for text in texts):
                        return line
                ended = not self._reader.is_alive()
                if ended or not self._news.wait(deadline - time.monotonic()):
                    pytest.fail(f"{texts} not shown{', and it ended' if ended else ''}:\n" + "\n".join(self.shown))

    def press_ctrl_c(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(TIMEOUT)

    def close(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self._reader.join(10)
        self.process.stdout.close()


@pytest.fixture
def checkout(tmp_path):
    """A copy of the checkout, because deploy writes into its .env and Django into its database."""
    folder = tmp_path / "a checkout"
    for name in ("workshop", "workshop_django", "infra", "requirements"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("db.sqlite3*", "media"))
    for name in ("lambda_function.py", "requirements.txt", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, folder)
    # What an editable installation leaves, found here first: else the command would make a .venv for the copy.
    installed = folder / "django_sqs_lambda_workshop-1.0.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: django-sqs-lambda-workshop\nVersion: 1.0.0\n")
    origin = {"url": folder.resolve().as_uri(), "dir_info": {"editable": True}}
    (installed / "direct_url.json").write_text(json.dumps(origin))
    return folder


@pytest.fixture
def terminal(checkout, aws_cli, tmp_path):
    """terminal(script) -> a Terminal in the checkout, where `aws` is the AWS CLI. Closed at the end."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "aws").symlink_to(aws_cli)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DJANGO_", "WORKSHOP_"))}
    environment = {
        **kept,
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(tmp_path),  # no profile of a person's
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONUNBUFFERED": "1",
    }
    opened = []

    def open_terminal(script: str) -> Terminal:
        opened.append(Terminal(script, checkout, environment))
        return opened[-1]

    yield open_terminal
    for each in reversed(opened):
        each.close()


def indented(printed: list[str], after: str) -> list[str]:
    """The lines to be typed that `deploy` printed below the line that begins with `after`."""
    start = next(number for number, line in enumerate(printed) if line.startswith(after)) + 1
    end = next(number for number in range(start, len(printed) + 1) if not printed[number].startswith("  "))
    return [line.strip() for line in printed[start:end]]


def upload_a_picture(url: str) -> None:
    """As a person does, on the gallery's page, as soon as it is there."""
    deadline = time.monotonic() + TIMEOUT
    with httpx.Client(base_url=url) as browser:
        while True:
            try:
                browser.get("/")
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline, "Django does not answer"
                time.sleep(0.05)
        form = {"title": "Hills", "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        answer = browser.post("/", data=form, files={"file": ("hills.png", picture())})
        assert answer.status_code == 302, answer.text


def thumbnail_of(checkout: Path, message_id: str) -> Path:
    """Where the receiver stored what it made last; that it has handled that message, the query demands, too."""
    with closing(sqlite3.connect(checkout / ".workshop/deployed/db.sqlite3")) as database:
        query = "SELECT file FROM inbox_receivedmessage, image_sync_thumbnail WHERE idempotency_key = ?"
        query += " ORDER BY made_at DESC"
        (name,) = database.execute(query, [message_id]).fetchone()
    return checkout / ".workshop/deployed/media" / name


def test_the_guides_complete_test_passes_in_terminals_as_it_stands(checkout, terminal):
    deploy = terminal("trap '' INT; exec python3 -m workshop deploy")  # as a script's background job begins
    deploy.wait_for("Ctrl-C stops it")
    port = free_port()  # in place of 8000, which may be taken here
    printed = [line.replace("8000", str(port)) for line in deploy.shown]
    django_url = f"http://127.0.0.1:{port}"
    before_django = indented(printed, "Django, in another terminal.")
    key = next(line for line in before_django if line.startswith("export APP_KEY=")).partition("=")[2]
    log = shlex.split(next(line for line in before_django if "DJANGO_LOG_FILE" in line))[1].partition("=")[2]

    terminal("\n".join(before_django))
    upload_a_picture(django_url)

    def typed(command: str) -> str:
        command = command.replace("https://abc123.ngrok.io", django_url).replace("YOUR_SECURE_APP_KEY", key)
        return "\n".join(
            [
                *indented(printed, "The guide's commands"),
                command.replace("/var/log/django/django.log", shlex.quote(log)),
            ]
        )

    send = terminal(typed(SEND_MESSAGE))
    send.wait_for("}")
    message_id = json.loads("".join(send.shown))["MessageId"]
    function_log = terminal(typed(LAMBDA_LOGS))
    django_log = terminal(typed(DJANGO_LOGS))
    same_log = terminal("exec python3 -m workshop logs --follow")

    django_log.wait_for(message_id, "processed")
    with Pillow.open(thumbnail_of(checkout, message_id)) as image:
        image.verify()
    for shown in (function_log, same_log):
        shown.wait_for("INFO", message_id, "'status': 200", "/api/v1/image-processing-sync")
        request_id = re.search(r"RequestId: (\S+)", shown.wait_for("START RequestId"))[1]
        shown.wait_for("END RequestId", request_id)
        shown.wait_for("REPORT RequestId", request_id, "Billed Duration")

    # The guide's own command is printed, too, with the local address in it.
    assert [line for line in printed if re.sub(r" --endpoint-url \S+", "", line).strip() == LAMBDA_LOGS]
    assert "SQS_QUEUE_URL" in (checkout / ".env").read_text()
    assert deploy.press_ctrl_c() == 130
    assert not (checkout / ".env").exists()


def test_destroy_ends_the_terminal_with_deploy_which_says_why(terminal):
    deploy = terminal("exec python3 -m workshop deploy")
    deploy.wait_for("Ctrl-C stops it")
    assert terminal("exec python3 -m workshop destroy").process.wait(TIMEOUT) == 0
    assert deploy.process.wait(TIMEOUT) == 0
    after = deploy.shown[deploy.shown.index(deploy.wait_for("Ctrl-C stops it")) + 1 :]
    assert ["destroy" in line for line in after if line] == [True]
