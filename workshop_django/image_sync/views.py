"""The endpoint that the Lambda posts to: {"image_id": 1} makes the image's thumbnail, once for each message."""

import uuid

from django.core.files.base import ContentFile
from rest_framework.exceptions import NotFound

from workshop_django.gallery.models import Image
from workshop_django.inbox.views import InboxApiView

from .models import Thumbnail
from .serializers import ImageProcessingSyncSerializer
from .thumbnail import thumbnail


class ImageProcessingSyncApiView(InboxApiView):
    serializer_class = ImageProcessingSyncSerializer
    max_body_bytes = 64 * 1024  # a message names an image, it does not carry one

    def prepare(self, data):
        image = Image.objects.filter(pk=data["image_id"]).first()
        if image is None:
            raise NotFound({"image_id": [f"There is no image {data['image_id']}."]})
        with image.file.open() as file:
            return thumbnail(file)

    def process(self, data, prepared):
        made = Thumbnail(image_id=data["image_id"])
        name = f"{data['image_id']}-{uuid.uuid4().hex}.webp"
        try:
            made.file.save(name, ContentFile(prepared))
        except BaseException:  # the database forgets by itself, the file system does not; half a file is one, too
            made.file.storage.delete(made.file.field.generate_filename(made, name))
            raise
