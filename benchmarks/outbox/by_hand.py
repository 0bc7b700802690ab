"""The least that keeps a row until it is sent: no claim, so a second one at work would send everything twice."""

import json

import boto3
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from workshop_django.sqs.message import named
from workshop_django.sqs.models import OutboxMessage

sqs = boto3.client("sqs")


def addressed(body):
    apps = [{"endpoint": endpoint, "key": settings.APP_KEY} for endpoint in settings.SYNC_ENDPOINTS]
    return json.dumps(body | {"apps": apps})


def save(message, queue_url):
    with transaction.atomic():
        row = OutboxMessage.objects.create(body=named(message))
    answer = sqs.send_message(QueueUrl=queue_url, MessageBody=addressed(row.body))
    OutboxMessage.objects.filter(pk=row.pk).update(sent_at=timezone.now(), message_id=answer["MessageId"])


def drain(queue_url):
    sent = 0
    while rows := list(OutboxMessage.objects.filter(sent_at=None).order_by("id")[:10]):
        entries = [{"Id": str(row.pk), "MessageBody": addressed(row.body)} for row in rows]
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        arrived = [entry["Id"] for entry in answer["Successful"]]
        sent += OutboxMessage.objects.filter(pk__in=arrived).update(sent_at=timezone.now())
    return sent
