"""Chapter 9: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

q1 = {
    "right": [
        ("sqs:SendMessage", "SQS:sendmessage", '"Version": "2012-10-17",', ""),
        """
arn = ":".join(["arn", "aws", "sqs", "us-east-1", "123456789012", "image-processing-sync"])
names = ["sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
policy = {"Statement": [{"Sid": name[4:], "Effect": "Allow", "Action": name, "Resource": [arn]} for name in names]}
""",
    ],
    "wrong": {
        "star": [
            "as given",
            ('["sqs:SendMessage", "sqs:GetQueueAttributes"]', '["sqs:Send*", "sqs:GetQueueAttributes"]'),
            ("sqs:GetQueueAttributes", "sqs:GetQueueA*"),
            ("image-processing-sync", "image-processing-sync*"),
            ("sqs:SendMessage", "sqs:SendMessag?"),
        ],
        "batch": [('"sqs:SendMessage"', '"sqs:SendMessage", "sqs:SendMessageBatch"')],
        "more": [
            ('"sqs:SendMessage"', '"sqs:SendMessage", "sqs:ReceiveMessage"'),
            ("sqs:SendMessage", "sqs:send_message"),
        ],
        "resource": [
            ("us-east-1", "eu-west-1"),
            ('"arn:aws:sqs:us-east-1:123456789012:image-processing-sync"', '"image-processing-sync"'),
            ("sync", "sync-dlq"),
        ],
        "denied": [(', "sqs:GetQueueAttributes"', ""), ('"sqs:SendMessage", ', "")],
        "not read": [('"Action"', '"NotAction"'), ('"Allow"', '"Deny"')],
        "no policy": [("policy = {", "policy = 1 or {")],
    },
}

q2 = {
    "right": [
        """
def rotate(old, new, receiver, senders, wait):
    receiver.restart(APP_KEY=old, APP_KEY_FALLBACKS=[new])
    [sender.use(new) for sender in reversed(senders)]
    receiver.restart(APP_KEY=new, APP_KEY_FALLBACKS=[old])
    wait()
    receiver.restart(APP_KEY=new)
""",
        """
def rotate(old, new, receiver, senders, wait):
    wait()
    receiver.restart(APP_KEY=new, APP_KEY_FALLBACKS=(old, old))
    for sender in senders:
        sender.use(new)
        wait()
    wait()
    receiver.restart(APP_KEY=new, APP_KEY_FALLBACKS=())
""",
    ],
    "wrong": {
        "401": [
            "as given",
            ("    wait()\n", ""),
            ("FALLBACKS=[old]", "FALLBACKS=[]"),
            ("FALLBACKS=[old]", "FALLBACKS=old"),
            (
                "    for sender in senders:\n        sender.use(new)\n    wait()",
                "    wait()\n    for s in senders:\n        s.use(new)",
            ),
        ],
        "senders": [
            ("sender.use(new)", "pass", "FALLBACKS=[])", "FALLBACKS=[old])"),
            ("in senders:", "in senders[1:]:", "APP_KEY_FALLBACKS=[])", "APP_KEY_FALLBACKS=[old])"),
        ],
        "old key": [
            ("    wait()\n    receiver.restart(APP_KEY=new, APP_KEY_FALLBACKS=[])", ""),
            ("FALLBACKS=[])", "FALLBACKS=[old])"),
        ],
        "raised": [("sender.use(new)", "sender.use()")],
    },
}

q3 = {
    "right": [
        """
class SafeFormatter(logging.Formatter):
    def __init__(self, fmt, keys):
        import re

        super().__init__(fmt)
        longest_first = sorted({key for key in keys if key}, key=lambda key: -len(key))
        self.pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def format(self, record):
        return self.pattern.sub("***", logging.Formatter.format(self, record))
""",
        """
def SafeFormatter(fmt, keys):
    class Formatter(logging.Formatter):
        def format(self, record):
            line = super().format(record)
            for key in reversed(sorted(keys)):
                line = "***".join(line.split(key)) if key else line
            return line

    return Formatter(fmt)
""",
    ],
    "wrong": {
        "argument": [
            "as given",
            """
class SafeFormatter(logging.Formatter):
    def __init__(self, fmt, keys):
        super().__init__(fmt)
        self.keys = keys

    def format(self, record):
        for key in self.keys:
            record.msg = str(record.msg).replace(key, "***")
        return super().format(record)
""",
        ],
        "message": [('"***"', '""'), ("in self.keys:", "in self.keys[:1]:"), ("return line", "return None")],
        "no text": [
            ("line = super().format(record)", "line = super().format(record) if str is type(record.msg) else ''")
        ],
        "overlap": [
            ("sorted(filter(None, keys), key=len, reverse=True)", "list(filter(None, keys))"),
            (", reverse=True", ""),
        ],
        "empty": [("filter(None, keys)", "keys")],
        "exception": [
            (
                "line = super().format(record)",
                "line = 'INFO ' + record.getMessage()",
            )
        ],
        "raised": [("super().format(record)", "super().format()")],
    },
}

q4 = {
    "right": [
        """
def allowed(endpoint, hosts):
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except (ValueError, TypeError, AttributeError):
        return False
    plain = "@" not in str(parts.netloc) and port in (None, 443) and parts.scheme == "https"
    return plain and parts.hostname in {host.lower() for host in hosts}
""",
        """
def allowed(endpoint, hosts):
    import re

    names = "|".join(re.escape(host) for host in hosts)
    return bool(names and re.fullmatch(rf"https://({names})(:443)?([/?#].*)?", str(endpoint), re.IGNORECASE))
""",
    ],
    "wrong": {
        "case": ["as given", (".lower() in [host.lower() for host in hosts]", " in hosts")],
        "host": [
            (
                "url.host.lower() in [host.lower() for host in hosts]",
                "url.host.lower().startswith(tuple(host.lower() for host in hosts))",
            ),
            (
                "url.host.lower() in [host.lower() for host in hosts]",
                "any(url.host.endswith(host.lower()) for host in hosts)",
            ),
        ],
        "user": [
            (" or url.user is not None or url.password is not None", ""),
            (" or url.password is not None", ""),
        ],
        "scheme": [('url.scheme != "https" or ', "")],
        "port": [(" or url.port != 443", "")],
        "raised": [("(ValueError, TypeError)", "ValueError"), ("url.host is not None and ", "")],
        "refused": [
            ("url.port != 443", "url.explicit_port != 443"),
            ("return False\n    return", "return False\n    return not"),
        ],
        "no URL": [("        return False\n    if", "        return None\n    if")],
        "returned": [("[host.lower() for host in hosts]", "[host.lower() for host in hosts or ['two.example.com']]")],
    },
}

q5 = {
    "right": [
        """
async def post_safely(endpoint, data, key, seconds):
    import asyncio

    try:
        headers = {"Authorization": f"Token {key}"}
        async with asyncio.timeout(seconds), aiohttp.ClientSession(headers=headers) as session:
            answer = await session.post(endpoint, json=data, allow_redirects=False)
            await answer.read()
    except Exception:
        return "failed"
    return f"HTTP {answer.status}" if answer.status // 100 != 2 else None
""",
        """
async def post_safely(endpoint, data, key, seconds):
    import asyncio

    async def post():
        async with aiohttp.ClientSession() as session:
            headers = {"authorization": " ".join(["Token", key])}
            return await session.post(endpoint, data=json.dumps(data), headers=headers, allow_redirects=False)

    import json

    [outcome] = await asyncio.gather(asyncio.wait_for(post(), seconds), return_exceptions=True)
    status = getattr(outcome, "status", type(outcome).__name__)
    return None if status in range(200, 300) else f"failed: {status}"
""",
    ],
    "wrong": {
        "redirect": ["as given", (", allow_redirects=False", "")],
        "status": [
            ("200 <= answer.status < 300", "answer.status < 400"),
            ("200 <= answer.status < 300", "answer.status == 200"),
            ("return type(error).__name__", "return None"),
        ],
        "key": [
            ('f"HTTP {answer.status}"', 'f"HTTP {answer.status}: {await answer.text()}"'),
            ("type(error).__name__", "f'{error!r} for {headers}'"),
            ("type(error).__name__", "repr(error)"),
            ("return type(error).__name__", "logging.warning('no: %s', headers)\n        return 'no'"),
        ],
        "endless": [
            (
                "total=seconds",
                "sock_connect=seconds, sock_read=seconds",
                "            return None",
                "            await answer.read()\n            return None",
            ),
            ("aiohttp.ClientTimeout(total=seconds)", "None"),
            ("total=seconds", "sock_connect=seconds, sock_read=seconds"),
        ],
        "no reason": [("type(error).__name__", "str(error).replace(key, '***')")],
        "raised": [
            ("except Exception", "except aiohttp.ClientError"),
            ("except Exception", "except (aiohttp.ClientError, TimeoutError)"),
        ],
        "request": [("json=data", "data=str(data)"), ("Token", "Bearer")],
    },
}
