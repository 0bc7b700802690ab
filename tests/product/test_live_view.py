"""The live view: what it shows, to whom, inside which frames, and that it moves by itself in a browser."""

import json
import os
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import boto3
import pytest
from chromium import Chromium
from django.test import Client
from django.test.utils import override_settings
from django_site import APP_KEY, ENDPOINT, RECEIVER, Site, bodies, database, save_image, unannounced_image

from workshop.lab.django_server import DjangoServer
from workshop.lab.processes import free_port


@pytest.fixture
def numbers(client, monkeypatch):
    """numbers() -> the data that the page asks for, fresh from SQS, however long that takes."""
    from workshop_django.live.snapshot import queue

    monkeypatch.setattr(queue, "_patience", 30)

    def numbers():
        queue.forget()
        answer = client.get("/live/data")
        assert answer.status_code == 200
        return answer.json()

    return numbers


@pytest.fixture
def dead_letter_queue(sqs, make_queue, queue_url):
    url = make_queue()
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"RedrivePolicy": policy})
    return url


def receive(image):
    """As the receiver does when the Lambda has posted a message."""
    headers = {"Authorization": f"Token {APP_KEY}"}
    answer = Client(SERVER_NAME="127.0.0.1").post(
        RECEIVER, {"image_id": image.pk}, content_type="application/json", headers=headers
    )
    assert answer.status_code == 200


def at(*places):
    return dict(zip(("outbox", "waiting", "in_flight", "delivered", "dead_letters"), places, strict=True))


# What it shows


def test_a_message_is_counted_at_each_place_that_it_reaches(sqs, queue_url, dead_letter_queue, numbers):
    assert numbers() | at(0, 0, 0, 0, 0) == numbers()
    image = save_image()
    assert numbers() | at(0, 1, 0, 0, 0) == numbers()
    [message] = sqs.receive_message(QueueUrl=queue_url)["Messages"]
    assert numbers() | at(0, 0, 1, 0, 0) == numbers()
    receive(image)
    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    assert numbers() | at(0, 0, 0, 1, 0) == numbers()
    sqs.send_message(QueueUrl=dead_letter_queue, MessageBody="poison")
    assert numbers() | at(0, 0, 0, 1, 1) == numbers()


def test_a_delayed_message_counts_as_waiting(sqs, queue_url, numbers):
    sqs.send_message(QueueUrl=queue_url, MessageBody="later", DelaySeconds=60)
    assert numbers()["waiting"] == 1


def test_a_queue_without_a_dead_letter_queue_has_no_number_for_it(queue_url, numbers):
    assert numbers()["dead_letters"] is None


def test_a_dead_letter_queue_that_cannot_be_looked_into_takes_no_other_number_away(
    sqs, queue_url, dead_letter_queue, numbers
):
    sqs.delete_queue(QueueUrl=dead_letter_queue)
    shown = numbers()
    assert (shown["waiting"], shown["dead_letters"], shown["problem"]) == (0, None, "")


def test_the_latest_images_come_with_their_state_and_their_thumbnail(queue_url, numbers):
    quiet = unannounced_image()
    done, sent = save_image(title="done"), save_image(title="sent")
    with override_settings(SQS_QUEUE_URL=""):
        unsent = save_image(title="unsent")
    receive(done)
    shown = {image["id"]: (image["state"], bool(image["thumbnail"])) for image in numbers()["images"]}
    assert list(shown.items()) == [
        (unsent.pk, ("in the outbox", False)),
        (sent.pk, ("on its way", False)),
        (done.pk, ("processed", True)),
        (quiet.pk, ("no message found", False)),
    ]


def test_an_image_that_was_delivered_often_is_shown_once_among_at_most_twelve(numbers):
    first = unannounced_image()
    for _ in range(3):
        receive(first)
    assert [image["state"] for image in numbers()["images"]] == ["processed"]
    for _ in range(12):
        last = unannounced_image()
    shown = [image["id"] for image in numbers()["images"]]
    assert shown == list(range(last.pk, first.pk, -1))


def test_nothing_secret_is_on_it_neither_keys_nor_bodies_nor_endpoints_nor_the_account(client, queue_url):
    with override_settings(SYNC_ENDPOINTS=[f"{ENDPOINT}|a-secret-key-of-theirs"]):
        receive(save_image())
    for address in ("/live/", "/live/data"):
        text = client.get(address).text
        found = [word for word in (APP_KEY, "a-secret-key", ENDPOINT, "123456789012", queue_url) if word in text]
        assert found == []


