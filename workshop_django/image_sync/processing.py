"""Process a message once: one row, one thumbnail, however often it is delivered."""

from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction

from workshop_django.gallery.models import Image

from .models import ReceivedMessage
from .thumbnail import thumbnail


def process(image: Image, idempotency_key: str | None) -> bool:
    """Make the thumbnail of `image` and store that it was done. False if that key was processed already.

    Whatever is raised on the way leaves nothing behind, so that a second try can succeed.
    """
    received = ReceivedMessage(idempotency_key=idempotency_key, image=image)
    stored = None
    try:
        with transaction.atomic():
            # The row comes first: a second delivery at the same moment waits here for the first to commit.
            try:
                with transaction.atomic():
                    received.save(force_insert=True)
            except IntegrityError:
                if ReceivedMessage.objects.filter(idempotency_key=idempotency_key).exists():
                    return False
                raise
            with image.file.open() as file:
                content = ContentFile(thumbnail(file))
            received.thumbnail.save(f"{image.pk}-{received.pk}.webp", content, save=False)
            stored = received.thumbnail.name
            received.save(update_fields=["thumbnail"])
    except BaseException:
        if stored:  # the database forgets by itself, the file system does not
            received.thumbnail.storage.delete(stored)
        raise
    return True
