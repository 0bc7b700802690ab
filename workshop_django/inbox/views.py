"""The base of a view that takes messages: who may post, what was done already, and one transaction for the rest.

    class OrderPaidView(InboxApiView):
        serializer_class = OrderPaidSerializer

        def process(self, data, prepared):
            Order.objects.filter(pk=data["order_id"]).update(paid=True)

Its status tells the sender what to do: 2xx, done; all else, try again or, in the end, the dead-letter queue.
"""

import hashlib
import json
import logging
import re
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connections, router, transaction
from django.http import Http404
from rest_framework.exceptions import APIException, MethodNotAllowed, ParseError, UnsupportedMediaType, ValidationError
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from .authentication import AppKeyAuthentication
from .models import MAX_KEY_LENGTH, ReceivedMessage

KEY = re.compile(rf"[!-~]{{1,{MAX_KEY_LENGTH}}}")  # visible ASCII, which every proxy leaves as it is

logger = logging.getLogger(__name__)


class LengthRequired(APIException):
    status_code = 411
    default_detail = {"body": ["Send the body with a Content-Length, not in chunks."]}


class BodyTooLarge(APIException):
    status_code = 413


class AnotherBody(APIException):
    status_code = 422
    default_detail = {"Idempotency-Key": ["This key came before with another body. A new message needs a new key."]}


class ProcessingFailed(APIException):
    status_code = 500
    default_detail = "The message could not be processed. Nothing was stored; try again later."


class OneRenderer(DefaultContentNegotiation):
    """Answers with the view's first renderer, whatever ?format= or Accept ask for: the callers are programs."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class InboxApiView(APIView):
    """POST a JSON object with `Authorization: Token <key>`; with an `Idempotency-Key`, it takes effect once.

    Set `serializer_class`, and write `process`. The lock is here and not in the project's settings, so that whoever
    takes this view has it.
    """

    serializer_class: type[BaseSerializer]
    scope = ""  # where a key is unique, at most 255 characters; unless said otherwise, the request's path
    max_body_bytes = 1_048_576  # what SQS carries

    authentication_classes = [AppKeyAuthentication]
    permission_classes = [IsAuthenticated]
    parser_classes = [JSONParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class: type[BaseContentNegotiation] = OneRenderer
    http_method_names = ["post"]

    def prepare(self, data: Any) -> Any:
        """The slow part, without effect, outside of any transaction. Two deliveries at one moment may both do it."""

    def process(self, data: Any, prepared: Any) -> None:
        """The effect, in the transaction that stores the key: whatever is raised here takes both back."""
        raise NotImplementedError(f"{type(self).__name__} needs a method process(data, prepared).")

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view = super().as_view(**initkwargs)
        for alias in connections:  # with ATOMIC_REQUESTS, too, nobody waits in a transaction for prepare()
            view = transaction.non_atomic_requests(using=alias)(view)
        return view

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "POST":  # before authentication, or a wrong method would look like a wrong key
            raise MethodNotAllowed(str(request.method))
        super().initial(request, *args, **kwargs)

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = self._body(request)
        received = ReceivedMessage(
            scope=self.scope or request.path, idempotency_key=_idempotency_key(request), body_sha256=_sha256(body)
        )
        if answer := _answer_if_known(received):
            return answer
        serializer = self.serializer_class(data=body, context={"request": request, "view": self})
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        prepared = self.prepare(data)
        try:
            with transaction.atomic(using=router.db_for_write(ReceivedMessage)):
                # The key comes first: a second delivery at the same moment waits here for the first to commit.
                if received.idempotency_key:
                    received.save(force_insert=True)
                self.process(data, prepared)
        except IntegrityError:
            if answer := _answer_if_known(received):
                return answer
            raise
        logger.info("%s: message %s processed", received.scope, received.idempotency_key or "without a key")
        return Response({"message": "Data processed successfully"})

    def handle_exception(self, exc: Exception) -> Response:
        if not isinstance(exc, (APIException, Http404, PermissionDenied)):
            # Senders take a 500 as "try again later", which is right for whatever went wrong here.
            logger.error("A message could not be processed", exc_info=exc)
            exc = ProcessingFailed()
        # DRF would roll the request's transaction back. There is none, only that of a project's TestCase.
        marks = [(db, db.get_rollback()) for db in connections.all(initialized_only=True) if db.in_atomic_block]
        response = super().handle_exception(exc)
        for db, mark in marks:
            db.set_rollback(mark)
        return response

    def _body(self, request: Request) -> dict[str, Any]:
        length = request.META.get("CONTENT_LENGTH")
        if not length and "Transfer-Encoding" in request.headers:  # Django and DRF would take it for empty
            raise LengthRequired
        if int(length or 0) > self.max_body_bytes:
            raise BodyTooLarge({"body": [f"The body is larger than {self.max_body_bytes:,} bytes."]})
        try:
            data = request.data
        except UnsupportedMediaType:
            raise ValidationError({"body": ["Send JSON, with the header Content-Type: application/json."]}) from None
        except (ParseError, RecursionError):
            raise ValidationError({"body": ["The body is not JSON in UTF-8."]}) from None
        if not isinstance(data, dict):
            raise ValidationError({"body": ["The body is not a JSON object."]})
        return data


def _idempotency_key(request: Request) -> str:
    """The key, or "" where the caller sends no such header."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not KEY.fullmatch(key.strip()):
        what = f"Write 1 to {MAX_KEY_LENGTH} visible ASCII characters, or leave the header out."
        raise ValidationError({"Idempotency-Key": [what]})
    return key.strip()


def _sha256(body: dict[str, Any]) -> str:
    """The same for the same JSON value, however it was spelled."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _answer_if_known(received: ReceivedMessage) -> Response | None:
    """What to answer to a key that was processed at this endpoint before; None for one that was not."""
    if not received.idempotency_key:
        return None
    known = ReceivedMessage.objects.using(router.db_for_write(ReceivedMessage)).filter(
        scope=received.scope, idempotency_key=received.idempotency_key
    )
    body_sha256 = known.values_list("body_sha256", flat=True).first()
    if body_sha256 is None:
        return None
    if body_sha256 != received.body_sha256:
        raise AnotherBody
    logger.info("%s: message %s was already processed", received.scope, received.idempotency_key)
    return Response({"message": "Already processed"})
