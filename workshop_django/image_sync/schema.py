"""What the OpenAPI schema says of the endpoint. drf-spectacular loads this when somebody asks for the schema, and
not at Django's start, which it would make longer.
"""

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiViewExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view

from workshop_django.inbox.models import MAX_KEY_LENGTH

from .serializers import ImageProcessingSyncSerializer, MessageSerializer

POST = extend_schema(
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


class Endpoint(OpenApiViewExtension):
    target_class = "workshop_django.image_sync.views.ImageProcessingSyncApiView"

    def view_replacement(self):
        @extend_schema_view(post=POST)
        class Described(self.target_class):
            pass

        return Described


class AppKeyScheme(OpenApiAuthenticationExtension):
    target_class = "workshop_django.inbox.authentication.AppKeyAuthentication"
    name = "AppKey"

    def get_security_definition(self, auto_schema):
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Authorization: Token <key>`",
        }


def all_endpoints(endpoints):
    """The hook by which SPECTACULAR_SETTINGS names this module; to be imported is what registers the classes."""
    return endpoints
