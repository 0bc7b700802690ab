"""Whatever is broken, each saved image has one effect, or its message can be seen. `workshop soak` does it for long.

A run that fails names its seed: `python3 -m workshop soak --fault NAME --seed SEED --runs 1` repeats it.
"""

import shutil
import subprocess
import sys

import pytest

from workshop.faults.faults import FAULTS
from workshop.faults.pipeline import Pipeline
from workshop.faults.soak import endure, run
from workshop.folders import CHECKOUT


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """The parts, started once for all faults: what a fault kills is started again. They run a copy of the code."""
    code = tmp_path_factory.mktemp("code")
    for folder in ("workshop", "workshop_django"):
        shutil.copytree(CHECKOUT / folder, code / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "lambda_function.py", code)
    with Pipeline(tmp_path_factory.mktemp("faults"), code=code) as pipeline:
        yield pipeline


def account_of(pipeline, name, seed):
    if reason := FAULTS[name].missing(pipeline):
        pytest.skip(reason)
    return run(pipeline, FAULTS[name], seed)


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "database-cut"])
def test_nothing_is_lost_nothing_is_doubled_and_nothing_is_sent_that_was_not_saved(pipeline, name):
    account = account_of(pipeline, name, seed=1)
    assert account.saved
    assert not account.wrong, account.wrong


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["soak", "--fault", "nonsense"], "relay-killed"),
        (["demo", "--break", "nonsense"], "relay-killed"),
        (["demo", "--break", "nonsense"], "bad-key"),  # both kinds of fault have this one
        (["demo", "photo.jpg", "--break", "relay-killed"], "leave the images"),
    ],
)
def test_a_fault_that_there_is_not_is_answered_with_those_that_there_are(arguments, said):
    command = [sys.executable, "-m", "workshop", *arguments]
    answer = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr.count(said)) == (2, 1)


def test_a_hundred_messages_leave_no_descriptor_and_no_connection_behind(pipeline):
    (_, before), (_, after) = endure(pipeline, messages=100, seed=1)
    for part in before:
        assert after[part].files <= before[part].files + 5, part
        assert after[part].connections <= before[part].connections + 5, part


# The suite is worth something: a product that is broken on purpose does not get past it.
# What is wrong: the file; the code that makes it so, at its end; who runs it; what finds it, and with which seed
BROKEN = {
    "a message is deleted before it is handled": (
        "workshop/functions/event_source_mapping.py",
        """
_handle = EventSourceMapping._handle
def deleted_first(self, batch):
    self._delete(batch)
    return _handle(self, batch)
EventSourceMapping._handle = deleted_first
""",
        ["mapping"],
        ("receiver-hangs-up", 1),
    ),
    "the receiver looks at no key": (
        "workshop_django/inbox/views.py",
        """
def _idempotency_key(request):
    return ""
""",
        ["receiver"],
        ("receiver-hangs-up", 1),
    ),
    "the key is SQS's own id of the message": (
        "lambda_function.py",
        """
_parse = parse
def parse(body, message_id):
    return message_id, *_parse(body, message_id)[1:]
""",
        ["mapping"],
        ("sqs-half-answer", 2),
    ),
    "a message is sent before the commit": (
        "workshop_django/sqs/outbox.py",
        """
def enqueue(msg, *, using=None):
    msg = named(msg)
    message_id, = SqSManager.send_many([addressed(msg)])
    return OutboxMessage.objects.create(body=msg, message_id=message_id, sent_at=timezone.now(), not_before=None)
""",
        ["sender"],
        ("sqs-half-answer", 2),
    ),
    "a message is noted as sent before it is": (
        "workshop_django/sqs/outbox.py",
        """
_send_after = _send
def _send(using, claim):
    claimed = OutboxMessage.objects.filter(pk__in=[row.pk for row in claim.rows])
    claimed.update(sent_at=timezone.now(), not_before=None)
    return _send_after(using, claim)
""",
        ["sender", "relay"],
        ("sqs-error", 1),
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_product_that_is_broken_on_purpose_is_caught_within_a_few_runs(pipeline, what):
    file, code, parts, (name, seed) = BROKEN[what]
    text = (pipeline.code / file).read_text(encoding="utf-8")

    def replace(new_text):
        (pipeline.code / file).write_text(new_text, encoding="utf-8")
        for part in parts:
            pipeline.kill(part)

    replace(text + code)
    pipeline.mend()
    try:
        # A seed plans a run; threads do not keep to the plan on a busy machine, so it may take another one.
        assert any(account_of(pipeline, name, each).wrong for each in range(seed, seed + 8))
    finally:
        replace(text)
        pipeline.mend()
