"""The laboratory: every part of the pipeline, running on this machine, opened by a notebook with one line.

    lab = Lab()          # local AWS, queue, Django; says in words what runs where
    lab.close()          # or: with Lab() as lab: ...

What it starts dies with the notebook's kernel. What it changes in the environment it puts back.
"""

import atexit
import json
import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

import boto3
import django
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from django.core.management import call_command
from django.db import connections
from django.test.utils import override_settings
from pyngrok import ngrok

from workshop.cloud import aws_environment, choices
from workshop.cloud.aws_account import AwsError, identify
from workshop.cloud.terminal import for_the_aws_cli
from workshop.folders import sqlite_url
from workshop.foreseen import Foreseen
from workshop.names import ACCOUNT_ID, DEAD_LETTER_QUEUE_NAME, QUEUE_NAME, RECEIVER_PATH, REGION
from workshop.run_folders import run_folder

from . import browser, tunnel
from .closed import LabClosed, in_a_notebook, watch
from .django_server import DjangoServer
from .local_aws import LocalAws
from .processes import ProcessFailed, free_port, is_free

FUNCTION_TIMEOUT = 30  # seconds
VISIBILITY_TIMEOUT = 6 * FUNCTION_TIMEOUT  # seconds: six times the function's timeout is AWS's advice
ENVIRONMENT_FILE = "environment.json"  # in the run folder of an open lab
MAX_RECEIVE_COUNT = 3  # deliveries of a message before SQS moves it to the dead-letter queue

IMPATIENT = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})  # is anybody there?


class LabError(Foreseen):
    """The lab cannot open. The message says what was wrong and what to do."""


