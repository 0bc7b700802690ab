"""The lab: opens every part with one line, names them in words, and leaves nothing behind, however it ends."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import fauxqs
import httpx
import psutil
import pytest
from django_site import picture

from lambda_function import lambda_handler
from workshop import EventSourceMapping, Lab, run_folders
from workshop.cloud.aws_environment import LOCAL, PREFIXES, SETTINGS
from workshop.cloud.choices import SettingsError
from workshop.folders import CHECKOUT
from workshop.lab import lab as lab_module
from workshop.lab.lab import LabError
from workshop.lab.local_aws import LocalAws
from workshop.names import QUEUE_NAME
from workshop.run_folders import remove_unused_run_folders, run_folder


@pytest.fixture(autouse=True)
def one_lab_at_a_time(request):
    """A test that opens its own lab begins without one, and leaves none open."""
    if Lab._open and "lab" not in request.fixturenames:
        Lab._open.close()
    yield
    if Lab._open and "lab" not in request.fixturenames:
        Lab._open.close()


@pytest.fixture(scope="module")
def lab():
    """A lab with all its parts, for the tests that leave it as it is. `lab.said` is what it said."""
    said = []
    lab = Lab(expose=True, say=said.append)
    lab.said = said
    yield lab
    lab.close()


def until(happened, timeout=20):
    deadline = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def runs(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answers(url):
    with httpx.Client(timeout=10) as client:
        return client.get(f"{url}/healthz").status_code == 200


def listens(url):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1]))) == 0


def save_image():
    from django.core.files.base import ContentFile

    from workshop_django.gallery.models import Image

    return Image.objects.create(title="a picture", file=ContentFile(picture(), name="picture.png"))


def waiting(sqs, url):
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


# A lab with all its parts. (The lab is one for these tests; each leaves its queue empty.)


def test_it_says_in_words_what_runs_where(lab):
    assert lab.said == [
        "AWS     local (moto): account 123456789012, region us-east-1. Nothing leaves this machine.",
        "Queue   image-processing-sync, with the dead-letter queue image-processing-sync-dlq",
        "Tunnel  the offline agent, because there is no NGROK_AUTHTOKEN: ngrok.connect() stays on this machine",
        f"Django  {lab.django_url}, through the tunnel {lab.public_url}",
    ]


def test_the_parts_that_it_names_are_there(lab):
    assert boto3.client("sts", endpoint_url=lab.endpoint_url).get_caller_identity()["Account"] == "123456789012"
    assert answers(lab.django_url)
    assert answers(lab.public_url)
    assert lab.django_url == f"http://127.0.0.1:{lab.django_port}"
    assert lab.receiver_endpoint == lab.public_url + "/api/v1/image-processing-sync"
    assert lab.server.log_path.exists()
    assert os.environ["SECRET_KEY"] != lab.app_key
    assert lab.folder.parent == CHECKOUT / ".workshop" / "runs"


def test_the_queue_has_a_dead_letter_queue_and_awss_advice_for_a_timeout(lab):
    sqs = boto3.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=lab.queue_url, AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "180"
    dead = sqs.get_queue_attributes(QueueUrl=lab.dead_letter_queue_url, AttributeNames=["All"])["Attributes"]
    policy = json.loads(attributes["RedrivePolicy"])
    assert policy == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 3}
    assert dead["MessageRetentionPeriod"] == "1209600"  # 14 days


def test_a_saved_image_comes_through_the_whole_pipeline(lab):
    from workshop_django.image_sync.models import Thumbnail

    image = save_image()
    mapping = EventSourceMapping(lab.queue_url, lambda_handler)
    mapping.run_until_empty()
    assert (mapping.delivered, mapping.failed) == (1, 0)
    received = Thumbnail.objects.get(image=image)
    assert Path(received.file.path).is_relative_to(lab.folder / "media")


def test_the_lines_that_it_shows_lead_the_aws_cli_in_another_terminal_to_the_queue(lab, aws_cli, capsys, tmp_path):
    lab.show_terminal_settings()
    shown = capsys.readouterr().out
    assert f"--endpoint-url {lab.endpoint_url}" in shown  # `aws` before 2.13 reads no AWS_ENDPOINT_URL
    settings = dict(re.findall(r"(?:export |\$env:)(\w+) ?= ?\"?([^\"\n]*)", shown))
    assert settings.keys() == {"AWS_ENDPOINT_URL", *LOCAL}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    sent = subprocess.run(
        [aws_cli, "--endpoint-url", settings["AWS_ENDPOINT_URL"], "sqs", "list-queues"],
        env={**clean, **settings, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert lab.queue_url in json.loads(sent.stdout)["QueueUrls"]


def test_django_starts_again_at_the_same_port_with_other_settings(lab):
    before = lab.django_url
    lab.restart_django(APP_KEY_FALLBACKS="an-old-key")
    assert lab.django_url == before
    post = {"json": {"image_id": 999_999}, "headers": {"Authorization": "Token an-old-key"}}
    assert httpx.post(lab.receiver_endpoint, **post).status_code == 404  # no such image, but the key is good
    lab.restart_django(APP_KEY_FALLBACKS="")
    assert httpx.post(lab.receiver_endpoint, **post).status_code == 401


def test_settings_that_django_refuses_are_told_with_its_log_and_the_next_ones_work(lab):
    with pytest.raises(lab_module.ProcessFailed, match="DEBUG is 'perhaps'"):
        lab.restart_django(DEBUG="perhaps")
    lab.restart_django(DEBUG="true")
    assert answers(lab.django_url)


def test_aws_goes_away_and_comes_back_at_the_same_address_with_the_same_queues_empty(lab):
    sqs = boto3.client("sqs")
    sqs.send_message(QueueUrl=lab.queue_url, MessageBody="lost")
    address = lab.endpoint_url
    lab.stop_aws()
    assert not listens(address)
    lab.start_aws()
    assert lab.endpoint_url == address
    assert waiting(sqs, lab.queue_url) == 0
    sqs.send_message(QueueUrl=lab.queue_url, MessageBody="kept")
    lab.start_aws()  # runs already
    assert waiting(sqs, lab.queue_url) == 1
    sqs.purge_queue(QueueUrl=lab.queue_url)


def test_ten_images_saved_while_sqs_is_away_are_delivered_once_each_after_one_relay(lab):
    from django.core.management import call_command

    from workshop_django.image_sync.models import Thumbnail

    lab.stop_aws()
    images = [save_image() for _ in range(10)]
    assert all(image.pk for image in images)
    lab.start_aws()
    call_command("relay_outbox")
    mapping = EventSourceMapping(lab.queue_url, lambda_handler)
    mapping.run_until_empty(timeout=30)
    assert (mapping.delivered, mapping.failed) == (10, 0)
    received = Thumbnail.objects.filter(image__in=images)
    assert sorted(received.values_list("image_id", flat=True)) == [image.pk for image in images]
    assert len({row.file.name for row in received}) == 10


@pytest.fixture(scope="module")
def another_server_of_moto(tmp_path_factory):
    aws = LocalAws(tmp_path_factory.mktemp("another"))
    aws.start()
    yield aws.endpoint_url
    aws.stop()


@pytest.fixture
def another_aws(another_server_of_moto):
    """The address of a local AWS that no lab started, empty."""
    httpx.post(f"{another_server_of_moto}/moto-api/reset").raise_for_status()
    return another_server_of_moto


# One lab after another


def test_a_second_lab_replaces_the_first_and_the_environment_is_put_back_in_the_end():
    before = dict(os.environ)
    first = Lab(expose=True, quiet=True)
    save_image()
    with Lab(quiet=True) as second:
        assert [listens(url) for url in (first.endpoint_url, first.django_url, first.public_url)] == [False] * 3
        assert os.environ["AWS_ENDPOINT_URL"] == second.endpoint_url
        from workshop_django.gallery.models import Image

        assert Image.objects.count() == 0
        save_image()
        assert waiting(boto3.client("sqs"), second.queue_url) == 1
    assert [listens(url) for url in (second.endpoint_url, second.django_url)] == [False] * 2
    assert dict(os.environ) == before
    second.close()
    first.close()
    assert dict(os.environ) == before


def test_with_no_queue_and_no_django_it_is_an_empty_aws_alone():
    with Lab(queue=False, django=False, quiet=True) as lab:
        assert lab.queue_url is None
        assert boto3.client("sqs").list_queues().get("QueueUrls", []) == []


def test_the_queues_rules_can_be_chosen(another_aws, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", another_aws)
    with Lab(django=False, visibility_timeout=2, max_receive_count=5, quiet=True) as lab:
        attributes = boto3.client("sqs").get_queue_attributes(QueueUrl=lab.queue_url, AttributeNames=["All"])
    assert attributes["Attributes"]["VisibilityTimeout"] == "2"
    assert json.loads(attributes["Attributes"]["RedrivePolicy"])["maxReceiveCount"] == 5


def test_an_exception_in_the_block_closes_it():
    with pytest.raises(ZeroDivisionError), Lab(django=False, quiet=True) as lab:
        1 / 0  # noqa: B018
    assert not listens(lab.endpoint_url)
    assert Lab._open is None


def test_what_stopping_a_part_raises_does_not_keep_the_rest_open(monkeypatch):
    before = dict(os.environ)
    lab = Lab(django=False, quiet=True)
    restore = lab_module.tunnel.restore
    monkeypatch.setattr(lab_module.tunnel, "restore", lambda: (restore(), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        lab.close()
    assert not listens(lab.endpoint_url)
    assert dict(os.environ) == before
    monkeypatch.undo()
    lab.close()


def test_when_the_port_for_django_is_taken_meanwhile_it_takes_another(monkeypatch, another_aws):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        ports = [taken]
        free_port = lab_module.free_port
        monkeypatch.setattr(lab_module, "free_port", lambda: ports.pop() if ports else free_port())
        monkeypatch.setenv("AWS_ENDPOINT_URL", another_aws)
        with Lab(expose=True, quiet=True) as lab:
            from django.conf import settings

            assert lab.django_port != taken
            assert answers(lab.public_url)
            assert lab.receiver_endpoint == settings.SYNC_ENDPOINTS[0]


# Another server, or the real AWS


@pytest.fixture(params=["moto", "fauxqs"])
def another_server(request):
    """The address of an SQS server that is not the lab's."""
    if request.param == "moto":
        yield request.getfixturevalue("another_aws")
    else:
        with fauxqs.running() as url:
            yield url


