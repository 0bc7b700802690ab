"""The guide's SqSManager: a new client for each message."""

import json

import boto3


class SqSManager:
    def __init__(self, queue_url):
        self.sqs = boto3.client("sqs")
        self.queue_url = queue_url

    def _send(self, msg):
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=json.dumps(msg))


def send(queue_url, message):
    SqSManager(queue_url)._send(message)