class Lab:
    """Local AWS (or the real one, or the server at AWS_ENDPOINT_URL), the queues, Django, and a tunnel.

    `queue` and `django` say which parts to start; `expose` opens a tunnel to Django with `ngrok.connect` and
    sends messages through it. `visibility_timeout` (seconds) and `max_receive_count` are the queue's.
    `django_environment` is added to what Django's settings read. Each sentence about what runs where goes to `say`;
    `quiet` says nothing.

    Raises LabError, SettingsError or ProcessFailed, each saying what to do.
    """

    _open: "Lab | None" = None
    closed = False  # was the lab of this notebook closed, with no other opened since?

    def __init__(
        self,
        *,
        queue: bool = True,
        django: bool = True,
        expose: bool = False,
        visibility_timeout: int = VISIBILITY_TIMEOUT,
        max_receive_count: int = MAX_RECEIVE_COUNT,
        django_environment: dict[str, str] | None = None,
        quiet: bool = False,
        say: Callable[[str], None] = print,
    ):
        if Lab._open is not None:
            Lab._open.close()  # Run All a second time in one kernel: the new lab replaces the old one
        self.folder = _run_folder()
        self.settings = choices.load()
        self.app_key = secrets.token_urlsafe(32)
        self._secret_key = secrets.token_urlsafe(50)  # Django signs with it: another than the key that callers have
        self.public_url: str | None = None
        self.queue_url: str | None = None
        self.dead_letter_queue_url: str | None = None
        self.server: DjangoServer | None = None
        self._aws: LocalAws | None = None
        self._visibility_timeout = visibility_timeout
        self._max_receive_count = max_receive_count
        self._django_environment = django_environment or {}
        self._environment_before: dict[str, str | None] = {}
        self._overridden: override_settings | None = None
        self._say = (lambda text: None) if quiet else say
        Lab._open, Lab.closed = self, False
        atexit.register(self.close)
        watch(_is_closed)
        try:
            self._export(**_past_the_proxy())
            self._start_aws()
            if queue:
                self._create_queues()
            elif not self.settings.real_aws:
                self._delete_queues()
            which_agent = tunnel.configure(self.folder, self.settings.ngrok_authtoken)
            if django:
                self._say(f"Tunnel  {which_agent}")
                self._start_django(expose)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    # What runs where

    @property
    def django_url(self) -> str:
        return self.server.url

    @property
    def django_port(self) -> int:
        return self.server.port

    @property
    def receiver_endpoint(self) -> str:
        """Where the Lambda posts: through the tunnel if there is one."""
        return (self.public_url or self.django_url) + RECEIVER_PATH

    @property
    def endpoint_url(self) -> str | None:
        """The address of the AWS in use; None means the real one."""
        return self._aws.endpoint_url if self._aws else self.settings.endpoint_url

    def show_terminal_settings(self) -> None:
        """Print the lines that lead the AWS CLI in another terminal to the AWS of this lab."""
        if self.settings.real_aws:
            print("The AWS CLI finds your account by itself. Keys are not printed here.")
            return
        print(for_the_aws_cli(self.endpoint_url))

    # Stopping a part on purpose, and starting it again

    def stop_aws(self) -> None:
        """Take the local AWS away, as an outage would. Its messages are lost: moto keeps them in memory."""
        self._require_local_aws("stop_aws")
        self._aws.stop()

    def start_aws(self) -> None:
        """Bring the local AWS back at the same address, with the same queues, empty. Does nothing if it runs."""
        self._require_local_aws("start_aws")
        if Lab._open is not self:
            raise LabClosed
        if self._aws.alive:
            return
        self._aws.start()
        if self.queue_url:
            self._create_queues()

    def restart_django(self, **environment: str) -> None:
        """Start Django again at the same port with other settings, for example ALLOWED_HOSTS="..."."""
        if Lab._open is not self:
            raise LabClosed
        self.server.stop()
        self._django_environment |= environment
        self.server = DjangoServer(self.folder, port=self.server.port, env=self._environment_of_django())
        self.server.start()
        self._export(**self._environment_of_django())
        self._note_environment()

    def close(self) -> None:
        """Stop what the lab started and put the environment back. Safe to call again.

        In a notebook, what is run afterwards and still needs AWS or the database raises LabClosed.
        """
        with ExitStack() as last:  # done also when stopping a part fails
            last.callback(self._restore_environment)
            if self._aws:
                last.callback(self._aws.stop)
            last.callback(tunnel.restore)
            if self._overridden:
                last.callback(self._overridden.disable)
                last.callback(connections.close_all)
                self._overridden = None
            if self.server:
                (self.folder / ENVIRONMENT_FILE).unlink(missing_ok=True)
                self.server.stop()
        atexit.unregister(self.close)
        if Lab._open is self:
            Lab._open, Lab.closed = None, in_a_notebook()
            if Lab.closed:  # or Django would speak of a loop before anybody could speak of the lab
                os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

    def _restore_environment(self) -> None:
        for name, value in self._environment_before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._environment_before.clear()
        boto3.DEFAULT_SESSION = None

    # Starting, in the order in which the parts need each other

    def _start_aws(self) -> None:
        if self.settings.real_aws:
            self._use_real_aws()
            return
        if self.settings.endpoint_url:
            self._say(f"AWS     the server at {self.settings.endpoint_url}, which AWS_ENDPOINT_URL names.")
        else:
            self._aws = LocalAws(self.folder)
            self._aws.start()
            self._say(f"AWS     local (moto): account {ACCOUNT_ID}, region {REGION}. Nothing leaves this machine.")
        self._export(**aws_environment.local(self.endpoint_url))
        boto3.DEFAULT_SESSION = None  # it keeps the credentials that it once found
        if self.settings.endpoint_url:
            self._require_sqs_there()

    def _require_sqs_there(self) -> None:
        sqs = boto3.client("sqs", config=IMPATIENT)
        try:
            sqs.get_queue_url(QueueName=QUEUE_NAME)["QueueUrl"]
        except sqs.exceptions.QueueDoesNotExist:
            pass  # so says an SQS server
        except (BotoCoreError, ClientError, ResponseParserError, KeyError) as error:
            raise LabError(
                f"AWS_ENDPOINT_URL is {self.settings.endpoint_url}, and no SQS server answers there "
                f"({_reason(error)}). Start it, or remove AWS_ENDPOINT_URL from the environment and from .env."
            ) from None

    def _use_real_aws(self) -> None:
        self._export(**aws_environment.real(self.settings.values))
        boto3.DEFAULT_SESSION = None
        try:
            account = identify()
        except AwsError as error:
            raise LabError(
                f"WORKSHOP_AWS=real, but AWS did not say who you are. {error} "
                "Or write WORKSHOP_AWS=local to work without an account."
            ) from None
        self._say(
            f"AWS     REAL: account {account.id} as {account.arn}, region {account.region}. "
            "What you do here is kept and may cost money."
        )

    def _create_queues(self) -> None:
        sqs = boto3.client("sqs")
        if self.settings.real_aws:
            self.queue_url = self._existing_queue(sqs)
            self.dead_letter_queue_url = _dead_letter_queue_of(sqs, self.queue_url)
        else:
            self.dead_letter_queue_url = _fresh_queue(
                sqs, DEAD_LETTER_QUEUE_NAME, MessageRetentionPeriod=str(14 * 24 * 3600)
            )
            self.queue_url = _fresh_queue(
                sqs,
                QUEUE_NAME,
                VisibilityTimeout=str(self._visibility_timeout),
                RedrivePolicy=json.dumps(
                    {
                        "deadLetterTargetArn": _arn(sqs, self.dead_letter_queue_url),
                        "maxReceiveCount": self._max_receive_count,
                    }
                ),
            )
        self._export(SQS_QUEUE_URL=self.queue_url)
        dead_letters = "no dead-letter queue"
        if self.dead_letter_queue_url:
            dead_letters = f"the dead-letter queue {_name(self.dead_letter_queue_url)}"
        self._say(f"Queue   {_name(self.queue_url)}, with {dead_letters}")

    def _delete_queues(self) -> None:
        """A chapter that creates the queues itself finds none of an earlier one on a server that keeps them."""
        sqs = boto3.client("sqs")
        for url in sqs.list_queues(QueueNamePrefix=QUEUE_NAME).get("QueueUrls", []):
            sqs.delete_queue(QueueUrl=url)

    def _existing_queue(self, sqs) -> str:
        """On a real account nothing is created in passing: the queue must be there."""
        if url := self.settings.values.get("SQS_QUEUE_URL"):
            return url
        try:
            return sqs.get_queue_url(QueueName=QUEUE_NAME)["QueueUrl"]
        except sqs.exceptions.QueueDoesNotExist:
            raise LabError(
                f"Your account has no queue {QUEUE_NAME} in this region, and .env has no SQS_QUEUE_URL. "
                "Create it with: python3 -m workshop deploy --aws"
            ) from None

    def _start_django(self, expose: bool) -> None:
        for attempt in range(3):  # the free port may be taken between asking for it and using it
            port = free_port()
            self.server = DjangoServer(self.folder, port=port)
            if expose:
                self.public_url = tunnel.connect(port)
            self._export(**self._environment_of_django())
            try:
                self.server.start(meanwhile=self._open_database)
                break
            except ProcessFailed:
                if attempt == 2 or is_free(port):
                    raise
                if expose:
                    ngrok.disconnect(self.public_url)
        self._note_environment()
        self._say(f"Django  {self.django_url}" + (f", through the tunnel {self.public_url}" if expose else ""))

    def _environment_of_django(self) -> dict[str, str]:
        hosts = ["127.0.0.1", "localhost"]
        if self.public_url:
            hosts.append(urlsplit(self.public_url).hostname)
        return {
            "DJANGO_SETTINGS_MODULE": "workshop_django.config.settings",
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Django's own switch for notebooks, where a loop is running
            "SECRET_KEY": self._secret_key,
            "DEBUG": "true",
            "ALLOWED_HOSTS": ",".join(hosts),
            "CSRF_TRUSTED_ORIGINS": ",".join(filter(None, [self.public_url, browser.origin(self.server.port)])),
            "DATABASE_URL": sqlite_url(self.folder / "db.sqlite3"),
            "MEDIA_ROOT": str(self.folder / "media"),
            "APP_KEY": self.app_key,
            "SQS_QUEUE_URL": self.queue_url or "",
            "SYNC_ENDPOINTS": self.receiver_endpoint,
            **self._django_environment,
        }

    def _note_environment(self) -> None:
        """For `python3 -m workshop manage`: what leads another process here. It has keys, and the folder is ours."""
        variables = {name: os.environ.get(name) for name in self._environment_before}
        (self.folder / ENVIRONMENT_FILE).write_text(json.dumps(variables), encoding="utf-8")

    def _open_database(self) -> None:
        """Set Django up in this process, too, with an empty database that the server shares."""
        django.setup()
        from django.conf import settings as django_settings

        if self._overridden:
            self._overridden.disable()
        self._overridden = override_settings(
            APP_KEY=self.app_key,
            SQS_QUEUE_URL=self.queue_url or "",
            SYNC_ENDPOINTS=[self.receiver_endpoint],
        )
        self._overridden.enable()
        connections.close_all()
        shutil.rmtree(django_settings.MEDIA_ROOT, ignore_errors=True)
        for file in self.folder.glob("db.sqlite3*"):
            file.unlink()
        call_command("migrate", verbosity=0, interactive=False)

    def _require_local_aws(self, what: str) -> None:
        if not self._aws:
            raise LabError(f"{what}() needs the local AWS; this lab uses {self.endpoint_url or 'a real account'}.")

    def _export(self, **variables: str | None) -> None:
        """Set (or, with None, clear) variables for this process and its children; close() puts them back."""
        for name, value in variables.items():
            self._environment_before.setdefault(name, os.environ.get(name))
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _is_closed() -> bool:
    return Lab.closed


