"""Chapter 2: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

q1 = {
    "right": [
        """
class Sender:
    sqs = None

    def __init__(self, queue_url):
        self.queue_url = queue_url

    def send(self, msg):
        Sender.sqs = Sender.sqs or boto3.session.Session().client("sqs")
        entries = [{"Id": "only", "MessageBody": json.dumps(msg, ensure_ascii=False)}]
        return self.sqs.send_message_batch(QueueUrl=self.queue_url, Entries=entries)["Successful"][0]["MessageId"]
""",
        """
def Sender(queue_url):
    from types import SimpleNamespace

    sqs = boto3.client("sqs")

    def send(msg):
        return sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps(msg))["MessageId"]

    return SimpleNamespace(send=send)
""",
    ],
    "wrong": {
        "not JSON": [
            "as given",
            ("json.dumps(msg)", "json.dumps(str(msg))"),
            ("json.dumps(msg)", "json.dumps(msg['data'])"),
        ],
        "clients": [("        answer", '        self.sqs = boto3.client("sqs")\n        answer')],
        "returned": [
            ('answer["MessageId"]', "answer"),
            (
                'return answer["MessageId"]',
                'self.id = getattr(self, "id", answer["MessageId"])\n        return self.id',
            ),
        ],
        "count": [
            (
                "        return",
                "        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody='{}')\n        return",
            )
        ],
        "raised": [("json.dumps(msg)", "msg")],
        "no function": [("def send", "def send_one")],
    },
}

q2 = {
    "right": [
        ("RuntimeError(", "type('NotSent', (RuntimeError,), {})("),
        """
def send_batch(sqs, queue_url, entries):
    ids, failed = {}, []
    for entry in entries:
        options = {name: value for name, value in entry.items() if name != "Id"}
        try:
            ids[entry["Id"]] = sqs.send_message(QueueUrl=queue_url, **options)["MessageId"]
        except ClientError:
            failed.append(entry["Id"])
    if failed:
        raise RuntimeError(*failed)
    return ids
""",
        """
def send_batch(sqs, queue_url, entries):
    answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
    sent = {entry["Id"]: entry["MessageId"] for entry in answer.get("Successful", [])}
    missing = {entry["Id"] for entry in entries} - set(sent)
    if missing:
        raise RuntimeError("not sent: " + " and ".join(missing))
    return sent
""",
    ],
    "wrong": {
        "silent": ["as given", ('answer.get("Failed")', '[entry for entry in answer.get("Failed", []) if 0]')],
        "not named": [
            ('answer.get("Failed")', '[entry for entry in answer.get("Failed", []) if entry["SenderFault"]]'),
            ("entry['Id']", "failed[0]['Id']"),
        ],
        "named": [("for entry in failed)", "for entry in failed + answer['Successful'])", "({entry['Code']})", "")],
        "error": [("RuntimeError", "ValueError")],
        "others": [
            (
                "    if failed",
                "    answer['Failed'] and sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)\n    if failed",
            ),
        ],
        "returned": [("return {", "return list({", '["Successful"]}', '["Successful"]})')],
        "raised": [('if failed := answer.get("Failed"):', 'if (failed := answer.get("Failed", [])) is not None:')],
    },
}

q3 = {
    "right": [
        (
            "length = len(body.encode())",
            "length = sum(4 if c > '\\uffff' else 3 if c > '\\u07ff' else 2 if c > '\\x7f' else 1 for c in body)",
        ),
        """
def batches(bodies):
    made = []
    for body in bodies:
        last = made[-1] if made else None
        if last is None or len(last) == 10 or len("".join([*last, body]).encode()) > 2**20:
            made.append([body])
        else:
            last.append(body)
    return made
