"""What the receiver has processed."""

from django.db import models


class ReceivedMessage(models.Model):
    """One message, processed once. The unique key is what makes a second delivery harmless."""

    idempotency_key = models.CharField(
        max_length=100,
        unique=True,
        null=True,
        blank=True,
        help_text="the SQS message id; callers without one have none",
    )
    image = models.ForeignKey("gallery.Image", on_delete=models.CASCADE, related_name="received_messages")
    received_at = models.DateTimeField(auto_now_add=True)
    thumbnail = models.ImageField(upload_to="thumbnails/", max_length=200)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"message {self.idempotency_key or 'without a key'} for image {self.image_id}"
