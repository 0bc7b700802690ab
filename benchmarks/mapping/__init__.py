"""The event source mapping, from a queue that answers at once to a handler that does nothing."""

from contextlib import contextmanager
from types import SimpleNamespace

import boto3

from benchmarks.servers import queue_in_a_lab

UNIT = "messages/s"
CASES = {"1 poller": 6, "5 pollers": 6, "20 pollers": 6}
CONTENDERS = ["kit", "by_hand"]


@contextmanager
def opened(case, tiny):
    with queue_in_a_lab(django=False) as url:
        messages = 20 if tiny else 400
        yield SimpleNamespace(url=url, messages=messages, pollers=int(case.split()[0]))


def handler(event, context):
    return {"batchItemFailures": []}


def once(contender, setting):
    run = contender.prepared(setting.url, handler, setting.pollers)
    sqs = boto3.client("sqs")

    def drain():
        run()
        return setting.messages

    def fill():
        for _ in range(setting.messages // 10):
            entries = [{"Id": str(number), "MessageBody": "-"} for number in range(10)]
            sqs.send_message_batch(QueueUrl=setting.url, Entries=entries)

    drain.before = fill
    return drain
