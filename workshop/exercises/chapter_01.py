"""Chapter 1, Create the queue: what its exercise asks, and how it looks at the answers."""

import contextlib
import json

from botocore.exceptions import ClientError

from . import queues
from .calling import Raised, attempt, call, expect, shown
from .question import Wrong, question

LAB = {"django": False, "queue": False}

FUNCTION_TIMEOUT = 30  # seconds, as the exercise says
NEEDED = 6 * FUNCTION_TIMEOUT  # AWS's advice for a queue that feeds a Lambda function
LONGEST = 43_200  # seconds: SQS's maximum; the local AWS takes more
LONGEST_RETENTION = 14 * 86_400  # seconds: SQS's maximum
UNREAD = "SQS cannot read the redrive policy: it must be JSON, as text, which json.dumps makes of a dict"
ENOUGH = 10  # times that a failed message is received again: a drain that ends has ended


@question(
    hints=[
        "VisibilityTimeout says for how long nobody else gets the message. How long may the function need?",
        "Six times 30 seconds. SQS wants attributes as text.",
        'Attributes={"VisibilityTimeout": "180"}',
    ],
    why="Nobody else gets a message while the function still works on it, also when Lambda had to wait.",
)
def q1(lab, create_queue):
    """The queue's real visibility timeout is at least six times the function's."""
    sqs = queues.client()
    with queues.afresh(sqs, "slow-work"):
        attributes = _attributes(sqs, call(create_queue, sqs), "slow-work")
    timeout = int(attributes["VisibilityTimeout"])
    if timeout == FUNCTION_TIMEOUT:
        raise Wrong(
            "as long as the function",
            "the visibility timeout is still 30 seconds, which is also what SQS takes when you set nothing: a message "
            "comes back at the moment when the function may still be working on it",
        )
    if timeout < NEEDED:
        raise Wrong("too short", f"the visibility timeout is {timeout} seconds, less than six times the function's")
    if timeout > LONGEST:
        raise Wrong("too long", f"the visibility timeout is {timeout} seconds; AWS takes at most 12 hours")


@question(
    hints=[
        "Receiving hides a message for a while. What removes it for good?",
        "After you have the body: delete_message, with the message's ReceiptHandle.",
        "An answer of an empty queue has no key 'Messages': answer.get('Messages', []) is an empty list then.",
    ],
    why="What was taken is gone for good, and what was not taken can be received by anybody.",
)
def q2(lab, take_one):
    """take_one(sqs, queue_url) returns the body of one message and deletes that one, or None."""
    sqs, bodies = queues.client(), {"first", "second", "third"}
    url = queues.fresh(sqs, "take-one", VisibilityTimeout="30")
    expect(call(take_one, sqs, url), None, "for an empty queue ")
    queues.fill(sqs, url, sorted(bodies))
    taken = call(take_one, sqs, url)
    visible, in_flight = queues.counts(sqs, url)
    if taken not in list(bodies):
        raise Wrong("returned", f"it returned {shown(taken)}; the body of a message was expected, such as 'first'")
    if visible + in_flight == 3:
        raise Wrong("not deleted", "the message was not deleted: after the visibility timeout it comes back")
    if visible + in_flight < 2:
        raise Wrong("lost", f"of three messages one was returned, and {visible + in_flight} are left: a loss")
    if in_flight:
        raise Wrong("hidden", f"it received more than one message: {in_flight} of the others are hidden for a while")
    if taken in {message["Body"] for message in queues.take_all(sqs, url)}:
        raise Wrong("another", f"it returned {taken!r}, and deleted another message than that")