def _forget() -> None:
    """A process that was forked ends nothing that belongs to the one that it came from."""
    if Lab._open:
        atexit.unregister(Lab._open.close)
        Lab._open = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _run_folder() -> Path:
    try:
        return run_folder()
    except OSError as error:
        raise LabError(
            f"The workshop cannot write to {error.filename} ({error.strerror}). "
            "Move the checkout to a folder that you may write to, or free some disk space."
        ) from error


def _past_the_proxy() -> dict[str, str]:
    """Variables that keep boto3 and pyngrok from asking a company's proxy for a server on this machine."""
    proxies = getproxies_environment()
    if not proxies.keys() - {"no"}:
        return {}
    direct = ",".join(filter(None, [proxies.get("no"), "127.0.0.1", "localhost"]))
    return {"no_proxy": direct, "NO_PROXY": direct}


def _fresh_queue(sqs, name: str, **attributes: str) -> str:
    """Create a queue, in place of the one that is there: another server may keep its queues.

    Emptying that one would not do: it has its own rules, SQS empties a queue once a minute, and not what is in flight.
    """
    try:
        sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])
    except sqs.exceptions.QueueDoesNotExist:
        pass
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def _dead_letter_queue_of(sqs, url: str) -> str | None:
    """The URL of the queue that a queue's redrive policy names; None where there is none, or it cannot be seen."""
    try:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"]).get("Attributes", {})
        arn = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"]
        return sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
    except (KeyError, ClientError):
        return None


def _name(queue_url: str) -> str:
    return queue_url.rsplit("/", 1)[-1]


def _reason(error: Exception) -> str:
    return str(error).strip().rstrip(".")


def _arn(sqs, url: str) -> str:
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
