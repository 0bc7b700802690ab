"""The real parts as processes, with a proxy wherever two of them speak, and the account of what became of each save.

with Pipeline(folder) as pipeline:
    pipeline.save(8, random)
    pipeline.mend()          # start again what was killed; all proxies behave
    pipeline.settle()        # until nothing is under way
    pipeline.account()

sender --proxy--> SQS <--proxy-- relay         Each part has its own proxy to SQS; what the function posts goes
                  SQS <--proxy-- mapping       through another one and the tunnel to the receiver.
                                 mapping --proxy--> tunnel --> receiver
"""

import io
import itertools
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import boto3
import httpx
import psutil
from PIL import Image
from pyngrok import ngrok

from workshop.cloud import aws_environment
from workshop.folders import CHECKOUT, sqlite_url
from workshop.lab import tunnel
from workshop.lab.django_server import DjangoServer
from workshop.lab.local_aws import LocalAws
from workshop.lab.processes import Child, free_port
from workshop.names import RECEIVER_PATH

from .proxy import Proxy

VISIBILITY_TIMEOUT = 1  # seconds: how soon a message that failed comes back
DELIVERY_TIMEOUT = 0.5  # seconds
MAX_RECEIVE_COUNT = 3
LONGEST = 60  # seconds until nothing is under way any more
LOOK = 0.05  # seconds between two looks


class NotSettled(RuntimeError):
    """After a fault was mended, something was still under way for far too long."""


@dataclass
class Account:
    """What became of each save, by its title; and messages that tell of no image, by their id."""

    saved: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)  # no effect yet; its message can be seen
    lost: list[str] = field(default_factory=list)  # neither
    doubled: list[str] = field(default_factory=list)
    ghosts: list[str] = field(default_factory=list)  # sent, and its transaction was rolled back

    @property
    def wrong(self) -> str:
        """What is not as promised, in words; nothing if all is."""
        found = {"lost": self.lost, "doubled": self.doubled, "sent without having been saved": self.ghosts}
        return "; ".join(f"{what}: {', '.join(titles)}" for what, titles in found.items() if titles)


