"""The message that tells the world of a new image."""

from workshop_django.sqs.message import Message

from .models import Image


def announcement(image: Image) -> Message:
    """{"id": ..., "data": {"image_id": ...}}: to whom, and with which key, sqs adds when it is sent."""
    return {"id": str(image.announcement_id), "data": {"image_id": image.pk}}
