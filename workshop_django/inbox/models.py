"""What was received and done: the memory that makes a second delivery harmless."""

from django.db import models

MAX_KEY_LENGTH = 100  # characters of an Idempotency-Key


class ReceivedMessage(models.Model):
    """One message, processed once at one endpoint. Requests without an Idempotency-Key leave no row."""

    scope = models.CharField(max_length=255, help_text="the endpoint; a key means something only there")
    idempotency_key = models.CharField(max_length=MAX_KEY_LENGTH, help_text="the id of the message")
    body_sha256 = models.CharField(max_length=64, help_text="of the body as canonical JSON")
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [  # the key first: by the key alone is how the admin site searches
            models.UniqueConstraint(fields=["idempotency_key", "scope"], name="inbox_once"),
        ]

    def __str__(self) -> str:
        return f"message {self.idempotency_key} at {self.scope}"
