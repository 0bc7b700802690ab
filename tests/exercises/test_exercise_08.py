import json
import threading

import pytest

CHAPTER = "08_when_things_fail"


def waits(seconds, count=int):
    """An answer to question 1 of that formula."""

    def seconds_to_wait(record):
        return seconds(count(record["attributes"]["ApproximateReceiveCount"]))

    return seconds_to_wait


def doubles_in_a_loop(record):
    seconds = 30
    for _ in range(int(record["attributes"]["ApproximateReceiveCount"]) - 1):
        if seconds >= 3600:
            break
        seconds *= 2
    return min(seconds, 3600)


@pytest.mark.parametrize("answer", [waits(lambda n: min(15 << n, 3600)), doubles_in_a_loop])
def test_q1_takes_any_way_to_double_up_to_an_hour(outcome, answer):
    assert outcome(1, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (waits(lambda n: 30 * n, str), "30 times a text repeats it 30 times"),
        (waits(lambda n: min(30 * 2**n, 3600), str), "In a record ApproximateReceiveCount is a text: make a number"),
        (waits(lambda n: min(30 * 2**n, 3600)), "after the first delivery it waits for 60 seconds: the count begins"),
        (waits(lambda n: max(30 * 2 ** (n - 1), 3600)), "is it max where it should be min?"),
        (waits(lambda n: min(30 * n, 3600)), "waits for 90 seconds, and it should be 120: twice as long each time"),
        (waits(lambda n: min(2**n, 3600)), "after the first delivery it waits for 2 seconds, and it should be 30"),
        (waits(lambda n: 30 * 2 ** (n - 1)), "after delivery 40 it waits for more than twelve hours. SQS refuses"),
        (waits(lambda n: min(30 * 2 ** (n - 1), 43_200)), "after delivery 40 it waits for 43200 seconds"),
        (waits(lambda n: min(30 * 2 ** (n - 1), 900)), "after delivery 6 it waits for 900 seconds, and it should be"),
        (waits(lambda n: min(30 * 2 ** (n - 1), 3600.0) / 1), "it returned 30.0; boto3 takes only a whole number"),
        (waits(lambda n: None), "it returned None; return a number of seconds"),
        (lambda record: min(30, record["ApproximateReceiveCount"]), "it raised KeyError: 'ApproximateReceiveCount'"),
        (120, "a function was expected, and this is an int"),
    ],
)
def test_q1_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(1, answer)
    assert state == "wrong"
    assert because in text


DAY = 86_400


def numbers(count=22, queue=4 * DAY, dead=14 * DAY):
    return {"max_receive_count": count, "queue_retention": queue, "dead_letter_retention": dead}


@pytest.mark.parametrize(
    "answer", [numbers(), numbers(21), numbers(40), numbers(30, 14 * DAY, 11 * DAY), numbers(22.0, 3.5 * DAY)]
)
def test_q2_takes_all_numbers_that_lose_nothing(outcome, answer):
    assert outcome(2, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (numbers(5), "the last delivery comes 12 minutes after the first"),
        (numbers(20), "the last delivery comes 57 minutes after the first"),
        (numbers(1000), "is put aside after 3,000 minutes; within 120 was asked for"),
        (numbers(41), "is put aside after 123 minutes; within 120 was asked for"),
        (numbers(dead=14), "dead_letter_retention is 14 seconds: SQS counts seconds"),
        (numbers(queue=4), "queue_retention is 4 seconds: SQS counts seconds"),
        (numbers(dead=20 * DAY), "dead_letter_retention is 20.0 days, and SQS takes 14 days at the most"),
        (numbers(queue=3 * DAY), "After a pause of three days there must be time left for all 22 deliveries, 66 min"),
        (numbers(queue=3 * DAY + 3600), "the queue keeps messages for 3 days and 60 minutes. After a pause"),
        (numbers(dead=4 * DAY), "somebody looks every seven days: some are gone"),
        (numbers(dead=7 * DAY), "counted from when they were first sent"),
        (numbers(dead=10 * DAY), "has used up three days and 66 minutes before it gets there"),
        (numbers(dead=10 * DAY + 3600), "for 10 days and 60 minutes, counted from when they were first sent"),
        (numbers("22"), "max_receive_count is '22'; write a whole number"),
        (numbers(True), "max_receive_count is True; write a whole number"),
        ({"maxReceiveCount": 22}, "numbers has no 'max_receive_count'"),
        ([22, 4 * DAY, 14 * DAY], "a dict was expected, and this is a list"),
    ],
)
def test_q2_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(2, answer)
    assert state == "wrong"
    assert because in text


