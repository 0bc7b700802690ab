"""The SqSManager that this workshop ships; its queue is in Django's settings."""

from workshop_django.sqs import SqSManager


def send(queue_url, message):
    SqSManager.send(message)


def send_many(queue_url, messages):
    SqSManager.send_many(messages)
