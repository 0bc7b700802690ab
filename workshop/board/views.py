"""What learners post, what the instructor sees. A learner's door takes the room's code, or the key of who joined."""

import hmac

from django.conf import settings
from django.core.cache import cache
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rest_framework import serializers
from rest_framework.authentication import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled, ValidationError

from workshop_django.inbox.authentication import AppKeyAuthentication
from workshop_django.inbox.views import InboxApiView

from .models import Event, Member, Room
from .overview import overview

MOST_MEMBERS = 200  # a room; whoever has the code could fill the page with names
WRONG_CODES = 5  # that an address may try
WRONG_CODES_SECONDS = 60  # and for so long it is refused after that
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
POLICY += "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class CodeAuthentication(AppKeyAuthentication):
    """The room's code is the key. Who tries wrong ones must wait, also with the right one: or it would be found."""

    def authenticate(self, request):
        wrong = f"wrong codes from {request.META['REMOTE_ADDR']}"
        if cache.get(wrong, 0) >= WRONG_CODES:
            raise Throttled(wait=WRONG_CODES_SECONDS)
        try:
            return super().authenticate(request)
        except AuthenticationFailed:
            cache.set(wrong, cache.get(wrong, 0) + 1, WRONG_CODES_SECONDS)
            raise

    @staticmethod
    def keys():
        return [Room.objects.get().code]


class MemberAuthentication(TokenAuthentication):
    def authenticate_credentials(self, key):
        member = Member.objects.filter(key_sha256=Member.hash_of(key)).first()
        if member is None:
            raise AuthenticationFailed("This board does not know the key.")
        return member, None


class JoinSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=200)
    key = serializers.CharField(min_length=32, max_length=100)

    def validate_name(self, name):
        """Without what would turn the page's text around, or hide in it; 40 characters."""
        shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
        if not shown:
            raise ValidationError("Write a name that can be read.")
        return shown[:40]


class EventSerializer(serializers.Serializer):
    what = serializers.ChoiceField(Event.What.choices)
    chapter = serializers.RegexField(r"^\d\d_\w{1,57}$", default="")
    question = serializers.RegexField(r"^q\d{1,2}$", default="")

    def validate(self, data):
        if data["what"] in (Event.What.RIGHT, Event.What.WRONG) and not (data["chapter"] and data["question"]):
            raise ValidationError({"question": ["Say which chapter and which question."]})
        return data


class JoinApiView(InboxApiView):
    """The learner makes the key, so that a join whose answer was lost can be told again, as every message can."""

    authentication_classes = [CodeAuthentication]
    serializer_class = JoinSerializer
    max_body_bytes = 4096

    def process(self, data, prepared):
        key_sha256 = Member.hash_of(data["key"])
        _, new = Member.objects.update_or_create(key_sha256=key_sha256, defaults={"name": data["name"]})
        if new and Member.objects.count() > MOST_MEMBERS:
            raise PermissionDenied(f"The board has {MOST_MEMBERS} names already.")


class EventApiView(InboxApiView):
    authentication_classes = [MemberAuthentication]
    serializer_class = EventSerializer
    max_body_bytes = 4096

    @property
    def scope(self):
        return f"events of {self.request.user.pk}"  # so that nobody can use up another's ids

    def prepare(self, data):
        if "Idempotency-Key" not in self.request.headers:
            raise ValidationError({"Idempotency-Key": ["An event needs an id, or it would count twice."]})

    def process(self, data, prepared):
        Event.objects.create(member=self.request.user, **data)


@never_cache
@require_safe
def page(request, link):
    room = Room.objects.get()
    if not hmac.compare_digest(link.encode(), room.link.encode()):
        raise Http404
    answer = render(
        request, "board/board.html", {"room": room, "file": settings.DATABASES["default"]["NAME"], **overview()}
    )
    answer["Content-Security-Policy"] = POLICY
    return answer


@require_safe
def welcome(request):
    """For a learner who opens the address in a browser. It gives away nothing."""
    text = "This is the board of a workshop. To join it, type in a terminal:\n\n"
    text += f"    python3 -m workshop join {Room.objects.get().address} CODE NAME\n\n"
    return HttpResponse(text + "Your instructor has the code.\n", content_type="text/plain; charset=utf-8")
