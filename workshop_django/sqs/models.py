"""The outbox: what must be sent is stored in the transaction that makes it true, and sent after its commit."""

from django.db import models


class OutboxMessage(models.Model):
    """A message that waits to be sent, or was sent. Rows are kept as a record; delete old sent ones as you like."""

    body = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    message_id = models.CharField(max_length=100, blank=True, help_text="SQS's id of the message")
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="claimed by a sender, or resting after a failure, until then"
    )

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(sent_at__isnull=True), name="outbox_waiting"),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}, {self.state}"

    @property
    def state(self) -> str:
        if self.sent_at:
            return "sent"
        return "waiting" if not self.last_error else "waiting after a failure"
