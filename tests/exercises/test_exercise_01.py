import json

import pytest

from workshop.exercises import queues

CHAPTER = "01_create_the_queue"


def created_with(**attributes):
    def create_queue(sqs):
        return sqs.create_queue(QueueName="slow-work", Attributes=attributes)["QueueUrl"]

    return create_queue


def sets_it_afterwards(sqs):
    url = sqs.create_queue(QueueName="slow-work")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "240"})
    return url


def returns_the_answer(sqs):
    return sqs.create_queue(QueueName="slow-work", Attributes={"VisibilityTimeout": "180"})


@pytest.mark.parametrize("answer", [created_with(VisibilityTimeout="180"), sets_it_afterwards])
def test_q1_takes_any_way_to_a_visibility_timeout_of_six_times_the_functions(outcome, answer):
    assert outcome(1, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (created_with(), "still 30 seconds"),
        (created_with(VisibilityTimeout="10"), "is 10 seconds, shorter than the function's own 30"),
        (created_with(VisibilityTimeout="60"), "six times the function's timeout: 180"),
        (created_with(VisibilityTimeout=180), "create_queue raised ParamValidationError"),
        (created_with(VisibilityTimeout="50000"), "AWS takes at most 43200"),
        (returns_the_answer, "return its 'QueueUrl'"),
        (lambda sqs: None, "returned None; it should return the queue's URL"),
        ("180", "a function was expected, and this is a str"),
    ],
)
def test_q1_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(1, answer)
    assert state == "wrong"
    assert because in text


def deletes_then_returns(sqs, queue_url):
    messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=1).get("Messages")
    if not messages:
        return None
    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=messages[0]["ReceiptHandle"])
    return messages[0]["Body"]


def deletes_in_a_batch(sqs, queue_url):
    for message in sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=0).get("Messages", []):
        entries = [{"Id": "only", "ReceiptHandle": message["ReceiptHandle"]}]
        sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
        return message["Body"]
    return None


def waits_as_long_as_it_can(sqs, queue_url):
    for message in sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=20).get("Messages", []):
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return message["Body"]
    return None


def waits_too_long(sqs, queue_url):
    sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=21)


def never_deletes(sqs, queue_url):
    for message in sqs.receive_message(QueueUrl=queue_url).get("Messages", []):
        return message["Body"]
    return None


def purges(sqs, queue_url):
    if body := never_deletes(sqs, queue_url):
        sqs.purge_queue(QueueUrl=queue_url)
    return body


def breaks_on_empty(sqs, queue_url):
    message = sqs.receive_message(QueueUrl=queue_url)["Messages"][0]
    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return message["Body"]


def takes_ten(sqs, queue_url):
    messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return messages[0]["Body"] if messages else None


def returns_the_message(sqs, queue_url):
    for message in sqs.receive_message(QueueUrl=queue_url).get("Messages", []):
        return message
    return None


@pytest.mark.parametrize("answer", [deletes_then_returns, deletes_in_a_batch, waits_as_long_as_it_can])
def test_q2_takes_any_way_to_take_one_message_for_good(outcome, answer):
    assert outcome(2, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (never_deletes, "received and not deleted: after the visibility timeout it comes back"),
        (purges, "only 0 is left: the others are lost"),
        (takes_ten, "only 0 is left: the others are lost"),
        (breaks_on_empty, "the queue was empty, and it raised KeyError: 'Messages'"),
        (returns_the_message, "returned the whole message; it should return its Body"),
        (waits_too_long, "the queue was empty, and it raised ClientError"),
    ],
)
def test_q2_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(2, answer)
    assert state == "wrong"
    assert because in text


def dead_letters_with(target=None, tries=None, retention="1209600", as_json=json.dumps, url_of="{name}"):
    """A solution, with one thing changed."""

    def create_with_dead_letters(sqs, name, given_tries):
        dlq = sqs.create_queue(QueueName=f"{name}-dlq", Attributes={"MessageRetentionPeriod": retention})["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = {"deadLetterTargetArn": target or arn, "maxReceiveCount": tries or given_tries}
        sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": as_json(policy)})
        return sqs.get_queue_url(QueueName=url_of.format(name=name))["QueueUrl"]

    return create_with_dead_letters


def only_one_queue(sqs, name, tries):
    return sqs.create_queue(QueueName=name)["QueueUrl"]


def attaches_it_afterwards(sqs, name, tries):
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    dlq = sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=dlq, Attributes={"MessageRetentionPeriod": str(10 * 86400)})
    arn = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=["All"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": str(tries)})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})
    return queue


@pytest.mark.parametrize("answer", [dead_letters_with(), attaches_it_afterwards])
def test_q3_takes_any_way_to_a_dead_letter_queue_that_works(outcome, answer):
    assert outcome(3, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (only_one_queue, "the queue 'orders' has no RedrivePolicy"),
        (dead_letters_with(tries=5), "maxReceiveCount is 5, and the function was called with tries=2"),
        (dead_letters_with(retention="345600"), "keeps messages for 4 days, not longer than 'orders'"),
        (dead_letters_with(as_json=lambda policy: policy), "raised ParamValidationError"),
        (dead_letters_with(url_of="{name}-dlq"), "it returned the URL of 'orders-dlq'"),
        (
            dead_letters_with(target="http://127.0.0.1/123456789012/orders-dlq"),
            "names the dead-letter queue by its ARN",
        ),
    ],
)
def test_q3_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(3, answer)
    assert state == "wrong"
    assert because in text


def drains(limit=10, wait=0, delete="success", stop_at_first=False, once=False, counts=True):
    """A solution, with one thing changed."""

    def drain(sqs, queue_url, handle):
        done = failed = 0
        while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=limit, WaitTimeSeconds=wait).get(
            "Messages"
        ):
            for message in messages:
                receipt = {"QueueUrl": queue_url, "ReceiptHandle": message["ReceiptHandle"]}
                if delete == "before":
                    sqs.delete_message(**receipt)
                try:
                    handle(message["Body"])
                except ValueError:
                    failed += 1
                    if stop_at_first:
                        return done, failed
                else:
                    done += 1
                    if delete == "success":
                        sqs.delete_message(**receipt)
            if once:
                break
        return (done, failed) if counts else done

    return drain


def catches_nothing(sqs, queue_url, handle):
    while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            handle(message["Body"])
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return 0, 0


@pytest.mark.parametrize("answer", [drains(), drains(limit=1, wait=20)], ids=["ten at a time", "one at a time"])
def test_q4_takes_any_worker_that_loses_nothing_and_repeats_nothing(outcome, answer):
    assert outcome(4, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (drains(delete="before"), "the message whose handling failed was deleted, too: it is lost"),
        (drains(delete="never"), "only the one that failed should be"),
        (drains(stop_at_first=True), "does it stop at the first failure"),
        (drains(once=True), "were never handled"),
        (drains(counts=False), "should return (0, 0)"),
        (catches_nothing, "catches_nothing raised ValueError: message 4 can never succeed"),
    ],
)
def test_q4_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(4, answer)
    assert state == "wrong"
    assert because in text


@pytest.mark.parametrize(
    ("number", "answer", "name"),
    [(1, created_with(VisibilityTimeout="60"), "slow-work"), (3, dead_letters_with(tries=5), "orders-dlq")],
)
def test_what_a_check_has_made_is_not_in_the_way_of_who_tries_it_afterwards(outcome, exercise, number, answer, name):
    outcome(number, answer)
    sqs = queues.client()
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName=name)
