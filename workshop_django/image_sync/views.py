"""The endpoint that the Lambda posts to: {"image_id": 1} makes the image's thumbnail, once for each message."""

import uuid

from django.core.files.base import ContentFile
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.exceptions import NotFound

from workshop_django.gallery.models import Image
from workshop_django.inbox.models import MAX_KEY_LENGTH
from workshop_django.inbox.views import InboxApiView

from .models import Thumbnail
from .serializers import ImageProcessingSyncSerializer, MessageSerializer
from .thumbnail import thumbnail

SCHEMA = extend_schema(
    operation_id="image_processing_sync",
    request=ImageProcessingSyncSerializer,
    parameters=[
        OpenApiParameter(
            "Idempotency-Key",
            {"type": "string", "pattern": f"^[!-~]{{1,{MAX_KEY_LENGTH}}}$"},
            OpenApiParameter.HEADER,
            description=f"The message's id, at most {MAX_KEY_LENGTH} characters. "
            "A key that was processed is answered with 200 and not processed again.",
        )
    ],
    responses={
        200: OpenApiResponse(MessageSerializer, "Processed, now or earlier."),
        400: OpenApiResponse(description="The body or a header is not as it should be; the answer names the field."),
        401: OpenApiResponse(description="No key, or not a valid one."),
        404: OpenApiResponse(description="There is no such image."),
        411: OpenApiResponse(description="The body came in chunks, without a length."),
        413: OpenApiResponse(description="The body is too large."),
        422: OpenApiResponse(description="The Idempotency-Key came before with another body."),
        500: OpenApiResponse(description="Processing failed; nothing was stored. Try again."),
    },
)


@extend_schema_view(post=SCHEMA)
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
