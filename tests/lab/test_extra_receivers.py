"""More receivers beside a lab's own Django, as chapter 12 and the demo use them."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django_site import save_image

from workshop.lab.extra_receiver import ExtraReceiver


@pytest.fixture
def make_receiver(django_site, tmp_path, monkeypatch):
    for name, value in django_site.environment.items():
        monkeypatch.setenv(name, value)
    made = []

    def make(name):
        made.append(ExtraReceiver(tmp_path / "receivers", name))
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop()


def post(receiver, image_id, key):
    headers = {"Authorization": f"Token {key}", "Idempotency-Key": "a-message-id"}
    return httpx.post(receiver.app["endpoint"], json={"image_id": image_id}, headers=headers).status_code


def test_each_has_its_own_key_images_and_rows_and_a_new_one_of_the_same_name_replaces_it(make_receiver):
    receivers = ana, bruno = make_receiver("ana"), make_receiver("bruno")
    with ThreadPoolExecutor() as pool:
        list(pool.map(ExtraReceiver.start, receivers))
    image = save_image()
    ana.add(image)
    assert [post(ana, image.pk, ana.key), post(ana, image.pk, bruno.key), post(bruno, image.pk, bruno.key)] == [
        200,
        401,
        404,
    ]
    assert [receiver.received().count() for receiver in receivers] == [1, 0]
    assert image._state.db == "default"  # what is done with it later does not go to ana's database
    ana.server.stop()
    ana.server.start()  # an outage: nothing is lost, and the address is the same
    assert post(ana, image.pk, ana.key) == 200
    assert "was already processed" in ana.log()

    again = make_receiver("ana")  # as when a notebook runs a second time
    assert not ana.server.alive
    assert again.key != ana.key
    assert list(again.media.iterdir()) == []
    ana.stop()  # the old one takes nothing away from the new
    again.start()
    assert again.received().count() == 0
