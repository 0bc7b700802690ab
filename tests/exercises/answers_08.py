"""Chapter 8: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

q1 = {
    "right": [
        ("30 * 2 ** (receive_count - 1)", "15 << receive_count"),
        """
def seconds_to_wait(record):
    seconds = 30
    for _ in range(1, int(record["attributes"]["ApproximateReceiveCount"])):
        seconds = min(2 * seconds, 3600)
    return seconds
""",
    ],
    "wrong": {
        "a text": ["as given"],
        "one too many": [("(receive_count - 1)", "receive_count")],
        "too long": [("min(30 * 2 ** (receive_count - 1), 3600)", "30 * 2 ** (receive_count - 1)")],
        "returned": [
            ("30 * 2 ** (receive_count - 1)", "30 * receive_count"),
            ("3600", "3000"),
            ("min", "max"),
        ],
        "no whole number": [("30 * 2", "30.0 * 2")],
        "raised": [
            ('int(record["attributes"]["ApproximateReceiveCount"])', 'record["attributes"]["ApproximateReceiveCount"]')
        ],
    },
}

q2 = {
    "right": [
        ("22", "21"),
        ("22", "40", "345_600", "86_400 * 3 + 40 * 180", "1_209_600", "864_000 + 40 * 180"),
    ],
    "wrong": {
        "too few": ["as given", ("22", "20")],
        "too many": [("22", "41")],
        "pause": [("345_600", "259_200"), ("345_600", "262_000")],
        "dead letters": [("1_209_600", "345_600"), ("1_209_600", "604_800"), ("1_209_600", "864_000")],
        "not possible": [("345_600", "4"), ("1_209_600", "1_209_601")],
        "unforeseen": [("queue_retention", "retention")],
    },
}

q3 = {
    "right": [
        """
def process_once(key, work):
    from django.db import IntegrityError

    try:
        with transaction.atomic():
            ReceivedMessage.objects.create(idempotency_key=key)
            work()
    except IntegrityError:
        if ReceivedMessage.objects.filter(idempotency_key=key).exists():
            return False
        raise
    return True
""",
        """
@transaction.atomic
def process_once(key, work):
    if ReceivedMessage.objects.filter(idempotency_key=key).exists():
        return False
    ReceivedMessage(idempotency_key=key).save(force_insert=True)
    work()
    return True
""",
    ],
    "wrong": {
        "same moment": ["as given"],
        "row last": [
            """
def process_once(key, work):
    with transaction.atomic():
        if ReceivedMessage.objects.filter(idempotency_key=key).exists():
            return False
        work()
        ReceivedMessage.objects.create(idempotency_key=key)
    return True
"""
        ],
        "known early": [("    with transaction.atomic():\n", "    if True:\n")],
        "left behind": [
            """
def process_once(key, work):
    problem = None
    with transaction.atomic():
        _, new = ReceivedMessage.objects.get_or_create(idempotency_key=key)
        try:
            if new:
                work()
        except Exception as error:
            problem = error
    if problem:
        raise problem
    return new
""",
        ],
        "swallowed": [
            """
def process_once(key, work):
    from django.db import IntegrityError

    try:
        with transaction.atomic():
            ReceivedMessage.objects.create(idempotency_key=key)
            work()
    except IntegrityError:
        return False
    return True
"""
        ],
        "returned": [("return new", "return None"), ("        if new:\n            work()", "        work()")],
    },
}

q4 = {
    "right": [
        (
            'WaitTimeSeconds": 5',
            'WaitTimeSeconds": 20',
            "ids, handles = [], []",
            "ids, handles = [], set()",
            'append(message["ReceiptHandle"])',
            'add(message["ReceiptHandle"])',
        ),
        """
def look(sqs, url):
    seen = {}
    try:
        while True:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            if "Messages" not in answer:
                return set(seen)
            seen.update((message["MessageId"], message["ReceiptHandle"]) for message in answer["Messages"])
    finally:
        entries = [dict(Id=str(n), ReceiptHandle=h, VisibilityTimeout=0) for n, h in enumerate(seen.values())]
        for start in range(0, len(entries), 10):
            sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries[start : start + 10])
""",
    ],
    "wrong": {
        "gone": ["as given"],
        "hidden": [("VisibilityTimeout=0", "VisibilityTimeout=5"), ("in handles:", "in handles[:10]:")],
        "batch": [
            """
def look(sqs, url):
    seen = {}
    receive = {"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 60, "WaitTimeSeconds": 1}
    while messages := sqs.receive_message(**receive).get("Messages"):
        seen |= {message["MessageId"]: message["ReceiptHandle"] for message in messages}
    entries = [dict(Id=str(n), ReceiptHandle=h, VisibilityTimeout=0) for n, h in enumerate(seen.values())]
    sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
    return list(seen)
"""
        ],
        "short polling": [(', "WaitTimeSeconds": 5', ""), ('"WaitTimeSeconds": 5', '"WaitTimeSeconds": 0')],
        "returned": [
            (
                'while messages := sqs.receive_message(**receive).get("Messages"):',
                'for messages in [sqs.receive_message(**receive)["Messages"]]:',
            ),
            ('message["MessageId"]', 'message["Body"]'),
        ],
        "too slow": [('"VisibilityTimeout": 60', '"VisibilityTimeout": 0')],
        "raised": [("return ids", "return ids + handles[0]")],
    },
}

q5 = {
    "right": [
        (
            "                continue\n            sqs.delete",
            "            else:\n                sqs.delete",
            "            sent += 1",
            "                sent += 1",
        ),
        """
def redrive(sqs, dead_letter_queue_url, queue_url, repair):
    stays, sent = set(), set()
    while True:
        answer = sqs.receive_message(QueueUrl=dead_letter_queue_url, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            stays.add(message["MessageId"])
            try:
                sqs.send_message(QueueUrl=queue_url, MessageBody=repair(message["Body"]))
                sqs.delete_message(QueueUrl=dead_letter_queue_url, ReceiptHandle=message["ReceiptHandle"])
                sent.add(message["MessageId"])
            except Exception:
                pass
        if "Messages" not in answer:
            return len(sent)
""",
    ],
    "wrong": {
        "lost": [
            "as given",
            ("                continue\n", ""),
            (
                "            try:",
                '            sqs.delete_message(**source, ReceiptHandle=message["ReceiptHandle"])\n            try:',
            ),
        ],
        "raised": [("except Exception as", "except ValueError as")],
        "others": [
            ("                continue\n", "                return sent\n"),
            ("while messages :=", "for messages in [", '.get("Messages"):', '["Messages"]]:'),
            ("                sqs.send", "                for _ in range(2):\n                    sqs.send"),
        ],
        "not deleted": [("            sqs.delete_message", "            0 and sqs.delete_message")],
        "returned": [("sent += 1", "sent = 1"), ("return sent", "return sent, 2")],
    },
}
