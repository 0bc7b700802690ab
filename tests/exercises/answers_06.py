"""Chapter 6: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

q1 = {
    "right": [
        ('"MaximumBatchingWindowInSeconds": 5', '"MaximumBatchingWindowInSeconds": 1'),
        """
READ = {"FunctionResponseTypes": ("ReportBatchItemFailures",)}
images = {"BatchSize": 100, "MaximumBatchingWindowInSeconds": 5, "ScalingConfig": {"MaximumConcurrency": 2}} | READ
payments = {"BatchSize": 10} | READ
""",
        """
report = dict(FunctionResponseTypes=["ReportBatchItemFailures"])
images = dict(report, BatchSize=100, MaximumBatchingWindowInSeconds=5, ScalingConfig=dict(MaximumConcurrency=2))
payments = report
""",
    ],
    "wrong": {
        "refused": [
            "as given",
            ('["ReportBatchItemFailures"]', '"ReportBatchItemFailures"'),
            ('"FunctionResponseTypes": ["ReportBatchItemFailures"]', '"ReportBatchItemFailures": True'),
            ('"BatchSize": 10,', '"BatchSize": "10",'),
        ],
        "window": [('"MaximumBatchingWindowInSeconds": 5', '"MaximumBatchingWindowInSeconds": 0')],
        "FIFO": [
            ('"BatchSize": 10,', '"BatchSize": 100,'),
            ('"BatchSize": 10,', '"BatchSize": 10,\n    "MaximumBatchingWindowInSeconds": 5,'),
        ],
        "switch": [
            ('"FunctionResponseTypes": ["ReportBatchItemFailures"],', ""),
            ('["ReportBatchItemFailures"]', "[]"),
        ],
        "value": [
            ('"MaximumBatchingWindowInSeconds": 5', '"MaximumBatchingWindowInSeconds": 6'),
            ('{"MaximumConcurrency": 2}', '{"MaximumConcurrency": 10}'),
            ('    "ScalingConfig": {"MaximumConcurrency": 2},\n', ""),
            ('"BatchSize": 10,', '"BatchSize": 1,'),
            ('"BatchSize": 10,', '"BatchSize": 10,\n    "FilterCriteria": {"Filters": []},'),
        ],
        "no dictionary": [("payments = {", "payments = 1 or {")],
    },
}

q2 = {
    "right": [
        ('"raises"', '" Raises"'),
        'mistakes = dict(zip("abcde", "raises switch none visibility key".split()))',
    ],
    "wrong": {
        "a": ["as given", ('"raises"', '"key"', '"e": "key"', '"e": "raises"'), ('"raises"', "...")],
        "b": [('"switch"', '"none"', '"c": "none"', '"c": "switch"')],
        "c": [('"none"', '"switch"')],
        "d": [('"visibility"', '"none"')],
        "e": [('"key"', '"raises"'), ('"key"', "None")],
        "returned": [(', "e": "key"', "")],
    },
}

q3 = {
    "right": [
        """
def what_stays(result, message_ids):
    if not result or not result.get("batchItemFailures"):
        return set()
    stays = []
    for failure in result["batchItemFailures"]:
        if failure.get("itemIdentifier") not in message_ids:
            return frozenset(message_ids)
        stays.append(failure["itemIdentifier"])
    return frozenset(stays)
""",
        """
def what_stays(result, message_ids):
    try:
        failed = [failure["itemIdentifier"] for failure in result["batchItemFailures"]]
    except KeyError:
        failed = [None] if "batchItemFailures" in result else []
    except TypeError:
        failed = []
    return set(message_ids) if set(failed) - set(message_ids) else set(failed)