@question(
    hints=[
        "One mistake stops the function: what does a redrive policy name, a URL or an ARN?",
        "The ARN is an attribute of the dead-letter queue: get_queue_attributes(..., AttributeNames=['QueueArn']).",
        "The other mistake is for how long. The attribute is MessageRetentionPeriod, in seconds, as text: "
        "str(14 * 24 * 3600) is the longest.",
    ],
    why="A message that cannot succeed is kept for people to look at, for longer than a weekend.",
)
def q3(lab, create_with_dead_letters):
    """create_with_dead_letters(sqs, name, tries) makes `name` and `name`-dlq; returns the url of the first."""
    sqs, name, tries = queues.client(), "invoices", 4
    with queues.afresh(sqs, name, f"{name}-dlq"):
        url = attempt(create_with_dead_letters, sqs, name, tries)
        if isinstance(url, Raised):
            unread = (
                getattr(url.error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode") == 500
            )  # moto's
            raise Wrong("raised", f"create_with_dead_letters raised {'an error, for ' + UNREAD if unread else url}")
        queue = _attributes(sqs, url, name)
        try:
            dead_letters = _attributes(sqs, sqs.get_queue_url(QueueName=f"{name}-dlq")["QueueUrl"], f"{name}-dlq")
        except sqs.exceptions.QueueDoesNotExist:
            raise Wrong("no queue", f"there is no queue {name + '-dlq'!r}") from None
    policy = json.loads(queue.get("RedrivePolicy", "{}"))
    if policy.get("deadLetterTargetArn") != dead_letters["QueueArn"]:
        raise Wrong("target", f"no message leaves {name!r} for {name + '-dlq'!r}: the redrive policy is {policy}")
    if int(policy["maxReceiveCount"]) != tries:
        raise Wrong("tries", f"maxReceiveCount is {policy['maxReceiveCount']}, and it was called with tries={tries}")
    kept, dead = (int(attributes["MessageRetentionPeriod"]) for attributes in (queue, dead_letters))
    if not kept < dead <= LONGEST_RETENTION:
        raise Wrong(
            "kept",
            f"both queues work, and {name + '-dlq'!r} keeps messages for {dead // 86400} days, {name!r} for "
            f"{kept // 86400}. A dead letter must be there for longer, and AWS keeps none for more than 14 days",
        )


class _Again(BaseException):
    """Ends a drain that would never end; `except Exception` does not catch it."""


@question(
    hints=[
        "Which line must not run for a message that failed?",
        "Long polling is an argument of receive_message: WaitTimeSeconds, 20 at most.",
        "Keep the MessageIds of those that failed in a set. When an answer holds no other, you are done.",
    ],
    why="This worker loses nothing, asks seldom, and ends, whatever a message does to it.",
)
def q4(lab, drain):
    """drain(sqs, queue_url, handle) -> (done, failed): each message handled once, the successful ones deleted."""
    sqs = queues.client()
    asked = queues.noted(sqs, "ReceiveMessage")
    url = queues.fresh(sqs, "drain", VisibilityTimeout="120")
    bodies = ["poison", "twin", *[f"message {number}" for number in range(9)], "twin"]
    queues.fill(sqs, url, bodies)
    handled, handles, came_back = [], {}, []

    def note_handles(parsed, **about):
        received = {message["Body"]: message["ReceiptHandle"] for message in parsed.get("Messages", [])}
        handles.update(received)
        if "poison" in received and len(handled) >= len(bodies):
            came_back.append("poison")
            if len(came_back) > ENOUGH:
                raise _Again
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=received["poison"], VisibilityTimeout=0)

    sqs.meta.events.register("after-call.sqs.ReceiveMessage", note_handles)

    def handle(body):
        handled.append(body)
        if len(handled) >= len(bodies):  # by now the visibility timeout of the one that failed is over
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handles["poison"], VisibilityTimeout=0)
        if handled.count("poison") > 2:
            raise _Again
        if body == "poison":
            raise ValueError("this one can never succeed")

    result = attempt(drain, sqs, url, handle, timeout=30)
    polled_long = all(parameters.get("WaitTimeSeconds") for parameters in asked)
    if handled.count("poison") > 1:
        raise Wrong("again", "the message that failed came back while drain worked, and was handled again and again")
    if len(came_back) > ENOUGH:
        raise Wrong(
            "endless", "the message that failed comes back for ever, and drain receives for ever: it does not end"
        )
    if isinstance(result, Raised):
        raise Wrong("raised", f"drain raised {result}")
    if missing := len(bodies) - len(handled):
        raise Wrong("not handled", f"{missing} of {len(bodies)} messages were never handled")
    for handle_of in handles.values():
        with contextlib.suppress(ClientError):  # it is deleted
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle_of, VisibilityTimeout=0)
    left = [message["Body"] for message in queues.take_all(sqs, url)]
    if "poison" not in left:
        raise Wrong("lost", "the message whose handling failed is not in the queue any more: it is lost")
    if left != ["poison"]:
        raise Wrong("left", "messages that were handled are still in the queue, and come back")
    if not polled_long:
        raise Wrong("short polling", "it asks without long polling: an answer can be empty although messages wait")
    expect(result, (len(bodies) - 1, 1), f"for {len(bodies)} messages of which one failed ")


def _attributes(sqs, url: object, name: str) -> dict[str, str]:
    """The attributes of the queue whose URL a function returned."""
    if not isinstance(url, str) or not url.endswith(f"/{name}"):
        raise Wrong("returned", f"it returned {shown(url)}; the URL of the queue {name!r} was expected")
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
