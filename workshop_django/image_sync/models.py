"""What the receiver has made."""

from django.db import models


class Thumbnail(models.Model):
    """One effect of one message. An image that is announced twice, by two messages, has two."""

    image = models.ForeignKey("gallery.Image", on_delete=models.CASCADE, related_name="thumbnails")
    file = models.ImageField(upload_to="thumbnails/", max_length=200)
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"thumbnail of image {self.image_id}"