@pytest.fixture
def model(exercise):
    """ReceivedMessage; Django is ready when the exercise has opened its lab."""
    from workshop_django.inbox.models import ReceivedMessage

    return ReceivedMessage


# Each answer to question 3 gets (model, transaction, IntegrityError) first, and is then process_once.


def writes_the_row_first(model, transaction, taken, key, work):
    with transaction.atomic():
        try:
            with transaction.atomic():
                model.objects.create(idempotency_key=key)
        except taken:
            return False
        work()
    return True


def gets_or_creates(model, transaction, taken, key, work):
    with transaction.atomic():
        _, created = model.objects.get_or_create(idempotency_key=key)
        if created:
            work()
        return created


def looks_after_the_error(model, transaction, taken, key, work):
    try:
        with transaction.atomic():
            model(idempotency_key=key).save(force_insert=True)
            work()
    except taken:
        if model.objects.filter(idempotency_key=key).exists():
            return False
        raise
    return True


def inserts_and_ignores_conflicts(model, transaction, taken, key, work):
    with transaction.atomic():
        before = model.objects.filter(idempotency_key=key).select_for_update().first()
        if before is None:
            model.objects.bulk_create([model(idempotency_key=key)])
            work()
    return before is None


def looks_then_notes(model, transaction, taken, key, work):
    if model.objects.filter(idempotency_key=key).exists():
        return False
    work()
    model.objects.create(idempotency_key=key)
    return True


def looks_outside(model, transaction, taken, key, work):
    if model.objects.filter(idempotency_key=key).exists():
        return False
    with transaction.atomic():
        work()
        model.objects.get_or_create(idempotency_key=key)
    return True


def looks_then_notes_in_a_transaction(model, transaction, taken, key, work):
    with transaction.atomic():
        return looks_then_notes(model, transaction, taken, key, work)


def claims_and_forgets_to_undo(model, transaction, taken, key, work):
    try:
        model.objects.create(idempotency_key=key)
    except taken:
        return False
    work()
    return True


def claims_and_undoes(model, transaction, taken, key, work):
    try:
        row = model.objects.create(idempotency_key=key)
    except taken:
        return False
    try:
        with transaction.atomic():
            work()
    except BaseException:
        row.delete()
        raise
    return True


def undoes_the_row_alone(model, transaction, taken, key, work):
    try:
        row = model.objects.create(idempotency_key=key)
    except taken:
        return False
    try:
        work()
    except Exception:
        row.delete()
        raise
    return True


def takes_every_integrity_error_for_a_duplicate(model, transaction, taken, key, work):
    try:
        with transaction.atomic():
            model.objects.create(idempotency_key=key)
            work()
    except taken:
        return False
    return True


def swallows(model, transaction, taken, key, work):
    try:
        return gets_or_creates(model, transaction, taken, key, work)
    except Exception:
        return False


def never_returns_false(model, transaction, taken, key, work):
    gets_or_creates(model, transaction, taken, key, work)
    return True


def raises_for_a_duplicate(model, transaction, taken, key, work):
    with transaction.atomic():
        model.objects.create(idempotency_key=key)
        work()
    return True


def stores_no_row(model, transaction, taken, key, work):
    work()
    return True


def remembers_by_itself(model, transaction, taken, key, work, known=set(), lock=threading.Lock()):  # noqa: B006, B008
    with lock:
        if key in known:
            return False
        known.add(key)
    work()
    return True


def works_twice(model, transaction, taken, key, work):
    work()
    return writes_the_row_first(model, transaction, taken, key, work)


def returns_nothing_new(model, transaction, taken, key, work):
    return None if gets_or_creates(model, transaction, taken, key, work) else False


def always_works(model, transaction, taken, key, work):
    with transaction.atomic():
        _, created = model.objects.get_or_create(idempotency_key=key)
        work()
        return created


def works_and_takes_it_back(model, transaction, taken, key, work):
    try:
        with transaction.atomic():
            work()
            model.objects.create(idempotency_key=key)
    except taken:
        if model.objects.filter(idempotency_key=key).exists():
            return False
        raise
    return True


