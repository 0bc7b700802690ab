"""The least: receive ten, call the handler, delete those it did not report. A handler that hangs holds it for ever."""

from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config


def prepared(queue_url, handler, pollers):
    sqs = boto3.client("sqs", config=Config(max_pool_connections=pollers))
    threads = ThreadPoolExecutor(pollers)

    def poll(_):
        while messages := sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
        ).get("Messages"):
            records = [
                {"messageId": m["MessageId"], "body": m["Body"], "attributes": m["Attributes"]} for m in messages
            ]
            failed = {item["itemIdentifier"] for item in handler({"Records": records}, None)["batchItemFailures"]}
            done = [message for message in messages if message["MessageId"] not in failed]
            entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(done)]
            sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)

    return lambda: list(threads.map(poll, range(pollers)))
