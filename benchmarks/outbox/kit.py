"""The outbox that this workshop ships: safe with several relays at once, and through outages of SQS."""

from django.db import transaction

from workshop_django.sqs.outbox import enqueue, relay


def save(message, queue_url):
    with transaction.atomic():
        enqueue(message)


def drain(queue_url):
    return relay().sent