class Pipeline:
    """`database_url` is SQLite's in `folder` unless it is given; a PostgreSQL must be empty. The parts run the product
    that lies in the folder `code`.
    """

    def __init__(self, folder: Path, database_url: str = "", code: Path = CHECKOUT):
        self.folder = folder
        self.code = code
        self.media = folder / "media"
        self.media.mkdir(parents=True)
        self.database_url = database_url or sqlite_url(folder / "db.sqlite3")
        self._environment_before = dict(os.environ)
        self._key = secrets.token_urlsafe(32)
        self._timers: list[threading.Timer] = []
        self._acknowledged: list[str] = []
        self._run = ""
        self._number = itertools.count()
        self._stack: list[Callable[[], None]] = []
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Pipeline":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _start(self) -> None:
        no_proxy = dict.fromkeys(["NO_PROXY", "no_proxy"], "127.0.0.1")  # a company's reaches no server of this machine
        aws_environment.apply(aws_environment.sheltered() | no_proxy)
        self._stack.append(lambda: aws_environment.apply(_difference(self._environment_before)))
        migrate = [sys.executable, "-m", "workshop_django.manage", "migrate", "-v0", "--skip-checks"]
        migrating = subprocess.Popen(migrate, env=os.environ | self._environment_of_django(), cwd=self.code)
        self._stack.append(migrating.wait)
        self.aws = LocalAws(self.folder)
        self._stack.append(self.aws.stop)
        self.aws.start()
        aws_environment.apply(aws_environment.local(self.aws.endpoint_url))
        boto3.DEFAULT_SESSION = None
        self.sqs = boto3.client("sqs")
        self.dead_letter_queue_url = self.sqs.create_queue(QueueName="faults-dlq")["QueueUrl"]
        policy = {"deadLetterTargetArn": self._arn(self.dead_letter_queue_url), "maxReceiveCount": MAX_RECEIVE_COUNT}
        self.queue_url = self.sqs.create_queue(
            QueueName="faults",
            Attributes={"VisibilityTimeout": str(VISIBILITY_TIMEOUT), "RedrivePolicy": json.dumps(policy)},
        )["QueueUrl"]
        self.to_sqs = {name: Proxy(self.aws.endpoint_url) for name in ("sender", "relay", "mapping")}
        self.to_receiver = Proxy()
        self._stack += [proxy.close for proxy in self.proxies]
        if migrating.wait():
            raise RuntimeError("The database could not be made. What manage.py migrate said stands above.")
        self.parts: dict[str, DjangoServer | Child] = {}
        for name in ("sender", "receiver"):
            environment = self._environment(name)
            self.parts[name] = DjangoServer(self.folder / name, port=free_port(), env=environment, cwd=self.code)
        modules = {
            "relay": ("workshop_django.manage", ["relay_outbox", "--watch", "--interval", "0.1"]),
            "mapping": ("workshop.faults.mapping", [self.queue_url]),
        }
        for name, (module, arguments) in modules.items():
            environment = self._environment(name)
            self.parts[name] = Child(name, module, arguments, folder=self.folder, env=environment, cwd=self.code)
        tunnel.configure(self.folder, None)
        self._stack += [tunnel.restore, *(part.stop for part in self.parts.values())]
        self.mend()

    @property
    def proxies(self) -> list[Proxy]:
        return [*self.to_sqs.values(), self.to_receiver]

    def _environment(self, part: str) -> dict[str, str]:
        proxied = self.to_sqs.get(part)
        return self._environment_of_django() | {
            "AWS_ENDPOINT_URL": proxied.url if proxied else self.aws.endpoint_url,
            "SQS_QUEUE_URL": self.queue_url,
            "SYNC_ENDPOINTS": self.to_receiver.url + RECEIVER_PATH,
            "ENDPOINT_ALLOWLIST": "127.0.0.1",
            "DELIVERY_TIMEOUT": str(DELIVERY_TIMEOUT),
        }

    def _environment_of_django(self) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "workshop.faults.settings",
            "SECRET_KEY": self._key,
            "DEBUG": "true",
            "DATABASE_URL": self.database_url,
            "MEDIA_ROOT": str(self.media),
            "APP_KEY": self._key,
        }

    def _arn(self, queue_url: str) -> str:
        answer = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]

    # One run

    def begin(self, run: str) -> None:
        """Forget what an earlier run may have left under way. Titles begin with `run`, and a number of their own."""
        self._run, self._acknowledged = f"{run}-{next(self._number)}", []
        for url in (self.queue_url, self.dead_letter_queue_url):
            self._take(url)
        self.sql("DELETE FROM sqs_outboxmessage WHERE sent_at IS NULL")
        self.sql("DELETE FROM gallery_image WHERE id NOT IN (SELECT image_id FROM image_sync_thumbnail)")

    def save(self, count: int, random: Random) -> None:
        """Upload pictures as browsers do, several at a time. What is answered well is acknowledged."""
        pictures = [(f"{self._run}-{number}", _picture(random)) for number in range(count)]
        with ThreadPoolExecutor(random.randint(1, 4)) as people:
            self._acknowledged += filter(None, people.map(self._upload, pictures))

    def _upload(self, picture: tuple[str, bytes]) -> str | None:
        title, content = picture
        with suppress(httpx.TransportError, KeyError), httpx.Client(base_url=self.parts["sender"].url) as browser:
            browser.get("/")
            token = {"csrfmiddlewaretoken": browser.cookies["csrftoken"], "title": title}
            answer = browser.post("/", data=token, files={"file": ("picture.png", content)}, timeout=30)
            return title if answer.status_code == httpx.codes.FOUND else None
        return None

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Part of a fault: in so many seconds, do this."""
        timer = threading.Timer(seconds, do)
        self._timers.append(timer)
        timer.start()

    def kill(self, part: str) -> None:
        if part == "tunnel":
            ngrok.get_ngrok_process().proc.kill()
            self.to_receiver.upstream = ""
        else:
            self.parts[part].kill()

    def let_it_happen(self) -> None:
        """Wait until the fault has happened, or can no longer: then nothing is left that it could meet."""
        deadline = time.monotonic() + LONGEST
        while not (all(proxy.done for proxy in self.proxies) and not any(timer.is_alive() for timer in self._timers)):
            if not self._under_way() or time.monotonic() > deadline:
                break
            time.sleep(LOOK)

    def mend(self) -> None:
        """Start again what was killed. All proxies behave, and whatever a sender that died had claimed is due."""
        for timer in self._timers:
            timer.join()
        self._timers.clear()
        for proxy in self.proxies:
            proxy.behave()
        with ThreadPoolExecutor() as starters:
            list(starters.map(lambda part: part.alive or part.start(), self.parts.values()))
        if not self.to_receiver.upstream:
            ngrok.kill()
            self.to_receiver.upstream = ngrok.connect(self.parts["receiver"].port).public_url
        self.sql("UPDATE sqs_outboxmessage SET not_before = created_at WHERE sent_at IS NULL")

    def settle(self) -> None:
        """Wait until every message has arrived, or is a dead letter. Raises NotSettled."""
        deadline = time.monotonic() + LONGEST
        while any(left := self._under_way()):
            if time.monotonic() > deadline:
                raise NotSettled(f"{left[0]} wait in the outbox, {left[1]} in the queue, {LONGEST} s after mending.")
            time.sleep(LOOK)

    def bring_back(self) -> int:
        """Send every dead letter to the queue again, as a redrive does: with a new message id. Returns how many."""
        letters = self._take(self.dead_letter_queue_url)
        for body in letters:
            self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=body)
        return len(letters)

    def account(self) -> Account:
        """Asked of the database and the queues themselves, when all has settled."""
        images = {key: (title, number) for title, key, number in self._images()}
        names = {number: title for title, number in images.values()}
        bodies = self._take(self.queue_url) + self._take(self.dead_letter_queue_url)
        bodies += [body for (body,) in self.sql("SELECT body FROM sqs_outboxmessage WHERE sent_at IS NULL")]
        told = [json.loads(body)["data"]["image_id"] for body in bodies if '"id"' in body]  # poison has none
        account = Account(sorted(names.values()))
        account.lost += sorted(set(self._acknowledged) - set(names.values()))  # answered "saved", and not there
        account.ghosts += [f"image {number}" for number in told if number not in names]
        effects = self.sql("SELECT image_id, file FROM image_sync_thumbnail")
        for number, title in names.items():
            files = [file for image, file in effects if image == number and (self.media / file).stat().st_size]
            if len(files) > 1:
                account.doubled.append(title)
            elif not files:
                (account.waiting if number in told else account.lost).append(title)
        return account

    def _images(self) -> list[tuple[Any, ...]]:
        rows = self.sql("SELECT title, announcement_id, id FROM gallery_image")
        return [row for row in rows if row[0].startswith(f"{self._run}-")]

    def _under_way(self) -> tuple[int, int] | tuple[()]:
        """How many messages are in the outbox and in the queue; nothing where neither holds any."""
        unsent = self.sql("SELECT count(*) FROM sqs_outboxmessage WHERE sent_at IS NULL")[0][0]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        queued = sum(int(answer["Attributes"][name]) for name in names)
        return (unsent, queued) if unsent or queued else ()

    def _take(self, queue_url: str) -> list[str]:
        """Receive and delete everything in a queue."""
        bodies: list[str] = []
        while messages := self.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database past Django, which is on trial here."""
        if self.database_url.startswith("sqlite"):
            with closing(sqlite3.connect(self.folder / "db.sqlite3", timeout=20, isolation_level=None)) as database:
                return database.execute(statement).fetchall()
        import psycopg

        with psycopg.connect(self.database_url, autocommit=True, application_name="account") as database:
            cursor = database.execute(statement)
            return cursor.fetchall() if cursor.description else []

    # What the parts hold

    def processes(self, part: str) -> list[psutil.Process]:
        process = psutil.Process(self.parts[part].pid)
        return [process, *process.children(recursive=True)]

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        while self._stack:
            self._stack.pop()()
        boto3.DEFAULT_SESSION = None


def _difference(before: dict[str, str]) -> dict[str, str | None]:
    return {**dict.fromkeys(os.environ.keys() - before.keys()), **before}


def _picture(random: Random) -> bytes:
    """Of a few hundred bytes, or of about a hundred thousand."""
    side = random.choice([16, 190])
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.randbytes(3 * side * side)).save(buffer, "PNG")
    return buffer.getvalue()
