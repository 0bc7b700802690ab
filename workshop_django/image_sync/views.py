"""The endpoint that the Lambda posts to. Its status tells the sender what to do: 2xx, done; all else, try again
or, in the end, the dead-letter queue.
"""

import logging

from django.core.exceptions import RequestDataTooBig
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import (
    APIException,
    MethodNotAllowed,
    NotFound,
    ParseError,
    UnsupportedMediaType,
    ValidationError,
)
from rest_framework.response import Response
from rest_framework.views import APIView

from workshop_django.gallery.models import Image

from .models import ReceivedMessage
from .processing import process
from .serializers import ImageProcessingSyncSerializer, MessageSerializer

MAX_BODY_BYTES = 64 * 1024  # a message names an image, it does not carry one
MAX_KEY_LENGTH = ReceivedMessage._meta.get_field("idempotency_key").max_length

logger = logging.getLogger(__name__)


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = {"body": [f"The body is larger than {MAX_BODY_BYTES:,} bytes."]}


class ProcessingFailed(APIException):
    status_code = 500
    default_detail = "The image could not be processed. Nothing was stored; try again later."


class ImageProcessingSyncApiView(APIView):
    """Take {"image_id": 1} and make the image's thumbnail, once for each Idempotency-Key.

    The key alone tells a duplicate, for SQS never changes what a message says. Without a key, as the source guide's
    callers are, every request counts as a new one.
    """

    http_method_names = ["post"]

    def initial(self, request, *args, **kwargs):
        if request.method != "POST":  # before authentication, or a wrong method would look like a wrong key
            raise MethodNotAllowed(request.method)
        super().initial(request, *args, **kwargs)

    def handle_exception(self, exc):
        if not isinstance(exc, APIException):
            # Senders take a 500 as "try again later", which is right for whatever went wrong here.
            logger.error("A message could not be processed", exc_info=exc)
            exc = ProcessingFailed()
        return super().handle_exception(exc)

    @extend_schema(
        operation_id="image_processing_sync",
        request=ImageProcessingSyncSerializer,
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description=f"The SQS message id, at most {MAX_KEY_LENGTH} characters. "
                "A key that was processed is answered with 200 and not processed again.",
            )
        ],
        responses={
            200: OpenApiResponse(MessageSerializer, "Processed, now or earlier."),
            400: OpenApiResponse(
                description="The body or a header is not as it should be; the answer names the field."
            ),
            401: OpenApiResponse(description="No key, or not a valid one."),
            404: OpenApiResponse(description="There is no such image."),
            413: OpenApiResponse(description="The body is too large."),
            500: OpenApiResponse(description="Processing failed; nothing was stored. Try again."),
        },
    )
    def post(self, request):
        image_id = self.image_id(request)
        key = self.idempotency_key(request)
        image = Image.objects.filter(pk=image_id).first()
        if image is None:
            raise NotFound({"image_id": [f"There is no image {image_id}."]})
        if not process(image, key):
            logger.info("Image %s: message %s was already processed", image_id, key)
            return Response({"message": "Already processed"})
        logger.info("Image %s: message %s processed", image_id, key or "without a key")
        return Response({"message": "Data processed successfully"})

    def image_id(self, request) -> int:
        try:
            if len(request.body) > MAX_BODY_BYTES:
                raise BodyTooLarge
            data = request.data
        except RequestDataTooBig:  # larger than settings.DATA_UPLOAD_MAX_MEMORY_SIZE, and not read
            raise BodyTooLarge from None
        except UnsupportedMediaType:
            raise ValidationError({"body": ["Send JSON, with the header Content-Type: application/json."]}) from None
        except (ParseError, RecursionError):
            raise ValidationError({"body": ["The body is not JSON in UTF-8."]}) from None
        if not isinstance(data, dict):
            raise ValidationError({"body": ["The body is not a JSON object."]})
        serializer = ImageProcessingSyncSerializer(data=data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data["image_id"]

    def idempotency_key(self, request) -> str | None:
        """The key, or None where the caller sends no such header."""
        key = request.headers.get("Idempotency-Key")
        if key is not None and not 0 < len(key.strip()) <= MAX_KEY_LENGTH:
            raise ValidationError({"Idempotency-Key": [f"Write 1 to {MAX_KEY_LENGTH} characters, or leave it out."]})
        return key and key.strip()