def remembers_failures_too(model, transaction, taken, key, work, known=set()):  # noqa: B006
    if key in known:
        return False
    known.add(key)
    return gets_or_creates(model, transaction, taken, key, work)


def remembers_and_writes(model, transaction, taken, key, work, known=set()):  # noqa: B006
    if key in known:
        return False
    known.add(key)
    try:
        return gets_or_creates(model, transaction, taken, key, work)
    except BaseException:
        known.discard(key)
        raise


@pytest.fixture
def process_once(model):
    """process_once(answer) -> the function that question 3 checks."""
    from django.db import IntegrityError, transaction

    def make(answer):
        def process_once(key, work):
            return answer(model, transaction, IntegrityError, key, work)

        return process_once

    return make


@pytest.mark.parametrize(
    "answer", [writes_the_row_first, gets_or_creates, looks_after_the_error, inserts_and_ignores_conflicts]
)
def test_q3_takes_any_receiver_that_works_once(outcome, model, process_once, answer):
    assert outcome(3, process_once(answer)) == (
        "right",
        "SQS delivers at least once: a receiver that cannot stand duplicates will, on some day, charge somebody twice.",
    )
    assert not model.objects.exists(), "the check cleans up"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (works_twice, "work was called 2 times for one delivery"),
        (returns_nothing_new, "it returned None for a message that is new; it should return True"),
        (always_works, "the same message came a second time, and work was called again"),
        (works_and_takes_it_back, "work was called again. Write the row first"),
        (remembers_failures_too, "work failed once, the message came again, and"),
        (stores_no_row, "there is no row with the key afterwards"),
        (remembers_by_itself, "there is no row with the key afterwards"),
        (raises_for_a_duplicate, "process_once raised IntegrityError: UNIQUE constraint failed"),
        (never_returns_false, "came a second time, and it returned True; it should return False"),
        (swallows, "work raised an exception, and it returned False: the sender would take that for done"),
        (claims_and_forgets_to_undo, "the row with the key is still there: the retry would find it, and do nothing"),
        (undoes_the_row_alone, "what it had stored before is still there"),
        (looks_then_notes, "what it had stored before is still there"),
        (looks_outside, "came at the same moment, and both worked. Both looked before either"),
        (claims_and_undoes, "while work still goes on, others can already see the row"),
        (remembers_and_writes, "was told that all is done. Then the first one failed"),
        (looks_then_notes_in_a_transaction, "work is called before the row is written"),
        (takes_every_integrity_error_for_a_duplicate, "a failure is taken for a duplicate"),
        (lambda *args: None, "work was not called for a message that is new"),
    ],
)
def test_q3_says_what_is_not_right(outcome, model, process_once, answer, because):
    state, text = outcome(3, process_once(answer))
    assert state == "wrong"
    assert because in text
    assert not model.objects.exists(), "the check cleans up"


def data_of(body):
    try:
        return json.loads(body)["data"]
    except (ValueError, KeyError, TypeError):
        return None


def looks(hide=30, give_back=True, delete=False, value=data_of, key="MessageId", rounds=None, limit=10, wait=1):
    """An answer to question 4, with one thing changed."""

    def look(sqs, dead_letter_queue_url):
        found, seen = {}, []
        asked = 0
        while asked != rounds and (
            messages := sqs.receive_message(
                QueueUrl=dead_letter_queue_url, MaxNumberOfMessages=limit, VisibilityTimeout=hide, WaitTimeSeconds=wait
            ).get("Messages")
        ):
            asked += 1
            for message in messages:
                found[message[key]] = value(message["Body"])
                receipt = {"QueueUrl": dead_letter_queue_url, "ReceiptHandle": message["ReceiptHandle"]}
                seen.append(receipt)
                if delete:
                    sqs.delete_message(**receipt)
        for receipt in seen if give_back else []:
            sqs.change_message_visibility(**receipt, VisibilityTimeout=0)
        return found

    return look


def gives_back_in_batches(sqs, dead_letter_queue_url):
    where = {"QueueUrl": dead_letter_queue_url}
    everything = []
    while messages := sqs.receive_message(**where, WaitTimeSeconds=20).get("Messages"):
        everything += messages
    for start in range(0, len(everything), 10):
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
            for number, message in enumerate(everything[start : start + 10])
        ]
        sqs.change_message_visibility_batch(**where, Entries=entries)
    return {message["MessageId"]: data_of(message["Body"]) for message in everything}