def test_the_server_that_aws_endpoint_url_names_is_used_and_left_running(another_server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", another_server)
    said = []
    for _ in range(2):  # the second lab finds the queues of the first, and begins with empty ones, too
        with Lab(django=False, say=said.append) as lab:
            assert lab.endpoint_url == another_server
            sqs = boto3.client("sqs")
            sqs.send_message(QueueUrl=lab.queue_url, MessageBody="a")
            assert waiting(sqs, lab.queue_url) == 1
            with pytest.raises(LabError, match=r"stop_aws\(\) needs the local AWS; this lab uses http://127"):
                lab.stop_aws()
    with Lab(django=False, visibility_timeout=5, quiet=True) as lab:  # and gives them the rules that it was asked for
        attributes = sqs.get_queue_attributes(QueueUrl=lab.queue_url, AttributeNames=["VisibilityTimeout"])
        assert attributes["Attributes"]["VisibilityTimeout"] == "5"
    assert listens(another_server)
    assert said[0] == f"AWS     the server at {another_server}, which AWS_ENDPOINT_URL names."


def test_a_server_that_is_not_there_is_a_sentence_that_names_the_variable(monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
    before = dict(os.environ)
    with pytest.raises(LabError, match="AWS_ENDPOINT_URL is http://127.*no SQS server answers there.*Start it, or"):
        Lab(quiet=True)
    assert dict(os.environ) == before


@pytest.mark.parametrize("answer", [(200, {}, b"<html>hello</html>"), (404, {}, b"<html>what?</html>"), (200, {}, b"")])
def test_a_server_that_is_no_sqs_server_is_a_sentence_that_names_the_variable(receiver, monkeypatch, answer):
    receiver.answer = lambda request: answer
    monkeypatch.setenv("AWS_ENDPOINT_URL", receiver.url)
    with pytest.raises(LabError, match="AWS_ENDPOINT_URL is http://127.*no SQS server answers there"):
        Lab(django=False, quiet=True)


@pytest.mark.parametrize(
    ("variable", "value"), [("WORKSHOP_AWS", "yes"), ("WORKSHOP_AWS", "rael"), ("AWS_ENDPOINT_URL", "localhost:4566")]
)
def test_a_malformed_choice_is_named_and_corrected_the_next_lab_opens(monkeypatch, another_aws, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"{variable} is '{value}'"):
        Lab(django=False)
    monkeypatch.setenv("WORKSHOP_AWS", "local")
    monkeypatch.setenv("AWS_ENDPOINT_URL", another_aws)
    with Lab(django=False, quiet=True) as lab:
        assert lab.queue_url


@pytest.fixture
def real(monkeypatch):
    """WORKSHOP_AWS=real, with nothing else that a person would set."""
    monkeypatch.setenv("WORKSHOP_AWS", "real")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_real_aws_without_credentials_is_a_sentence_that_says_what_to_check(real):
    with pytest.raises(LabError, match="WORKSHOP_AWS=real, .*No AWS credentials.*WORKSHOP_AWS=local"):
        Lab()


@pytest.mark.parametrize("trouble", ["half of the credentials", "no network", "no such profile", "no region"])
def test_real_aws_in_any_trouble_is_a_sentence(real, trouble):
    real.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    if trouble != "half of the credentials":
        real.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    if trouble == "no network":
        real.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    if trouble == "no such profile":
        real.setenv("AWS_PROFILE", "of-nobody")
    if trouble == "no region":
        real.delenv("AWS_DEFAULT_REGION")
        real.delenv("AWS_REGION_NAME")
    with pytest.raises(LabError, match="WORKSHOP_AWS=real, but AWS did not say who you are") as caught:
        Lab()
    assert "secret" not in str(caught.value)


@pytest.fixture
def real_account(real, another_aws):
    """The real AWS, played by a server: a boto3 client of the person's own."""
    real.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    real.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    real.setenv("AWS_ENDPOINT_URL", another_aws)
    return boto3.client("sqs")


def test_on_a_real_account_it_says_which_and_uses_what_is_there_and_changes_nothing(real_account, capsys):
    dead = real_account.create_queue(QueueName="my-dead-letters")["QueueUrl"]
    arn = real_account.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 7})
    url = real_account.create_queue(QueueName=QUEUE_NAME, Attributes={"RedrivePolicy": policy})["QueueUrl"]
    real_account.send_message(QueueUrl=url, MessageBody="mine")
    with Lab(django=False) as lab:
        assert lab.queue_url == url
        assert lab.dead_letter_queue_url == dead
        assert os.environ["AWS_ACCESS_KEY_ID"] == "AKIAEXAMPLE"
        lab.show_terminal_settings()
        with pytest.raises(LabError, match=r"stop_aws\(\) needs the local AWS; this lab uses"):
            lab.stop_aws()
    said = capsys.readouterr().out
    assert "AWS     REAL: account 123456789012 as arn:aws:sts::123456789012:" in said
    assert "What you do here is kept and may cost money." in said
    assert "Queue   image-processing-sync, with the dead-letter queue my-dead-letters" in said
    assert "secret" not in said
    assert waiting(real_account, url) == 1
    assert len(real_account.list_queues()["QueueUrls"]) == 2


