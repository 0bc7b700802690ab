"""The message that tells the world of a new image."""

from workshop_django.sqs.message import Message


def announcement(image) -> Message:
    """{"id": ..., "data": {"image_id": ...}}: to whom, and with which key, sqs adds when it is sent."""
    return {"id": str(image.announcement_id), "data": {"image_id": image.pk}}