def prints_the_bodies(sqs, dead_letter_queue_url):
    def value(body):
        print(body)
        return data_of(body)

    return looks(value=value)(sqs, dead_letter_queue_url)


def sends_them_back(sqs, dead_letter_queue_url):
    where = {"QueueUrl": dead_letter_queue_url}
    found, taken = {}, []
    while messages := sqs.receive_message(**where, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
        for message in messages:
            sqs.delete_message(**where, ReceiptHandle=message["ReceiptHandle"])
            taken.append(message["Body"])
    for body in taken:
        found[sqs.send_message(**where, MessageBody=body)["MessageId"]] = data_of(body)
    return found


@pytest.mark.parametrize("answer", [looks(), gives_back_in_batches])
def test_q4_takes_any_way_to_look_that_changes_nothing(outcome, answer):
    assert outcome(4, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (looks(wait=0), "without WaitTimeSeconds"),
        (looks(give_back=False), "13 dead letters are in flight afterwards: a colleague who looks now sees nothing"),
        (looks(delete=True), "look raised ReceiptHandleIsInvalid"),
        (looks(delete=True, give_back=False), "some dead letters are gone: whoever looks must delete nothing"),
        (looks(rounds=1), "it returned 10 of 13 dead letters. An answer holds ten at most"),
        (looks(rounds=1, limit=1), "it returned 1 of 13 dead letters; ask again until an answer is empty"),
        (looks(hide=0, rounds=5), "with VisibilityTimeout=0 the next answer may hold the same ten"),
        (looks(hide=0), "it asked the dead-letter queue for messages 32 times and did not end"),
        (looks(value=json.loads), "look raised JSONDecodeError"),
        (looks(value=lambda body: body), "a receiver's key is in what it returned or printed"),
        (prints_the_bodies, "a receiver's key is in what it returned or printed"),
        (looks(value=lambda body: data_of(body) or {}), "a body without data, 'not JSON', should have None; it has {}"),
        (looks(value=lambda body: (data_of(body) or {}).get("image_id")), "it returned 1, which is not that"),
        (looks(key="ReceiptHandle"), "some ids are not those of the dead letters"),
        (sends_them_back, "some ids are not those of the dead letters"),
        (lambda sqs, url: [], "it returned a list; return a dict of message ids and data"),
    ],
)
def test_q4_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(4, answer)
    assert state == "wrong"
    assert because in text


def redrives(
    delete="after", catch=Exception, attributes=True, keep_none=True, hide=60, rounds=None, whole=False, body=None
):
    """An answer to question 5, with one thing changed."""

    def redrive(sqs, dead_letter_queue_url, queue_url, repair):
        sent = left = asked = 0
        where = {"QueueUrl": dead_letter_queue_url}
        receive = where | {"MaxNumberOfMessages": 10, "VisibilityTimeout": hide, "MessageAttributeNames": ["All"]}
        while asked != rounds and (messages := sqs.receive_message(**receive).get("Messages")):
            asked += 1
            for message in messages:
                delete_it = where | {"ReceiptHandle": message["ReceiptHandle"]}
                try:
                    repaired = repair(message if whole else message["Body"])
                    if repaired is None and keep_none:
                        left += 1
                        continue
                    if delete == "before":
                        sqs.delete_message(**delete_it)
                    labels = message.get("MessageAttributes", {}) if attributes else {}
                    text = message["Body"] if body == "as it was" else str(repaired)
                    sqs.send_message(QueueUrl=queue_url, MessageBody=text, MessageAttributes=labels)
                    sent += 1
                    if delete == "after":
                        sqs.delete_message(**delete_it)
                except catch:
                    left += 1
                if delete == "always":
                    sqs.delete_message(**delete_it)
        return sent, left

    return redrive


def collects_first(sqs, dead_letter_queue_url, queue_url, repair):
    where = {"QueueUrl": dead_letter_queue_url}
    everything = []
    while messages := sqs.receive_message(**where, MessageAttributeNames=["trace"]).get("Messages"):
        everything += messages
    sent = 0
    for message in everything:
        try:
            body = repair(message["Body"])
        except Exception:
            body = None
        if body is None:
            continue
        entry = {"Id": "only", "MessageBody": body, "MessageAttributes": message.get("MessageAttributes", {})}
        try:
            answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=[entry])
        except sqs.exceptions.BatchRequestTooLong:
            continue
        if answer.get("Successful"):
            sqs.delete_message(**where, ReceiptHandle=message["ReceiptHandle"])
            sent += 1
    return [sent, len(everything) - sent]


