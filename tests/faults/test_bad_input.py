"""Whatever comes in, only the documented answers go out: no 500, no traceback, and no key in any log."""

import io
import json
import logging
import os
from importlib.util import find_spec, module_from_spec

import pytest
import schemathesis
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django_site import APP_KEY, RECEIVER, picture, unannounced_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from workshop_django.image_sync.thumbnail import FORMATS

pytest_plugins = ["django_site_fixtures"]

FIXED = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
DOCUMENTED = {200, 400, 401, 404, 405, 411, 413, 422}


def secrets_in(caplog) -> bool:
    """Whether a log line holds the key, or the traceback of an error that nobody foresaw."""
    said = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    return APP_KEY in said or "Traceback" in said


@pytest.fixture
def schema(django_site):
    from workshop_django.config.wsgi import application

    return schemathesis.openapi.from_wsgi("/api/schema", application)


def test_what_the_schema_allows_and_what_it_forbids_are_answered_as_it_says(schema, caplog):
    from workshop_django.inbox.models import ReceivedMessage

    image = unannounced_image()
    operation = next(found.ok() for found in schema.get_all_operations() if found.ok().path == RECEIVER)

    @settings(FIXED, max_examples=60)
    @given(case=operation.as_strategy() | operation.as_strategy(schemathesis.GenerationMode.NEGATIVE))
    def conforms(case):
        ReceivedMessage.objects.all().delete()  # or a key that came before, with another body, were 422
        if isinstance(case.body, dict) and case.body.get("image_id") == 1:
            case.body["image_id"] = image.pk
        answer = case.call(headers={"Authorization": f"Token {APP_KEY}"})
        case.validate_response(answer, excluded_checks=[schemathesis.checks.ignored_auth])  # the key is a right one
        assert answer.status_code in DOCUMENTED

    conforms()
    assert not secrets_in(caplog)


header_text = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=120)


@settings(FIXED, max_examples=80)
@given(
    token=header_text | st.just(f"Token {APP_KEY}"),
    key=header_text | st.none(),
    content_type=header_text | st.just("application/json"),
    body=st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps),
)
def test_odd_headers_and_bodies_get_a_documented_answer(django_site, caplog, token, key, content_type, body):
    headers = {"Authorization": token} | ({} if key is None else {"Idempotency-Key": key})
    answer = Client(raise_request_exception=False).generic("POST", RECEIVER, body, content_type, headers=headers)
    assert answer.status_code in DOCUMENTED
    assert b"Traceback" not in answer.content
    assert not secrets_in(caplog)


def files() -> list[bytes]:
    """One of each format that is taken, with metadata in it."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    return [picture((24, 16), "RGB", kind, exif=exif.tobytes(), icc_profile=b"profile" * 20) for kind in FORMATS]


@settings(FIXED, max_examples=80)
@given(
    content=st.sampled_from(files()),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 200) | st.just(0),
    tail=st.binary(max_size=20),
)
def test_a_damaged_picture_is_taken_or_refused_and_one_that_is_taken_gets_its_thumbnail(
    django_site, content, changes, cut, tail
):
    from workshop_django.gallery.models import Image

    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    file = io.BytesIO(bytes(damaged[: len(damaged) - cut]) + tail)
    file.name = "picture.png"
    client = Client(raise_request_exception=False)
    answer = client.post("/", {"file": file})
    assert answer.status_code in (302, 400)
    if answer.status_code == 302:
        message = {"image_id": Image.objects.first().pk}
        headers = {"Authorization": f"Token {APP_KEY}"}
        assert client.post(RECEIVER, message, "application/json", headers=headers).status_code == 200


SETTINGS = find_spec("workshop_django.config.settings")
NAMES = ["DEBUG", "ALLOWED_HOSTS", "DATABASE_URL", "SQS_QUEUE_URL", "SYNC_ENDPOINTS", "SECURE_PROXY_SSL_HEADER"]
NAMES += ["APP_KEY_FALLBACKS", "SQS_SEND_ON_COMMIT", "AWS_ACCESS_KEY_ID", "DJANGO_LOG_FILE", "MEDIA_ROOT"]
values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
lines = st.tuples(st.sampled_from(NAMES), values).map("=".join)
urls = st.sampled_from(["sqlite:///x", "postgres://", "postgres://u:p@h:port/n", "mysql://[", "sqlite://x?y=1&z"])


@settings(FIXED, max_examples=150)
@given(env=st.lists(lines | values | st.tuples(st.just("DATABASE_URL"), urls).map("=".join), max_size=6))
def test_whatever_env_holds_the_settings_are_made_or_one_sentence_names_what_is_wrong(tmp_path_factory, env):
    file = tmp_path_factory.mktemp("env", numbered=True) / ".env"
    file.write_text("\n".join(env), encoding="utf-8")
    with pytest.MonkeyPatch.context() as environment:
        for name in NAMES:
            environment.delenv(name, raising=False)
        environment.setenv("DJANGO_ENV_FILE", str(file))
        environment.setenv("SECRET_KEY", "only-for-tests")
        before, complaint = dict(os.environ), None
        try:
            SETTINGS.loader.exec_module(module_from_spec(SETTINGS))
        except ImproperlyConfigured as error:
            complaint = str(error)
        finally:
            for name in os.environ.keys() - before.keys():
                del os.environ[name]
    assert complaint is None or any(name in complaint for name in [*NAMES, "AWS_SECRET_ACCESS_KEY"])
