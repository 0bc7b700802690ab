"""The suite is worth something: a product that is broken on purpose does not get past it."""

import shutil

import pytest
from copied_checkout import Copy

from workshop.folders import CHECKOUT

# What is wrong; the file, the code that makes it so when it stands at its end; the fault and the seed that find it
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
        ("receiver-hangs-up", 1),
    ),
    "the receiver looks at no key": (
        "workshop_django/inbox/views.py",
        """
def _idempotency_key(request):
    return ""
""",
        ("receiver-hangs-up", 1),
    ),
    "the key is SQS's own id of the message": (
        "lambda_function.py",
        """
_parse = parse
def parse(body, message_id):
    return message_id, *_parse(body, message_id)[1:]
""",
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
        ("sqs-half-answer", 2),
    ),
    "a message is noted as sent before it is": (
        "workshop_django/sqs/outbox.py",
        """
_send_after = _send
def _send(using, claim):
    _unsent(using).filter(pk__in=[row.pk for row in claim.rows]).update(sent_at=timezone.now(), not_before=None)
    return _send_after(using, claim)
""",
        ("sqs-error", 1),
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_product_that_is_broken_on_purpose_is_caught(broken, tmp_path):
    file, code, (fault, seed) = BROKEN[broken]
    copy = Copy(tmp_path / "checkout")
    shutil.copytree(CHECKOUT / "workshop_django", copy.folder / "workshop_django")
    shutil.copy(CHECKOUT / "lambda_function.py", copy.folder)
    copy.pretend_it_is_installed()
    with (copy.folder / file).open("a", encoding="utf-8") as broken_file:
        broken_file.write(code)
    soak = copy.run("soak", "--fault", fault, "--seed", str(seed), "--runs", "1")
    assert soak.returncode == 1, soak.stdout + soak.stderr
    assert f"soak --fault {fault} --seed {seed}" in soak.stdout
