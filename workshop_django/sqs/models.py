"""The outbox: what must be sent is stored in the transaction that makes it true, and sent after its commit."""

from django.db import models
from django.utils import timezone

from .fields import MessageField


class OutboxMessage(models.Model):
    """A message that waits to be sent, or was sent. Rows are kept as a record until purge_outbox deletes them."""

    body = MessageField()
    idempotency_key = models.CharField(max_length=100, help_text="the message's own id")
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    message_id = models.CharField(max_length=100, blank=True, help_text="SQS's id of the message")
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    not_before = models.DateTimeField(
        null=True,
        blank=True,
        default=timezone.now,
        help_text="claimed by a sender, or resting after a failure, until then; empty once sent",
    )

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["not_before", "id"], name="outbox_due"),
            models.Index(fields=["idempotency_key"], name="outbox_idempotency_key"),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}, {self.state}"

    @property
    def state(self) -> str:
        if self.sent_at:
            return "sent"
        return "waiting" if not self.last_error else "waiting after a failure"