# SQS away


def test_without_a_queue_the_page_says_so_in_words_and_counts_the_outbox(numbers, client):
    save_image()
    shown = numbers()
    assert (shown["outbox"], shown["outbox_failed"], shown["waiting"]) == (1, 1, None)
    assert "SQS_QUEUE_URL is empty" in shown["problem"]
    assert shown["problem"] in client.get("/live/").text


def test_a_queue_that_does_not_exist_is_told_apart(sqs, queue_url, numbers):
    sqs.delete_queue(QueueUrl=queue_url)
    assert "has no queue" in numbers()["problem"]


def test_sqs_away_is_said_in_words_and_the_reason_with_its_address_stands_in_the_log_once(
    django_site, numbers, monkeypatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    logged = []
    monkeypatch.setattr(
        "workshop_django.live.snapshot.logger.warning",
        lambda text, error: logged.append(re.search(r'"(.*)"', str(error))[1]),
    )
    with override_settings(SQS_QUEUE_URL="http://127.0.0.1:9/123456789012/gone"):
        shown = [numbers(), numbers()]
    assert all("Amazon SQS does not answer" in answer["problem"] for answer in shown)
    assert "127.0.0.1" not in json.dumps(shown)
    assert logged == ["http://127.0.0.1:9/"]


def test_while_sqs_hangs_every_viewer_is_answered_and_sqs_is_asked_once():
    from workshop_django.live.latest import Latest, Outcome

    asked, released = [], threading.Event()

    def hang():
        asked.append(True)
        released.wait(30)
        return 7

    latest = Latest(hang, seconds=60, patience=0.01)
    with ThreadPoolExecutor(8) as viewers:
        assert set(viewers.map(lambda _: latest.get(), range(8))) == {Outcome()}
    assert len(asked) == 1
    released.set()
    while latest.get() == Outcome():
        pass
    assert (latest.get().result, len(asked)) == (7, 1)


def test_an_outcome_is_kept_for_its_seconds_and_asked_for_again_after_them():
    from workshop_django.live.latest import Latest

    answers = iter(range(9))
    kept = Latest(lambda: next(answers), seconds=60, patience=30)
    assert [kept.get().result, kept.get().result] == [0, 0]
    fleeting = Latest(lambda: next(answers), seconds=0, patience=30)
    assert [fleeting.get().result, fleeting.get().result] == [1, 2]
    kept.forget()
    assert kept.get().result == 3


# Who may see it, and where


@pytest.fixture
def person(client):
    """person(is_staff) -> logs a new user in."""
    from django.contrib.auth.models import User

    def person(**flags):
        client.force_login(User.objects.create(username=str(flags), **flags))

    return person


@pytest.mark.parametrize("flags", [None, {}, {"is_staff": True, "is_active": False}])
@override_settings(DEBUG=False)
def test_in_production_it_sends_all_but_staff_to_the_login_and_gives_them_no_data(client, person, flags):
    if flags is not None:
        person(**flags)
    page, data = client.get("/live/"), client.get("/live/data")
    assert (page.status_code, page["Location"]) == (302, "/admin/login/?next=/live/")
    assert (data.status_code, list(data.json())) == (403, ["problem"])


@override_settings(DEBUG=False)
def test_in_production_staff_see_it_and_no_frame_may(client, person):
    person(is_staff=True)
    page = client.get("/live/")
    assert page.status_code == client.get("/live/data").status_code == 200
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "DENY"


def test_on_a_laptop_only_pages_of_this_machine_may_frame_it_and_the_gallery_stays_unframed(client):
    page = client.get("/live/")
    assert "X-Frame-Options" not in page
    assert "frame-ancestors 'self' http://127.0.0.1:* http://localhost:*" in page["Content-Security-Policy"]
    assert client.get("/")["X-Frame-Options"] == "DENY"


def test_it_is_never_cached_and_takes_no_other_method(client):
    for address in ("/live/", "/live/data"):
        assert "no-store" in client.get(address)["Cache-Control"]
        assert client.post(address).status_code == 405


def test_the_gallery_leads_to_it(client):
    assert 'href="/live/"' in client.get("/").text


# In a browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def served(migrated_database, local_aws_server, tmp_path_factory):
    """One site and one queue for all tests with a browser: (site, server, queue URL)."""
    folder = tmp_path_factory.mktemp("served")
    site = Site(folder / "db.sqlite3", folder / "media")
    site.media.mkdir()
    shutil.copyfile(migrated_database, site.database_file)
    aws = {"AWS_ENDPOINT_URL": local_aws_server.endpoint_url}
    queue_url = boto3.client("sqs", endpoint_url=local_aws_server.endpoint_url).create_queue(
        QueueName=f"live-view-{os.getpid()}"
    )["QueueUrl"]
    server = DjangoServer(folder, port=free_port(), env=site.environment | aws | {"SQS_QUEUE_URL": queue_url})
    server.start()
    yield site, server, queue_url
    server.stop()


@pytest.fixture
def live_page(served, sqs):
    """The live view's URL. This process works on the same, empty, database and the same, empty, queue."""
    from workshop_django.gallery.models import Image
    from workshop_django.sqs.models import OutboxMessage

    site, server, queue_url = served
    settings = override_settings(
        MEDIA_ROOT=str(site.media), SQS_QUEUE_URL=queue_url, SYNC_ENDPOINTS=[ENDPOINT], APP_KEY=APP_KEY
    )
    with settings, database(site.database_file):
        Image.objects.all().delete()
        OutboxMessage.objects.all().delete()
        bodies(sqs, queue_url)
        yield f"{server.url}/live/"


def test_a_thumbnail_and_its_numbers_appear_without_a_reload(live_page, served, sqs, chromium):
    queue_url = served[2]
    with chromium.open(live_page) as page:
        page.run("window.neverReloaded = true")
        image = save_image(title="<b>Hills</b> & 'sea'")
        page.wait_for("document.querySelector('[data-count=waiting]').textContent === '1'")
        assert page.run("document.querySelector('.cards .state').textContent") == "on its way"
        [message] = sqs.receive_message(QueueUrl=queue_url)["Messages"]
        receive(image)
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        page.wait_for("document.querySelector('.cards img')?.naturalWidth > 0")
        page.wait_for("document.querySelector('[data-count=delivered]').textContent === '1'")
        assert page.run("document.querySelector('.cards img').alt") == "Thumbnail of <b>Hills</b> & 'sea'"
        assert page.run("document.getElementById('news').textContent") == "Arrived: <b>Hills</b> & 'sea'"
        assert page.run("document.querySelectorAll('.cards li, .cards b').length") == 1
        assert page.run("window.neverReloaded") is True


def test_a_paused_page_stays_as_it_is_until_it_is_resumed(live_page, chromium):
    with chromium.open(live_page) as page:
        page.wait_for("!document.getElementById('pause').hidden")
        page.run(
            "window.asked = 0; const real = fetch; window.fetch = (...all) => { asked++; return real(...all) };"
            "document.getElementById('pause').click(); document.getElementById('pause').textContent"
        )
        save_image(title="meanwhile")
        # Longer than the page waits between two questions, on the page's own clock
        assert page.run("new Promise(done => setTimeout(() => done(asked), 1000))") == 0
        page.run("document.getElementById('pause').click()")
        page.wait_for("document.querySelector('.cards .title')?.textContent === 'meanwhile'")


def test_it_says_so_when_django_goes_away(live_page, chromium):
    with chromium.open(live_page) as page:
        page.run("window.fetch = () => Promise.reject(new TypeError('Failed to fetch'))")
        page.wait_for("!document.getElementById('problem').hidden")
        assert "Django does not answer" in page.run("document.getElementById('problem').textContent")


def test_without_javascript_it_is_a_snapshot_with_a_link_to_reload_it(live_page, chromium):
    save_image(title="Hills")
    with chromium.open(live_page, javascript=False) as page:
        text = " ".join(page.run("document.body.innerText").split())
    assert re.search(r"Outbox Django 0 to be sent Queue Amazon SQS \d waiting In flight", text)
    assert re.search("Hills (○ )?on its way", text)
    assert "Reload" in text
    assert "Pause" not in text


def test_a_page_of_another_port_of_this_machine_can_show_it_in_a_frame(live_page, receiver, chromium):
    html = f'<iframe src="{live_page}"></iframe><iframe src="{live_page.removesuffix("live/")}"></iframe>'
    receiver.answer = lambda request: (200, {"Content-Type": "text/html"}, html.encode())
    assert urlsplit(receiver.url).netloc != urlsplit(live_page).netloc
    with chromium.open(receiver.url) as page:
        frames = [child["frame"] for child in page.send("Page.getFrameTree")["frameTree"]["childFrames"]]
    assert [frame.get("unreachableUrl") for frame in frames] == [None, live_page.removesuffix("live/")]
