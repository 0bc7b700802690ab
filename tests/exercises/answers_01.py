"""Chapter 1: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

q1 = {
    "right": [
        ('"180"', '"43200"'),
        """
def create_queue(sqs):
    url = sqs.create_queue(QueueName="slow-work")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(6 * 30)})
    return url
""",
    ],
    "wrong": {
        "as long as the function": ["as given", (', Attributes={"VisibilityTimeout": "180"}', "")],
        "too short": [('"180"', '"179"'), ('"180"', '"0"')],
        "too long": [('"180"', '"180000"')],
        "returned": [('answer["QueueUrl"]', "answer"), ("slow-work", "slow"), ("return", "return None and")],
        "raised": [('"180"', "180")],
        "arguments": [("(sqs)", "()")],
    },
}

q2 = {
    "right": [
        ("QueueUrl=queue_url)", "QueueUrl=queue_url, MaxNumberOfMessages=1, WaitTimeSeconds=20)"),
        """
def take_one(sqs, queue_url):
    messages = sqs.receive_message(QueueUrl=queue_url).get("Messages")
    if not messages:
        return None
    entries = [{"Id": "0", "ReceiptHandle": messages[0]["ReceiptHandle"]}]
    sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
    return messages[0]["Body"]
""",
        """
def take_one(sqs, queue_url):
    try:
        [message] = sqs.receive_message(QueueUrl=queue_url)["Messages"]
    except KeyError:
        return
    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return message["Body"]
""",
    ],
    "wrong": {
        "raised": ["as given", ('.get("Messages", [])', '["Messages"]'), ('message["ReceiptHandle"]', "'x'")],
        "not deleted": [('sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])', "pass")],
        "hidden": [("QueueUrl=queue_url)", "QueueUrl=queue_url, MaxNumberOfMessages=10)")],
        "lost": [
            (
                'sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])',
                "sqs.purge_queue(QueueUrl=queue_url)",
            ),
            """
def take_one(sqs, queue_url):
    body = None
    for message in sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", []):
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        body = message["Body"]
    return body
""",
        ],
        "another": [
            """
def take_one(sqs, queue_url):
    messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages[1:]:
        sqs.change_message_visibility(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    for message in messages[:1]:
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return messages[1]["Body"]
"""
        ],
        "returned": [('return message["Body"]', "return message"), ("return None", 'return ""')],
    },
}

q3 = {
    "right": [
        ("str(14 * 24 * 3600)", '"345601"'),
        """
def create_with_dead_letters(sqs, name, tries):
    url = sqs.create_queue(QueueName=name, Attributes={"MessageRetentionPeriod": "3600"})["QueueUrl"]
    dead = sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["All"])["Attributes"]["QueueArn"]
    policy = json.dumps({"maxReceiveCount": str(tries), "deadLetterTargetArn": arn})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy})
    return url
""",
    ],
    "wrong": {
        "raised": [
            "as given",
            ("json.dumps(policy)", "policy"),
            ("json.dumps(policy)", "str(policy)"),
            ('attributes["QueueArn"]', "dead_letters"),
        ],
        "kept": [
            (", Attributes=longer", ""),
            ("14 * 24", "4 * 24"),
            ("14 * 24 * 3600", "1300000"),
            ('{"RedrivePolicy"', 'longer | {"RedrivePolicy"'),
        ],
        "tries": [('"maxReceiveCount": tries', '"maxReceiveCount": 3')],
        "target": [
            (', Attributes={"RedrivePolicy": json.dumps(policy)}', ""),
            ('QueueName=name, Attributes={"RedrivePolicy": json.dumps(policy)}', "QueueName=name"),
        ],
        "no queue": [('name + "-dlq"', '"dlq-of-" + name')],
        "returned": [('return queue["QueueUrl"]', "return dead_letters"), ("QueueName=name,", 'QueueName="orders",')],
    },
}

q4 = {
    "right": [
        ("WaitTimeSeconds=20", "WaitTimeSeconds=1"),
        """
def drain(sqs, queue_url, handle):
    outcomes = {}
    while messages := sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=5).get("Messages"):
        [message] = messages
        if message["MessageId"] in outcomes:
            break
        try:
            handle(message["Body"])
        except Exception:
            outcomes[message["MessageId"]] = False
        else:
            outcomes[message["MessageId"]] = True
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return sum(outcomes.values()), list(outcomes.values()).count(False)
""",
    ],
    "wrong": {
        "lost": ["as given", ("                continue\n", "")],
        "again": [(' if message["MessageId"] not in failed', "")],
        "short polling": [(", WaitTimeSeconds=20", ""), ("WaitTimeSeconds=20", "WaitTimeSeconds=0")],
        "endless": [
            """
def drain(sqs, queue_url, handle):
    done, failed = 0, set()
    while messages := sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=20).get("Messages"):
        [message] = messages
        if message["MessageId"] in failed:
            continue
        try:
            handle(message["Body"])
        except Exception:
            failed.add(message["MessageId"])
            continue
        done += 1
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return done, len(failed)
""",
        ],
        "raised": [("except Exception", "except KeyError")],
        "not handled": [
            ("                continue\n", "                return done, len(failed)\n"),
            (  # by the body: a message like one before is another message
                "done, failed = 0, set()",
                "done, failed, seen = 0, set(), set()",
                'if message["MessageId"] not in failed]',
                'if message["Body"] not in seen]\n        seen.update(message["Body"] for message in messages)',
            ),
        ],
        "left": [("            sqs.delete_message", "            0 and sqs.delete_message")],
        "returned": [("return done, len(failed)", "return done"), ("done += 1", "pass")],
    },
}
