"""From a save in Django to a message in SQS, on SQLite and with a queue that answers at once."""

from contextlib import contextmanager
from types import SimpleNamespace

from benchmarks.servers import queue_in_a_lab

UNIT = "messages/s"
CASES = {"stored, committed and sent": 6, "a backlog of 500 rows": 10}
CONTENDERS = ["kit", "by_hand"]


@contextmanager
def opened(case, tiny):
    with queue_in_a_lab() as url:
        yield SimpleNamespace(url=url, rows=(50 if tiny else 500) if "backlog" in case else 0)


def once(contender, setting):
    if not setting.rows:

        def save():
            contender.save({"data": {"image_id": 1}}, setting.url)
            return 1

        return save

    def drain():
        assert contender.drain(setting.url) == setting.rows
        return setting.rows

    drain.before = lambda: fill(setting.rows)
    return drain


def fill(rows):
    from workshop_django.sqs.message import named
    from workshop_django.sqs.models import OutboxMessage

    OutboxMessage.objects.all().delete()
    OutboxMessage.objects.bulk_create(OutboxMessage(body=named({"data": {"image_id": n}})) for n in range(rows))
