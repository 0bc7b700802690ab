"""The sender's model: an image that a person uploaded."""

import uuid

from django.db import models, router, transaction


class Image(models.Model):
    title = models.CharField(max_length=200)
    file = models.ImageField(upload_to="images/", max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    # Names the event of this image's saving: however often the message of it is sent, it is the same message.
    announcement_id = models.UUIDField(default=uuid.uuid4, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.title

    def save(self, *args, **kwargs):
        # Without this, Django commits the row before it sends post_save, and a crash between the two would keep
        # the image and lose its message. In one transaction, both are stored or neither.
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=using):
            super().save(*args, **kwargs)
