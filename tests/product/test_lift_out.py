"""What is said to lift out, lifts out: copied into a fresh project of another name, with DRF's own defaults."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workshop.lab.processes import Child, free_port, is_free

CHECKOUT = Path(__file__).parent.parent.parent
KEY = "a-key-for-tests-wBvH2xqZ7dK9"

SETTINGS = f"""
import os

INSTALLED_APPS += ["rest_framework", "outgoing", "incoming", "orders"]
APP_KEY = "{KEY}"
SQS_QUEUE_URL = os.environ.get("SQS_QUEUE_URL", "")
SYNC_ENDPOINTS = [os.environ.get("ENDPOINT", "https://one.example/orders")]
"""
MODELS = """
from django.db import models


class Order(models.Model):
    paid = models.PositiveIntegerField(default=0)
"""
URLS = """
from django.db.models import F
from django.urls import path
from incoming.views import InboxApiView
from orders.models import Order
from rest_framework import serializers


class OrderSerializer(serializers.Serializer):
    order_id = serializers.IntegerField()


class OrderPaidView(InboxApiView):
    serializer_class = OrderSerializer

    def process(self, data, prepared):
        Order.objects.filter(pk=data["order_id"]).update(paid=F("paid") + 1)


urlpatterns = [path("orders", OrderPaidView.as_view())]
"""
# In the project's shell: save, take what is in the queue, bring it as Lambda would, twice, and then without the key.
DELIVERY = """
import boto3, json, os, sys, urllib.error, urllib.request
from django.db import transaction
from lambda_function import lambda_handler
from orders.models import Order
from outgoing.outbox import enqueue

with transaction.atomic():
    order = Order.objects.create()
    enqueue({"data": {"order_id": order.pk}})
messages = boto3.client("sqs").receive_message(QueueUrl=os.environ["SQS_QUEUE_URL"], MaxNumberOfMessages=10)["Messages"]
records = [{"messageId": message["MessageId"], "body": message["Body"]} for message in messages]
failed = [lambda_handler({"Records": records}, None)["batchItemFailures"] for _ in range(2)]
order.refresh_from_db()
try:
    urllib.request.urlopen(urllib.request.Request(os.environ["ENDPOINT"], b"{}"))
except urllib.error.HTTPError as error:
    without_key = error.code
kit = sorted(name for name in sys.modules if name.partition(".")[0] in ("workshop", "workshop_django"))
print(json.dumps([len(messages), failed, order.paid, without_key, kit]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A fresh project with an app of its own and the three copies, the folders renamed; nothing leads to this one."""
    project = tmp_path_factory.mktemp("shop")
    subprocess.run([sys.executable, "-m", "django", "startproject", "shop", project], check=True)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "workshop_django" / "sqs", project / "outgoing", ignore=ignore)
    shutil.copytree(CHECKOUT / "workshop_django" / "inbox", project / "incoming", ignore=ignore)
    shutil.copy(CHECKOUT / "lambda_function.py", project)
    (project / "orders").mkdir()
    (project / "orders" / "__init__.py").touch()
    (project / "orders" / "models.py").write_text(MODELS)
    (project / "shop" / "urls.py").write_text(URLS)
    with (project / "shop" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    manage(project, "makemigrations", "orders")
    return project


def manage(project: Path, *arguments: str, **environment: str) -> str:
    finished = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=project,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "shop.settings"} | environment,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_the_copies_pass_the_projects_checks_and_their_own_tests_with_its_test_command(project):
    assert "no issues" in manage(project, "check")
    assert "No changes detected" in manage(project, "makemigrations", "--check")
    assert "Found 0" not in manage(project, "test", "outgoing", "incoming")


def test_an_order_saved_is_delivered_once_and_without_the_key_nobody_gets_in(project, make_queue, tmp_path):
    port = free_port()
    environment = {"SQS_QUEUE_URL": make_queue(), "ENDPOINT": f"http://127.0.0.1:{port}/orders"}
    manage(project, "migrate")
    python_path = {"PYTHONPATH": str(project), "DJANGO_SETTINGS_MODULE": "shop.settings"}
    server = Child("runserver", "django", ["runserver", "--noreload", port], folder=tmp_path, env=python_path)
    server.start(ready=lambda: not is_free(port))
    try:
        said = manage(project, "shell", "--no-imports", "--command", DELIVERY, **environment)
    finally:
        server.stop()
    received, failed, paid, without_key, kit = json.loads(said.splitlines()[-1])
    assert (received, failed, paid) == (1, [[], []], 1)
    assert without_key == 401
    assert kit == []

    many = "from outgoing.outbox import enqueue; [enqueue({'data': {'n': n}}) for n in range(120)]"
    manage(project, "shell", "--no-imports", "--command", many)  # without a queue: they wait
    relay = [sys.executable, "manage.py", "relay_outbox"]
    relays = [
        subprocess.Popen(relay, cwd=project, env=os.environ | environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert sum(int(each.communicate()[0].split()[1]) for each in relays) == 120  # SQLite as Django sets it up


def test_mypy_is_content_with_what_lifts_out(tmp_path):
    environment = os.environ | {"SECRET_KEY": "only-for-tests", "DEBUG": "true"}
    mypy = [sys.executable, "-m", "mypy", "--cache-dir", tmp_path]
    said = subprocess.run(mypy, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert said.stdout.startswith("Success"), said.stdout + said.stderr
