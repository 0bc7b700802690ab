"""Sending to a queue that answers at once, one message in a request and ten."""

from contextlib import contextmanager
from types import SimpleNamespace

from benchmarks.servers import queue_in_a_lab

UNIT = "messages/s"
CASES = {"one after the other": 6, "a hundred together": 6}
CONTENDERS = ["guide", "kit", "by_hand"]


@contextmanager
def opened(case, tiny):
    message = {"apps": [{"endpoint": "http://127.0.0.1/", "key": "k" * 43}], "data": {"image_id": 1}}
    with queue_in_a_lab() as url:
        yield SimpleNamespace(url=url, message=message, together="hundred" in case)


def once(contender, setting):
    if not setting.together:

        def send():
            contender.send(setting.url, setting.message)
            return 1

        return send
    if not hasattr(contender, "send_many"):
        return None

    def send_many():
        contender.send_many(setting.url, [setting.message] * 100)
        return 100

    return send_many
