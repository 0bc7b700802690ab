"""The least: boto3 with one client. Who has only this has no error that says what to do."""

import json

import boto3

sqs = None


def client():
    global sqs
    sqs = sqs or boto3.client("sqs")
    return sqs


def send(queue_url, message):
    client().send_message(QueueUrl=queue_url, MessageBody=json.dumps(message))


def send_many(queue_url, messages):
    for start in range(0, len(messages), 10):
        entries = [
            {"Id": str(number), "MessageBody": json.dumps(message)}
            for number, message in enumerate(messages[start : start + 10])
        ]
        answer = client().send_message_batch(QueueUrl=queue_url, Entries=entries)
        assert not answer.get("Failed"), answer
