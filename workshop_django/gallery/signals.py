"""Announce every new image. bulk_create() and update() send no signals, and so announce nothing."""

from django.conf import settings
from django.db.models.signals import post_save
from django.dispatch import receiver

from workshop_django.sqs.outbox import enqueue

from .announcement import announcement
from .models import Image


@receiver(post_save, sender=Image)
def announce_new_image(sender, instance: Image, created: bool, raw: bool, using: str, **kwargs) -> None:
    if created and not raw and settings.SYNC_ENDPOINTS:  # raw: loaded from a fixture
        enqueue(announcement(instance), using=using)
