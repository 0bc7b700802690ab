"""Chapter 5: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

q1 = {
    "right": [
        """
def is_json(text):
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def handler(event, context):
    bad = [record["messageId"] for record in event["Records"] if not is_json(record["body"])]
    if bad:
        return {"batchItemFailures": [dict(itemIdentifier=message_id) for message_id in bad], "statusCode": 200}
    return None if context is None else {"batchItemFailures": None}
""",
        ("failed = []", "failed = list()", "except ValueError", "except Exception"),
    ],
    "wrong": {
        "report": ["as given", ('{"itemIdentifier": record["messageId"]}', 'record["messageId"]')],
        "all is well": [('return {"batchItemFailures"', 'return {"failures"')],
        "lost": [
            ('record["messageId"]', 'record["receiptHandle"]'),
            ("failed.append(", "failed[:] = failed or []; 0 and failed.append("),
        ],
        "again": [("json.loads(record", "json.loads(event['Records'][1]['body']); json.loads(record")],
        "returned": [('return {"batchItemFailures": failed}', 'return {"batchItemFailures": {1}}')],
    },
}

q2 = {
    "right": [
        """
async def deliver_all(event):
    async def deliver(session, record):
        message = json.loads(record["body"])
        for app in message["apps"]:
            headers = {"Authorization": f"Token {app['key']}"}
            async with session.post(app["endpoint"], json=message["data"], headers=headers) as answer:
                answer.raise_for_status()

    records = event["Records"]
    async with aiohttp.ClientSession() as session:
        outcomes = await asyncio.gather(*(deliver(session, record) for record in records), return_exceptions=True)
    failed = [record["messageId"] for record, outcome in zip(records, outcomes, strict=True) if outcome]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
""",
        """
async def deliver_all(event):
    failures = {}
    async with aiohttp.ClientSession() as session:
        for record in event["Records"]:  # one after the other
            try:
                message = json.loads(record["body"])
            except ValueError:
                failures[record["messageId"]] = "no JSON"
                continue
            for app in message["apps"]:
                try:
                    headers = {"Authorization": f"Token {app['key']}"}
                    answer = await session.post(app["endpoint"], json=message["data"], headers=headers)
                    if answer.status >= 300:
                        failures[record["messageId"]] = answer.status
                except aiohttp.ClientError as error:
                    failures[record["messageId"]] = error
    return {"batchItemFailures": [{"itemIdentifier": name} for name in failures]}
""",
    ],
    "wrong": {
        "whole batch": ["as given", ("except Exception", "except aiohttp.ClientError")],
        "lost": [
            ("            failed.append", "            0 and failed.append"),
            ("answer.raise_for_status()", "pass"),
            ('for app in message["apps"]', 'for app in message["apps"][:1]'),
            ('for app in message["apps"]', 'for app in message["apps"][-1:]'),
        ],
        "good": [
            (
                '        await asyncio.gather(*(deliver(session, record) for record in event["Records"]))',
                '        for record in event["Records"]:\n            await deliver(session, record)\n'
                "            if failed:\n                break",
            ),
            ('event["Records"]))', 'event["Records"] * 2))'),
        ],
        "again": [('{"batchItemFailures": failed}', '{"batchItemFailures": failed + [{"itemIdentifier": "good"}]}')],
        "report": [('{"itemIdentifier": record["messageId"]}', 'record["messageId"]')],
    },
}

q3 = {
    "right": [
        """
async def deliver(session, app, data, message_id):
    key = f"key of {message_id}"
    headers = {"Authorization": "Token " + app["key"], "Idempotency-Key": key}
    try:
        answer = await session.post(app["endpoint"], data=json.dumps(data), headers=headers, allow_redirects=False)
    except Exception as error:
        return f"{type(error).__name__} from {app['endpoint']}"
    if not 200 <= answer.status < 300:
        return f"it answered {answer.status}"
