"""What holds for all messages, all answers and all orders: hypothesis looks for one for which it does not."""

import io
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import transaction
from django.test import Client
from django.test.utils import override_settings
from django.utils import timezone
from django_site import APP_KEY, RECEIVER, unannounced_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

import lambda_function
from workshop.functions.invocation import invoke

pytest_plugins = ["django_site_fixtures"]

# Always the same examples: what CI finds, everybody finds. `--hypothesis-seed=random` looks for others.
FIXED = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


# The function: any batch, any answers

ANSWERS = {  # a path, and whether an app that answers so has the message
    "/200": True,
    "/204": True,
    "/half-a-body": True,
    "/307": False,
    "/401": False,
    "/500": False,
    "/garbage": False,
    "/closed": False,
    "/silent": False,
}
RAW = {
    "/half-a-body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    "/garbage": b"SSH-2.0-OpenSSH_9.9\r\n",
    "/closed": b"",
}


@pytest.fixture(scope="module")
def apps():
    """One server that answers as the path says, and keeps (path, Idempotency-Key) of what it was sent."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Idempotency-Key"]))
            if self.path == "/silent":
                time.sleep(0.4)
            if self.path in RAW or self.path == "/silent":
                self.wfile.write(RAW.get(self.path, b""))
                self.close_connection = True
                return
            self.send_response(int(self.path[1:]))
            self.send_header("Location", "/200")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    server.seen, server.base = seen, f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
good_messages = st.fixed_dictionaries(
    {"apps": st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=3), "data": json_values},
    optional={"id": st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=100)},
)
bad_ids = st.sampled_from(["", "a b", "é", "x" * 101, 7, None, ["x"]])
bad_apps = st.sampled_from(
    [None, {}, [], ["x"], [{}], [{"endpoint": "http://127.0.0.1"}], [{"endpoint": 1, "key": "k"}]]
    + [[{"endpoint": url, "key": "k"}] for url in ("", "ftp://x/", "http://u:p@x/", "http://x y/", "//x/")]
    + [[{"endpoint": "http://127.0.0.1/", "key": key}] for key in ("", "a\r\nX: y", "\x00", "schlüssel")]
)
bad_bodies = (
    st.text(max_size=30).filter(lambda text: not is_json(text))
    | json_values.filter(lambda value: not isinstance(value, dict)).map(json.dumps)
    | st.builds(lambda apps: json.dumps({"apps": apps, "data": 1}), bad_apps)
    | st.builds(
        lambda id: json.dumps({"id": id, "apps": [{"endpoint": "http://127.0.0.1/", "key": "k"}], "data": 1}), bad_ids
    )
    | st.just(json.dumps({"apps": [{"endpoint": "http://127.0.0.1/", "key": "k"}]}))
)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@settings(FIXED, max_examples=60)
@given(batch=st.lists(good_messages | bad_bodies, max_size=10))
def test_any_batch_has_exactly_the_failures_that_it_should_and_no_key_is_told(apps, batch):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DELIVERY_TIMEOUT", "0.2")
        environment.setenv("ENDPOINT_ALLOWLIST", "127.0.0.1")
        records, failures, deliveries = [], [], []
        for content in batch:
            message_id = str(uuid.uuid4())
            if isinstance(content, dict):
                paths = content["apps"]
                named = [{"endpoint": apps.base + path, "key": "secret-7Qx"} for path in paths]
                deliveries += [(path, content.get("id", message_id)) for path in paths]
                failed = not all(ANSWERS[path] for path in paths)
                body = json.dumps(content | {"apps": named})
            else:
                failed, body = True, content
            records.append({"messageId": message_id, "body": body})
            failures += [{"itemIdentifier": message_id}] if failed else []
        apps.seen.clear()
        result = invoke(lambda_function.lambda_handler, {"Records": records})
    assert result["batchItemFailures"] == failures
    assert set(apps.seen) == set(deliveries)
    assert "secret-7Qx" not in json.dumps(result)


# The outbox: any order of saving, rolling back, relaying, purging


class Sqs:
    """In the place of a backend: it takes messages, and answers as it is told to."""

    def __init__(self):
        self.taken, self.answer = [], "well"

    def send_batch(self, bodies):
        from workshop_django.sqs.errors import SqsUnavailable

        lost = SqsUnavailable("no answer")
        if self.answer == "nothing":
            raise lost
        taken = bodies[::2] if self.answer == "for some" else bodies
        self.taken += [json.loads(body)["id"] for body in taken]
        if self.answer == "too late":
            raise lost
        return ["an-id" if body in taken else lost for body in bodies]

    def in_outage(self):
        return False


@pytest.fixture
def outbox_machine(django_site, monkeypatch):
    from django.core.management import call_command

    from workshop_django.sqs import manager, outbox
    from workshop_django.sqs.models import OutboxMessage

    sqs = Sqs()
    monkeypatch.setitem(manager.BACKENDS, "memory", sqs)

    class Machine(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            OutboxMessage.objects.all().delete()
            sqs.__init__()
            self.committed, self.rolled_back = set(), set()

        @rule(answer=st.sampled_from(["well", "nothing", "too late", "for some"]))
        def sqs_answers(self, answer):
            sqs.answer = answer

        @rule(count=st.integers(1, 3), rolls_back=st.booleans())
        def save(self, count, rolls_back):
            with transaction.atomic():
                ids = [outbox.enqueue({"data": 1}).body["id"] for _ in range(count)]
                transaction.set_rollback(rolls_back)
            (self.rolled_back if rolls_back else self.committed).update(ids)

        @rule()
        def a_sender_dies_with_its_claim(self):
            outbox._claim("default", timezone.now(), None)

        @rule()
        def claims_run_out(self):
            OutboxMessage.objects.filter(sent_at=None).update(not_before=timezone.now())

        @rule()
        def relay(self):
            outbox.relay()

        @rule()
        def purge(self):
            call_command("purge_outbox", days=0, stdout=io.StringIO())

        def teardown(self):
            if not hasattr(self, "committed"):
                return
            assert not set(sqs.taken) & self.rolled_back
            waiting = {row.body["id"] for row in OutboxMessage.objects.filter(sent_at=None)}
            assert self.committed <= set(sqs.taken) | waiting
            sqs.answer = "well"
            self.claims_run_out()
            outbox.relay()
            assert set(sqs.taken) == self.committed

    with override_settings(SQS_BACKEND="memory"):
        yield Machine


def test_whatever_the_order_each_committed_message_is_sent_at_least_once_and_no_rolled_back_one(outbox_machine):
    run_state_machine_as_test(outbox_machine, settings=settings(FIXED, max_examples=40, stateful_step_count=20))


# The receiver: any order and repetition


@settings(FIXED, max_examples=25)
@given(
    posts=st.lists(
        st.tuples(st.sampled_from(["key-1", "key-2", "key-3"]), st.sampled_from([0, 1])), min_size=1, max_size=10
    )
)
def test_in_any_order_and_repetition_a_key_has_one_effect_that_of_its_first_body(django_site, posts):
    from workshop_django.image_sync.models import Thumbnail
    from workshop_django.inbox.models import ReceivedMessage

    Thumbnail.objects.all().delete()
    ReceivedMessage.objects.all().delete()
    images = [unannounced_image().pk, unannounced_image().pk]
    first = {}
    for key, which in posts:
        answer = Client().post(
            RECEIVER,
            {"image_id": images[which]},
            "application/json",
            headers={"Authorization": f"Token {APP_KEY}", "Idempotency-Key": key},
        )
        assert answer.status_code == (200 if first.setdefault(key, which) == which else 422)
    effects = sorted(Thumbnail.objects.values_list("image_id", flat=True))
    assert effects == sorted(images[which] for which in first.values())