def test_on_a_real_account_the_queue_of_the_settings_is_used(real_account, real):
    url = real_account.create_queue(QueueName="my-own-queue")["QueueUrl"]
    real.setenv("SQS_QUEUE_URL", url)
    said = []
    with Lab(django=False, say=said.append) as lab:
        assert (lab.queue_url, lab.dead_letter_queue_url) == (url, None)
    assert said[1] == "Queue   my-own-queue, with no dead-letter queue"


def test_on_a_real_account_without_the_queue_nothing_is_created_but_a_sentence_says_how(real_account):
    with pytest.raises(LabError, match="no queue image-processing-sync.*python3 -m workshop deploy --aws"):
        Lab(django=False, quiet=True)
    assert real_account.list_queues().get("QueueUrls", []) == []


# What a person has in .env, or around


def test_credentials_that_boto3_found_before_are_not_used_in_the_lab_nor_the_labs_after_it(another_aws, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", another_aws)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")

    def key():
        return boto3.client("sqs")._request_signer._credentials.access_key

    assert key() == "mine"
    with Lab(django=False, quiet=True):
        assert key() == "local"
    assert key() == "mine"


def test_a_folder_that_cannot_be_written_to_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(run_folders, "RUNS_FOLDER", tmp_path / "file" / "runs")
    monkeypatch.setattr(lab_module, "run_folder", run_folder.__wrapped__)
    with pytest.raises(LabError, match="cannot write to .*file.*Move the checkout"):
        Lab(quiet=True)


