"""Chapter 1, Create the queue: what its exercise asks, and how it looks at the answers."""

import json
import time

from . import queues
from .calling import Raised, attempt, call
from .question import Wrong, question

LAB = {"django": False, "queue": False}

FUNCTION_TIMEOUT = 30  # seconds, as the exercise says
LONGEST = 43_200  # seconds: SQS's maximum; the local AWS takes more
NEEDED = 6 * FUNCTION_TIMEOUT  # AWS's advice for a queue that feeds a Lambda function


@question(
    hints=[
        "VisibilityTimeout says for how long nobody else gets the message. The function may work on it for 30 seconds.",
        'Six times 30 is 180, in seconds, and SQS wants attributes as text: {"VisibilityTimeout": "180"}',
    ],
    why="With a shorter one, SQS hands a message to a second worker while the first still works on it.",
)
def q1(lab, create_queue):
    """The queue's real visibility timeout is at least six times the function's."""
    sqs = queues.client()
    with queues.afresh(sqs, "slow-work"):
        _look_at_timeout(sqs, _url(call(create_queue, sqs)))


@question(
    hints=[
        "Receiving hides a message for a while. What removes it for good?",
        "delete_message(QueueUrl=queue_url, ReceiptHandle=message['ReceiptHandle']), after you have the body.",
        "An answer of an empty queue has no key 'Messages': use answer.get('Messages', []).",
    ],
    why="A worker that forgets to delete does the same work again and again, until the message is thrown away.",
)
def q2(lab, take_one):
    """take_one(sqs, queue_url) returns the body of one message and deletes that one, or None."""
    sqs = queues.client()
    url = queues.fresh(sqs, "take-one", VisibilityTimeout="0")  # what was not deleted is back at once
    nothing = attempt(take_one, sqs, url)
    if isinstance(nothing, Raised):
        raise Wrong(f"the queue was empty, and it raised {nothing}")
    if nothing is not None:
        raise Wrong(f"it returned {nothing!r} for an empty queue; it should return None")
    for body in ("first", "second", "third"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    taken = call(take_one, sqs, url)
    if isinstance(taken, dict):
        raise Wrong("it returned the whole message; it should return its Body")
    if taken not in ("first", "second", "third"):
        raise Wrong(f"it returned {taken!r}, which is not the body of a message")
    left = sum(queues.counts(sqs, url))
    if left == 3:
        raise Wrong("the message was received and not deleted: after the visibility timeout it comes back")
    if left < 2:
        raise Wrong(f"there were three messages, one was returned, and only {left} is left: the others are lost")
    others = sorted([call(take_one, sqs, url), call(take_one, sqs, url)])
    if sorted([taken, *others]) != ["first", "second", "third"]:
        raise Wrong(
            "three calls did not return the three messages, once each: another one than the returned was deleted"
        )


@question(
    hints=[
        "Two queues: the dead-letter queue first, because the other one has to name it.",
        "RedrivePolicy is one attribute: a JSON text with deadLetterTargetArn and maxReceiveCount. Use json.dumps.",
        "The ARN is an attribute of the dead-letter queue: get_queue_attributes(..., AttributeNames=['QueueArn']).",
    ],
    why="Without a dead-letter queue a message that can never succeed is tried for days, and then it is gone.",
)
def q3(lab, create_with_dead_letters):
    """create_with_dead_letters(sqs, name, tries) makes `name` and `name`-dlq; returns the url of the first."""
    sqs = queues.client()
    with queues.afresh(sqs, "orders", "orders-dlq"):
        outcome = attempt(create_with_dead_letters, sqs, "orders", 2)
        if isinstance(outcome, Raised):
            by_arn = ". A redrive policy names the dead-letter queue by its ARN" if "find DLQ" in str(outcome) else ""
            raise Wrong(f"it raised {outcome}{by_arn}")
        _look_at_dead_letters(sqs, _url(outcome))


@question(
    hints=[
        "A loop: receive up to ten messages with WaitTimeSeconds; stop when an answer holds none.",
        "try: handle(body). Only if it did not raise, delete the message. Count both cases.",
        "Nothing more is needed: a failed message stays in flight, so the loop ends before it comes back.",
    ],
    why="This is what every worker does: delete what succeeded, leave what failed, and let one never harm another.",
)
def q4(lab, drain):
    """drain(sqs, queue_url, handle) -> (done, failed): every message handled, the successful ones deleted."""
    sqs = queues.client()
    if call(drain, sqs, queues.fresh(sqs, "drain-nothing"), lambda body: None, timeout=30) != (0, 0):
        raise Wrong("for an empty queue it should return (0, 0)")
    url = queues.fresh(sqs, "drain", VisibilityTimeout="120")
    bodies = [f"message {number}" for number in range(23)]
    queues.fill(sqs, url, bodies)
    handled = []

    def handle(body):
        handled.append(body)
        if body == "message 4":
            raise ValueError("message 4 can never succeed")

    result = call(drain, sqs, url, handle, timeout=30)
    missing = [body for body in bodies if body not in handled]
    if missing and "message 4" in handled and len(handled) < 23:
        raise Wrong(f"{len(missing)} of 23 messages were never handled; does it stop at the first failure or answer?")
    if missing:
        raise Wrong(f"{len(missing)} of 23 messages were never handled; an answer holds ten at most, so go on")
    if len(handled) > 23:
        raise Wrong(f"23 messages were handled {len(handled)} times; delete each one that succeeded")
    visible, in_flight = queues.counts(sqs, url)
    if visible + in_flight == 0:
        raise Wrong("the message whose handling failed was deleted, too: it is lost")
    if visible + in_flight > 1:
        raise Wrong(f"{visible + in_flight} messages are still in the queue; only the one that failed should be")
    if result != (22, 1):
        raise Wrong(f"it returned {result!r}; 22 messages were done and 1 failed, so (22, 1) was expected")


def _look_at_timeout(sqs, url: str) -> None:
    timeout = int(_attribute(sqs, url, "VisibilityTimeout"))
    if timeout > LONGEST:
        raise Wrong(f"the visibility timeout is {timeout} seconds; AWS takes at most {LONGEST}, which is 12 hours")
    if timeout == 30:
        raise Wrong(
            "the visibility timeout is still 30 seconds, which is also what SQS takes when you set nothing: a message "
            "comes back at the moment when the function may still be working on it"
        )
    if timeout < FUNCTION_TIMEOUT:
        raise Wrong(f"the visibility timeout is {timeout} seconds, shorter than the function's own {FUNCTION_TIMEOUT}")
    if timeout < NEEDED:
        raise Wrong(
            f"the visibility timeout is {timeout} seconds. Lambda may have to try again while it holds the message, "
            f"so AWS advises six times the function's timeout: {NEEDED}"
        )


def _look_at_dead_letters(sqs, url: str) -> None:
    if not url.endswith("/orders"):
        raise Wrong(f"it returned the URL of {url.rsplit('/', 1)[-1]!r}; it should return that of the queue 'orders'")
    policy = json.loads(_attribute(sqs, url, "RedrivePolicy") or "{}")
    if not policy:
        raise Wrong("the queue 'orders' has no RedrivePolicy, so no message ever leaves it for the dead-letter queue")
    if str(policy.get("deadLetterTargetArn")).endswith(":orders"):
        raise Wrong("the redrive policy names the queue itself; it must name the ARN of 'orders-dlq'")
    if not str(policy.get("deadLetterTargetArn")).endswith(":orders-dlq"):
        raise Wrong(
            f"the redrive policy leads to {policy.get('deadLetterTargetArn')!r}, not to the ARN of 'orders-dlq'"
        )
    if int(policy.get("maxReceiveCount", 0)) != 2:
        raise Wrong(f"maxReceiveCount is {policy.get('maxReceiveCount')}, and the function was called with tries=2")
    dead_letters = sqs.get_queue_url(QueueName="orders-dlq")["QueueUrl"]
    _see_it_die(sqs, url, dead_letters, tries=2)
    kept, dead = (int(_attribute(sqs, one, "MessageRetentionPeriod")) for one in (url, dead_letters))
    if dead <= kept:
        raise Wrong(
            f"both queues work, but 'orders-dlq' keeps messages for {dead // 86400} days, not longer than 'orders'. A "
            "message keeps its age when it moves, so a dead letter could vanish before anybody looks: set its "
            "MessageRetentionPeriod to 14 days, in seconds"
        )


def _url(value: object) -> str:
    if isinstance(value, dict) and "QueueUrl" in value:
        raise Wrong("the function returned the whole answer of SQS; return its 'QueueUrl'")
    if not isinstance(value, str) or "://" not in value:
        raise Wrong(f"the function returned {value!r}; it should return the queue's URL")
    return value


def _attribute(sqs, url: str, name: str) -> str:
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]).get("Attributes", {}).get(name, "")


def _see_it_die(sqs, url: str, dead_letters: str, tries: int) -> None:
    """Send a message, fail it `tries` times, and see it in the dead-letter queue."""
    sqs.send_message(QueueUrl=url, MessageBody="a message that always fails")
    for _ in range(tries):
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0)
    deadline = time.monotonic() + 5
    while not sum(queues.counts(sqs, dead_letters)):
        if time.monotonic() > deadline:
            raise Wrong(f"a message that failed {tries} times did not arrive in 'orders-dlq'")
        sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