""",
    ],
    "wrong": {
        "too large": [
            "as given",
            ("size + length >", "size + len(body) >"),
            ("size += length", "size += len(body)"),
            ("1_048_576", "1_048_577"),
            ("size + length", "length"),
        ],
        "more": [
            ("> 1_048_576", ">= 1_048_576"),
            ("len(body.encode())", "2 * len(body)"),
            ("len(batch) == 10", "len(batch) == 9"),
            ("    if batch:\n        yield batch", "    yield batch"),
        ],
        "too many": [("len(batch) == 10 or ", "")],
        "bodies": [("    if batch:\n        yield batch", "")],
        "raised": [("size += length", "size += int(body)")],
    },
}
q4 = {
    "right": [
        ("allow_nan=False", 'allow_nan=False, separators=(",", ":")'),
        """
def body_of(msg):
    body = json.dumps(msg, ensure_ascii=False, allow_nan=False).replace("\\uffff", "\\\\uffff")
    if len(body.encode()) > 1_048_576:
        raise ValueError("too large")
    return body
""",
        """
def body_of(msg):
    encoder = json.JSONEncoder(allow_nan=False)
    body = "".join(encoder.iterencode(msg))
    assert body.isascii()
    if len(body) <= 2**20:
        return body
    raise type("TooLarge", (ValueError,), {})(len(body))
""",
    ],
    "wrong": {
        "character": ["as given", ("allow_nan=False", "allow_nan=False, ensure_ascii=False")],
        "accepted": [
            (", allow_nan=False", ""),
            ("> 1_048_576", "> 1_048_577"),
            ("    if len(body) > 1_048_576", "    if False"),
            ("len(body) >", "len(str(msg).encode()) >"),
        ],
        "error": [
            ("    body =", "    assert 'ratio' not in msg.get('data', {}), 'nan'\n    body ="),
            ("raise ValueError", "raise OverflowError"),
        ],
        "returned": [
            ("return body", "return body.encode()"),
            ("return body", "return body.lower().replace('\\\\u', '')"),
            ("return body", "return body[:1_048_575]"),
        ],
        "raised": [("> 1_048_576", "> 1_048_576 - 1")],
    },
}

q5 = {
    "right": [
        """
class NotSent(Exception):
    def __init__(self, positions):
        self.positions = positions


def send_many(sqs, queue_url, bodies):
    not_sent = []
    for position, body in enumerate(bodies):
        try:
            sqs.send_message(QueueUrl=queue_url, MessageBody=body)
        except Exception:
            not_sent.append(position)
    if not_sent:
        raise NotSent(tuple(not_sent))
""",
        """
class NotSent(Exception):
    def __init__(self, positions):
        self.positions = positions


def send_many(sqs, queue_url, bodies):
    def send(entries):
        try:
            answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
            return [int(entry["Id"]) for entry in answer.get("Failed", [])]
        except ClientError:
            if len(entries) == 1:
                return [int(entries[0]["Id"])]
            middle = len(entries) // 2
            return send(entries[:middle]) + send(entries[middle:])

    entries = [{"Id": str(position), "MessageBody": body} for position, body in enumerate(bodies)]
    failed = [position for start in range(0, len(entries), 10) for position in send(entries[start : start + 10])]
    if failed:
        raise NotSent(failed)
""",
    ],
    "wrong": {
        "others": [
            "as given",
            ("for entry in entries:", "for entry in entries[:4]:"),
            ("            for entry in entries:", "            for entry in entries + entries[:1]:"),
        ],
        "positions": [
            ("[start : start + 10], start)", "[start : start + 10])"),
            ('not_sent.append(int(entry["Id"]))', "pass"),
            ("            not_sent += [int(entry", "            not_sent = [int(entry"),
            ("raise NotSent(not_sent)", "raise NotSent(len(not_sent))"),
            ("raise NotSent(not_sent)", "raise ValueError(not_sent)"),
            ('answer.get("Failed", [])]', 'answer.get("Failed", []) if entry["SenderFault"]]'),
        ],
        "silent": [("raise NotSent(not_sent)", "print(not_sent)")],
        "refused": [
            (
                "    not_sent = []",
                "    not_sent = [n for n, body in enumerate(bodies) if len(body) > 1024]",
                "NotSent(not_sent)",
                "NotSent(set(not_sent))",
            )
        ],
        "raised": [("    if not_sent:\n        raise", "    if not_sent is not None:\n        raise")],
    },
}
