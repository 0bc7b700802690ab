"""Without asyncio: requests, one session a thread, fifty threads."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import requests

pool = ThreadPoolExecutor(50)
of_this_thread = threading.local()


def sync_app(app, data):
    if not hasattr(of_this_thread, "session"):
        of_this_thread.session = requests.Session()
    headers = {"Authorization": f"Token {app['key']}"}
    try:
        answer = of_this_thread.session.post(
            app["endpoint"], json=data, headers=headers, timeout=10, allow_redirects=False
        )
        return answer.status_code
    except requests.RequestException:
        return None


def lambda_handler(event, context):
    messages = [json.loads(record["body"]) for record in event["Records"]]
    deliveries = [[pool.submit(sync_app, app, message["data"]) for app in message["apps"]] for message in messages]
    statuses = [[delivery.result() for delivery in of_message] for of_message in deliveries]
    failed = [
        {"itemIdentifier": record["messageId"]}
        for record, of_message in zip(event["Records"], statuses, strict=True)
        if not all(status and 200 <= status < 300 for status in of_message)
    ]
    return {"statusCode": 200, "body": json.dumps(statuses), "batchItemFailures": failed}