""",
        (
            "aiohttp.ClientError, TimeoutError",
            "aiohttp.ClientError, asyncio.TimeoutError",
            '"No answer from %s: %s", app["endpoint"], error',
            '"No answer for %s", message_id',
        ),
    ],
    "wrong": {
        "another key": [
            ("message_id}", "str(asyncio.get_running_loop().time())}"),
            (', "Idempotency-Key": message_id', ""),
        ],
        "same key": ["as given", ("message_id}", 'app["endpoint"]}'), ("message_id}", '"message-7"}')],
        "timeout": [("(aiohttp.ClientError, TimeoutError)", "aiohttp.ClientError")],
        "the key": [
            ('app["endpoint"], error', "app, error"),
            ("return type(error).__name__", "return f'{error!r} {headers}'"),
        ],
        "no reason": [
            ('f"HTTP {answer.status}"', "answer.status"),
            ("return type(error).__name__", "return None"),
            ("(aiohttp.ClientError, TimeoutError)", "TimeoutError"),
        ],
        "returned": [("None if answer.ok", '"done" if answer.ok'), ("answer.ok", "answer.status == 200")],
        "arrived": [("json=data", "json=json.dumps(data)"), ("Token {", "{")],
    },
}

q4 = {
    "right": [
        """
def handle(records, work, context):
    failed = set()
    for number, record in enumerate(records):
        if context.get_remaining_time_in_millis() / 1000 < 3:
            failed |= {late["messageId"] for late in records[number:]}
            break
        try:
            work(record["body"])
        except Exception:
            failed.add(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
""",
        """
def handle(records, work, context):
    open_ids = [record["messageId"] for record in records]
    for record in records:
        if context.get_remaining_time_in_millis() < 3_000:
            break
        try:
            work(record["body"])
            open_ids.remove(record["messageId"])
        except Exception:
            logging.exception("Message %s failed", record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in open_ids]}
""",
    ],
    "wrong": {
        "stopped": [
            "as given",
            ("< 3000", "< 3"),
            """
def handle(records, work, context):
    failed = []
    for number, record in enumerate(records, 1):
        try:
            work(record["body"])
        except Exception:
            failed.append({"itemIdentifier": record["messageId"]})
        if context.get_remaining_time_in_millis() < 3000:  # after the work, and not before
            failed += [{"itemIdentifier": late["messageId"]} for late in records[number:]]
            break
    return {"batchItemFailures": failed}
""",
            (
                "    for record",
                "    left = context.get_remaining_time_in_millis()\n    for record",
                "if context.get_remaining_time_in_millis() <",
                "if left <",
            ),
        ],
        "lost": [("raise TimeoutError", "break"), ("raise TimeoutError", "continue")],
        "given up": [
            ("< 3000", "< 6000"),
            ("if context.get_remaining_time_in_millis() < 3000", "if records.index(record) > 1"),
            (
                "for record in records:",
                "for number, record in enumerate(records):",
                "context.get_remaining_time_in_millis() < 3000",
                "number > 2",
            ),
        ],
        "again": [
            (
                "            work(record",
                "            failed.append({'itemIdentifier': record['messageId']})\n            work(record",
            )
        ],
        "report": [('{"itemIdentifier": record["messageId"]}', 'record["messageId"]')],
    },
}

q5 = {
    "right": [
        """
def batch_handler(work):
    def handler(event, context):
        failed = {}
        for record in event["Records"]:
            group = record["attributes"]["MessageGroupId"]
            try:
                if group in failed.values():
                    raise RuntimeError("an earlier one of this group has failed")
                work(json.loads(record["body"]))
            except Exception:
                failed[record["messageId"]] = group
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    return handler
""",
        """
class batch_handler:
    def __init__(self, work):
        self.work = work

    def __call__(self, event, context):
        self.groups, late = set(), []
        for record in event["Records"]:
            if not self.done(record):
                late.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": late}

    def done(self, record):
        group = record["attributes"].get("MessageGroupId")
        if group in self.groups:
            return False
        try:
            self.work(json.loads(record["body"]))
        except Exception:
            self.groups.add(group)
        return group not in self.groups
""",
    ],
    "wrong": {
        "lost": [
            "as given",
            ('failed.append({"itemIdentifier": record["messageId"]})\n                continue', "continue"),
        ],
        "remembered": [
            (
                "    def handler(event, context):\n        failed, failed_groups = [], set()",
                "    failed_groups = set()\n\n    def handler(event, context):\n        failed = []",
            ),
        ],
        "order": [("if group in failed_groups:", "if False:"), ("failed_groups.add(group)", "failed_groups = {group}")],
        "others": [
            ("failed_groups.add(group)", 'failed_groups.update("abc")'),
            ("                continue", "                break"),
        ],
        "no handler": [("    return handler", "    return handler({'Records': []}, None)")],
        "raised": [("except Exception", "except ValueError")],
    },
}
