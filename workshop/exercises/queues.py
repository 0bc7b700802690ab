"""Queues for checks: made afresh each time, filled, and counted.

sqs = client()
url = fresh(sqs, "dead-letters", VisibilityTimeout="30")
sent = fill(sqs, url, ["a body", "another"])    # {message id: body}
counts(sqs, url)                                # (visible, in flight)
take_all(sqs, url)                              # the visible messages, out of the queue
asked = noted(sqs, "ReceiveMessage")            # the parameters of each call from now on, as the learner wrote them
"""

from collections.abc import Iterator
from contextlib import contextmanager

MAX_BATCH = 10  # messages a request, SQS's limit
LONGEST_WAIT = 20  # seconds, SQS's limit for long polling
WAIT = 1  # second that long polling takes in a check


def client():
    """A client for checks, and for what they call: whoever polls for 20 seconds, as is right, does so for one."""
    import boto3

    sqs = boto3.client("sqs")
    sqs.meta.events.register("provide-client-params.sqs.ReceiveMessage", _wait_less)
    return sqs


def _wait_less(params: dict, **about) -> dict:
    wait = params.get("WaitTimeSeconds")
    return params | {"WaitTimeSeconds": WAIT} if isinstance(wait, int) and WAIT < wait <= LONGEST_WAIT else params


def noted(sqs, operation: str) -> list[dict]:
    asked: list[dict] = []
    sqs.meta.events.register_first(f"provide-client-params.sqs.{operation}", lambda params, **_: asked.append(params))
    return asked


def delete(sqs, *names: str) -> None:
    """Delete the queues of these names, where they are there."""
    for name in names:
        try:
            sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])
        except sqs.exceptions.QueueDoesNotExist:
            pass


@contextmanager
def afresh(sqs, *names: str) -> Iterator[None]:
    """No queues of these names before and after, so that who makes one finds none of another try in the way."""
    delete(sqs, *names)
    try:
        yield
    finally:
        delete(sqs, *names)


def fresh(sqs, name: str, **attributes: str) -> str:
    """The URL of a new, empty queue."""
    delete(sqs, name)
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def fill(sqs, url: str, messages: list[str], **options) -> dict[str, str]:
    """Send messages, and return {message id: body}."""
    sent = {}
    for start in range(0, len(messages), MAX_BATCH):
        batch = messages[start : start + MAX_BATCH]
        entries = [{"Id": str(number), "MessageBody": body, **options} for number, body in enumerate(batch)]
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        sent |= {entry["MessageId"]: batch[int(entry["Id"])] for entry in answer["Successful"]}
    return sent


def counts(sqs, url: str) -> tuple[int, int]:
    """How many messages are visible, and how many are in flight."""
    waiting, in_flight = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[waiting, in_flight])["Attributes"]
    return int(found[waiting]), int(found[in_flight])


def take_all(sqs, url: str) -> list[dict]:
    """The messages that are visible, with their attributes. They are deleted."""
    taken = []
    while counts(sqs, url)[0]:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=MAX_BATCH, MessageAttributeNames=["All"])
        if messages := answer.get("Messages", []):
            entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)
            taken += messages
    return taken