""",
    ],
    "wrong": {
        "raised": ["as given", ("(result or {})", "result"), (" or []", "")],
        "nothing": [("    return failed if", "    return failed if failed and")],
        "readable": [
            (
                "return failed if failed <= set(message_ids) else set(message_ids)",
                "return set(message_ids) if failed else set()",
            ),
            ("    return failed if", "    failed = {*list(failed)[:1]}\n    return failed if"),
        ],
        "unknown": [
            ("return failed if failed <= set(message_ids) else set(message_ids)", "return failed & set(message_ids)"),
            ("    return failed if", "    failed.discard('')\n    return failed if"),
            ("for failure in failures}", 'for failure in failures if failure.get("itemIdentifier", 1) is not None}'),
        ],
        "key": [("for failure in failures}", 'for failure in failures if "itemIdentifier" in failure}')],
        "no set": [
            ("return failed if failed", "return list(failed) if failed"),
            ("return failed", "print(failed)\n    return None and failed"),
        ],
    },
}

q4 = {
    "right": [
        """
def poll_once(sqs, queue_url, handler):
    answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
    waiting = {message["MessageId"]: message for message in answer.get("Messages", [])}
    if waiting:
        records = [{"messageId": key, "body": message["Body"], "attributes": {}} for key, message in waiting.items()]
        try:
            failed = [item["itemIdentifier"] for item in handler({"Records": records}, None)["batchItemFailures"]]
        except Exception:
            failed = list(waiting)
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, (key, message) in enumerate(waiting.items())
            if key not in failed
        ]
        if entries:
            sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
    return len(waiting)
""",
        ("except Exception:", "except BaseException:", "WaitTimeSeconds=20", "WaitTimeSeconds=5"),
    ],
    "wrong": {
        "empty": ["as given", ("    if not batch:\n        return 0\n", "")],
        "early": [
            (
                "    event =",
                "    for m in batch:\n        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=m['ReceiptHandle'])"
                "\n    event =",
            )
        ],
        "raises": [("        return len(batch)\n", "        raise\n")],
        "left": [
            ('        if message["MessageId"] not in failed:\n    ', ""),
            ("not in failed", "in failed"),
            ("        return len(batch)\n    failed", "        result = {'batchItemFailures': []}\n    failed"),
            (
                '            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])',
                "            pass",
            ),
        ],
        "short polling": [(", WaitTimeSeconds=20", ""), ("WaitTimeSeconds=20", "WaitTimeSeconds=0")],
        "returned": [
            ("        return len(batch)\n    failed", "        return 0\n    failed"),
            ("MaxNumberOfMessages=10", "MaxNumberOfMessages=1"),
            ("sqs.delete_message(", "return sqs.delete_message("),
            ("return 0", "return None"),
        ],
        "event": [
            ('"messageId": message["MessageId"]', '"messageId": "id"'),
            ("handler(event, None)", "handler({}, None)"),
        ],
    },
}

q5 = {
    "right": [
        """
def run(poll, stop):
    received = 0
    while not stop.is_set():
        try:
            received += poll()
        except Exception:
            logging.exception("SQS is away")
            stop.wait(timeout=1)
    return received
""",
        """
def run(poll, stop):
    logger, counts, away = logging.getLogger("worker"), [], False
    while not (stop.wait(1) if away else stop.is_set()):
        away = False
        try:
            counts.append(poll())
        except Exception as error:
            logger.error(f"poll failed: {error!r}")
            away = True
    return sum(counts)
""",
    ],
    "wrong": {
        "dies": ["as given", ("except Exception", "except ValueError")],
        "log": [
            ("logging.warning(", "print("),
            ("logging.warning(", "logging.info("),
            (': %s", error', '"'),
            ("logging.warning(", "str.format("),
        ],
        "pause": [
            ("            stop.wait(1)\n", ""),
            ("stop.wait(1)", "__import__('time').sleep(0.1)"),
            ("wait(1)", "wait()"),
        ],
        "returned": [("received += poll()", "received = poll()"), ("return received", "return None")],
        "polls on": [("            stop.wait(1)\n", "            stop.wait(1)\n            received += poll()\n")],
        "interrupt": [("except Exception", "except BaseException")],
    },
}