def test_what_a_person_has_in_the_environment_for_something_else_is_not_there_in_a_lab(another_aws, monkeypatch):
    theirs = {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9", "AWS_PROFILE": "mine", "ENDPOINT_ALLOWLIST": "a.example"}
    theirs |= {"MAX_CONCURRENCY": "0", "DJANGO_LOG_FILE": "/no/such", "APP_KEY_FALLBACKS": "old"}
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", another_aws)  # chosen for the lab
    with Lab(django=False, quiet=True):
        assert not theirs.keys() & os.environ.keys()
        assert os.environ["AWS_REGION"] == os.environ["AWS_DEFAULT_REGION"] == "us-east-1"
        assert boto3.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert theirs.items() <= os.environ.items()


def test_every_variable_that_env_example_explains_is_kept_from_a_lab_but_the_choices():
    explained = set(re.findall(r"^#?([A-Z_]+)=", (CHECKOUT / ".env.example").read_text("utf-8"), re.MULTILINE))
    kept = {name for name in explained if name in SETTINGS or name.startswith(("AWS_", *PREFIXES))}
    assert explained - kept == {"WORKSHOP_AWS", "NGROK_AUTHTOKEN"}


@pytest.fixture
def copied_checkout(tmp_path):
    """A copy of the checkout, in a folder of an awkward name: what is imported there is the copy, with a .env."""
    tmp_path /= "kit%20main"
    tmp_path.mkdir()
    for name in ("workshop", "workshop_django"):
        shutil.copytree(CHECKOUT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3*"))
    shutil.copy(CHECKOUT / "lambda_function.py", tmp_path)
    return tmp_path


UPLOADS = """
import os, sys, httpx, boto3
from types import SimpleNamespace
from workshop import Lab
from workshop.commands import manage

COUNT = "from workshop_django.gallery.models import Image; print('images:', Image.objects.count())"

with Lab(quiet=True) as lab, httpx.Client(base_url=lab.django_url) as browser:
    token = browser.get("/").cookies["csrftoken"]
    files = {"file": ("picture.png", open("picture.png", "rb").read(), "image/png")}
    browser.post("/", data={"csrfmiddlewaretoken": token, "title": "uploaded"}, files=files)
    attributes = boto3.client("sqs").get_queue_attributes(QueueUrl=lab.queue_url, AttributeNames=["All"])["Attributes"]
    print("messages:", attributes["ApproximateNumberOfMessages"], flush=True)
    manage.run(SimpleNamespace(passed_on=["shell", "--no-imports", "-c", COUNT]))
print("left:", [name for name in ("AWS_PROFILE", "SQS_QUEUE_URL", "DJANGO_ENV_FILE") if name in os.environ])
"""


def test_what_is_in_env_reaches_no_part_of_a_local_lab_and_manage_works_on_the_labs_own_database(copied_checkout):
    (copied_checkout / ".env").write_text(
        "AWS_PROFILE=mine\nAWS_ENDPOINT_URL_SQS=http://127.0.0.1:9\nAWS_SESSION_TOKEN=mine\nAPP_KEY=mine\n"
        "SQS_QUEUE_URL=https://sqs.us-east-1.amazonaws.com/123456789012/mine\nDEBUG=perhaps\n"
        "DATABASE_URL=postgres://127.0.0.1:9/mine\nSYNC_ENDPOINTS=https://example.com\nDJANGO_LOG_FILE=/no/such/folder\n"
    )
    (copied_checkout / "picture.png").write_bytes(picture())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DJANGO_"))}
    done = subprocess.run(
        [sys.executable, "-c", UPLOADS], cwd=copied_checkout, env=kept, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout == "messages: 1\nimages: 1\nleft: []\n"


# A cell that is run when the lab is closed

CELLS = """
import asyncio
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(colors="nocolor")

def run(cell):
    asyncio.run(shell.run_cell_async(cell, transformed_cell=cell))

run("import boto3; from workshop import Lab; lab = Lab(quiet=True); sqs = boto3.client('sqs')")
run("from workshop_django.gallery.models import Image; print(Image.objects.count()); lab.close()")
for cell in ("boto3.client('sqs')", "sqs.list_queues()", "Image.objects.count()", "lab.restart_django()"):
    run(cell)
run("lab = Lab(quiet=True, django=False); sqs = boto3.client('sqs')")
run("print(len(sqs.list_queues()['QueueUrls']), 'queues'); lab.close()")
"""


def test_in_a_notebook_what_needs_a_lab_that_is_closed_says_so_in_one_sentence(another_aws):
    theirs = {"AWS_ENDPOINT_URL": another_aws, "AWS_DEFAULT_REGION": "", "AWS_REGION_NAME": ""}
    done = subprocess.run(
        [sys.executable, "-c", CELLS], cwd=CHECKOUT, env={**os.environ, **theirs}, capture_output=True, text=True
    )
    first, *refused, last = done.stdout.splitlines()
    assert (first, last) == ("0", "2 queues")
    assert [line.startswith("LabClosed: The lab is closed") for line in refused] == [True] * 4, done.stdout


# Several at once, and all gone in the end

OPENS = """
import sys, time
import boto3, psutil
from workshop import EventSourceMapping, Lab
from workshop.lab import picture_file

lab = Lab(expose=True, quiet=True)
from workshop_django.gallery.models import Image
Image.objects.create(title="one", file=picture_file(1))
EventSourceMapping(lab.queue_url, lambda event, context: time.sleep(600), batch_size=1)
attributes = boto3.client("sqs").get_queue_attributes(QueueUrl=lab.queue_url, AttributeNames=["All"])["Attributes"]
print(lab.endpoint_url, lab.folder, attributes["ApproximateNumberOfMessages"], Image.objects.count(), flush=True)
print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
sys.stdin.readline()
{ends}
"""

ENDINGS = {
    "kill -9": "",
    "an exception": "raise RuntimeError('no')",
}


@pytest.fixture(scope="module")
def two_labs():
    """Two processes with a lab each, open at the same time: name -> (process, line that it said, its children)."""
    processes = {
        how: subprocess.Popen(
            [sys.executable, "-c", OPENS.format(ends=ends)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for how, ends in ENDINGS.items()
    }
    labs = {}
    for how, process in processes.items():
        said = process.stdout.readline().split()
        labs[how] = (process, said, [psutil.Process(int(pid)) for pid in process.stdout.readline().split()])
    yield labs
    for process in processes.values():
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def seconds_until_gone(children):
    started = time.monotonic()
    until(lambda: not any(runs(child) for child in children), timeout=15)
    return time.monotonic() - started


def test_labs_in_several_processes_at_once_do_not_meet(two_labs):
    said = [line for _, line, _ in two_labs.values()]
    assert [(messages, images) for _, _, messages, images in said] == [("1", "1")] * 2
    assert len({address for address, *_ in said}) == 2
    assert len({folder for _, folder, *_ in said}) == 2


@pytest.mark.parametrize("how", ENDINGS)
def test_however_its_process_ends_no_child_is_left_behind(two_labs, how):
    process, (_, folder, *_), children = two_labs[how]
    assert len(children) >= 3  # AWS, Django, the agent
    if how == "kill -9":
        process.kill()
    else:
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait(30)
    seconds = seconds_until_gone(children)
    print(f"{len(children)} children gone {seconds:.2f} s after {how}")
    if how == "an exception":
        assert not Path(folder).exists()  # it tidied up itself
    process.wait(30)
    deadline = time.monotonic() + 30
    while Path(folder).exists():  # at the latest, the next sweep removes it, unless another is at work on it just now
        assert time.monotonic() < deadline
        remove_unused_run_folders()
