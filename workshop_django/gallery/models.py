"""The sender's model: an image that a person uploaded."""

from django.db import models, transaction


class Image(models.Model):
    title = models.CharField(max_length=200)
    file = models.ImageField(upload_to="images/", max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.title

    def save(self, *args, **kwargs):
        # Without this, Django commits the row before it sends post_save, and a crash between the two would keep
        # the image and lose its message. In one transaction, both are stored or neither.
        with transaction.atomic():
            super().save(*args, **kwargs)
