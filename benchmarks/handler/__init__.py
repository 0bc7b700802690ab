"""The function, called with an event whose messages go to a server that answers at once.

The contenders are handlers, each with one warm execution environment. The limit is wrk, a load generator written in
C, which posts the same to the same server over as many connections.
"""

import json
import os
import time
from contextlib import contextmanager
from types import SimpleNamespace

from benchmarks.servers import certificate, sink

UNIT = "deliveries/s"
CASES = {
    "1 record, HTTP": 4,
    "10 records, HTTP": 8,
    "10 records of 10 apps, HTTP": 6,
    "1 record, HTTPS": 4,
    "10 records, HTTPS": 8,
}
CONTENDERS = ["guide", "kit", "plain", "powertools", "threads", "wrk"]


@contextmanager
def opened(case, tiny):
    os.environ["ENDPOINT_ALLOWLIST"] = "127.0.0.1"
    os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = str(certificate())  # before aiohttp reads it
    records, apps = (10 if "10 rec" in case else 1), (10 if "10 apps" in case else 1)
    with sink(tls="HTTPS" in case) as url:
        yield SimpleNamespace(url=url, event=event(url, records, apps), deliveries=records * apps)


def event(url, records, apps):
    """A Lambda event of `records` messages for `apps` apps each."""
    body = {"apps": [{"endpoint": f"{url}/api/v1/image-processing-sync", "key": "k" * 43}] * apps}
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "body": json.dumps(body | {"id": f"id-{number}", "data": {"image_id": number}}),
                "attributes": {},
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:image-processing-sync",
            }
            for number in range(records)
        ]
    }


class Context:
    """What Lambda hands to a handler: 30 seconds from now on."""

    aws_request_id = "7d3c"

    def __init__(self):
        self.end = time.monotonic() + 30

    def get_remaining_time_in_millis(self):
        return int((self.end - time.monotonic()) * 1000)


def once(contender, setting):
    if not hasattr(contender, "lambda_handler"):  # wrk
        return contender.posts(setting.url, setting.deliveries)

    def invoke():
        result = contender.lambda_handler(setting.event, Context())
        assert result["statusCode"] == 200, result
        assert not result.get("batchItemFailures"), result
        return setting.deliveries

    return invoke