def sends_in_batches(sqs, dead_letter_queue_url, queue_url, repair):
    """A batch with one message that is too large is refused as a whole."""
    where = {"QueueUrl": dead_letter_queue_url}
    receive = where | {"MaxNumberOfMessages": 5, "MessageAttributeNames": ["All"]}
    sent = left = 0
    while messages := sqs.receive_message(**receive).get("Messages"):
        entries = []
        for number, message in enumerate(messages):
            try:
                body = repair(message["Body"])
            except Exception:
                body = None
            if body is not None:
                attributes = message.get("MessageAttributes", {})
                entries.append({"Id": str(number), "MessageBody": body, "MessageAttributes": attributes})
        try:
            done = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)["Successful"]
        except Exception:
            done = []
        for entry in done:
            sqs.delete_message(**where, ReceiptHandle=messages[int(entry["Id"])]["ReceiptHandle"])
        sent, left = sent + len(done), left + len(messages) - len(done)
    return sent, left


def sends_twice(sqs, dead_letter_queue_url, queue_url, repair):
    def repairs_and_sends(body):
        repaired = repair(body)
        if repaired and len(repaired) < 100:
            sqs.send_message(QueueUrl=queue_url, MessageBody=repaired)
        return repaired

    return redrives()(sqs, dead_letter_queue_url, queue_url, repairs_and_sends)


def gives_up_without_a_queue(sqs, dead_letter_queue_url, queue_url, repair):
    try:
        sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])
    except sqs.exceptions.QueueDoesNotExist:
        return 0, 0
    return redrives()(sqs, dead_letter_queue_url, queue_url, repair)


def clears_up_without_a_queue(sqs, dead_letter_queue_url, queue_url, repair):
    result = gives_up_without_a_queue(sqs, dead_letter_queue_url, queue_url, repair)
    if result == (0, 0):
        sqs.purge_queue(QueueUrl=dead_letter_queue_url)
    return result


def stops_without_a_queue(sqs, dead_letter_queue_url, queue_url, repair):
    sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])
    return redrives()(sqs, dead_letter_queue_url, queue_url, repair)


def returns_nothing(sqs, dead_letter_queue_url, queue_url, repair):
    redrives()(sqs, dead_letter_queue_url, queue_url, repair)


@pytest.mark.parametrize("answer", [redrives(), collects_first, stops_without_a_queue])
def test_q5_takes_any_redrive_that_loses_nothing(outcome, answer):
    assert outcome(5, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (
            redrives(delete="before"),
            "there were 14 dead letters, and now there are 2, with 11 in the queue. The difference is lost",
        ),
        (redrives(delete="always"), "delete a message only after it was sent"),
        (redrives(delete="never"), "11 messages were sent and not deleted: the next redrive sends them again"),
        (redrives(catch=KeyError), "it raised ValueError: nobody knows how to repair this one. One message that"),
        (redrives(catch=ValueError), "One message that cannot be repaired or sent should stay, and the others go on"),
        (redrives(keep_none=False), "repair returned None for a message, which should stay where it is, and it was"),
        (redrives(attributes=False), "a message had a message attribute, and it arrived without it"),
        (redrives(rounds=1), "An answer holds ten messages at most"),
        (sends_in_batches, "one that stays, because it is too large for example, must not keep others back"),
        (redrives(hide=0), "it asked the dead-letter queue for messages 32 times and did not end"),
        (redrives(hide=0, rounds=4), "repair was called twice for a message; one that stays comes again at once"),
        (sends_twice, "some messages were sent twice"),
        (gives_up_without_a_queue, "the queue was not there, 2 messages stayed, and it returned (0, 0)"),
        (clears_up_without_a_queue, "the queue was not there, so nothing could be sent, and 2 of 2 dead letters are"),
        (redrives(whole=True), "repair got the whole message; give it the Body"),
        (redrives(body="as it was"), "a message was sent as it was; send what repair returned"),
        (returns_nothing, "it returned None; 11 messages were sent and 3 left, so (11, 3) was expected"),
        (lambda sqs, dead_letter_queue_url, queue_url, repair: (0, 0), "repair was not called"),
    ],
)
def test_q5_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(5, answer)
    assert state == "wrong"
    assert because in text
