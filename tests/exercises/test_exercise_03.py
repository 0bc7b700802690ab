"""Answers that need Django are made inside of functions: its settings are there when the lab is open."""

import hmac
import secrets
from types import SimpleNamespace

import pytest

CHAPTER = "03_receive_in_django"


def view(authentication=None, permission=None, post=None, **more):
    """A view with these classes; "key" stands for AppKeyAuthentication, and what is None is left out."""

    def make():
        from rest_framework.permissions import AllowAny, IsAuthenticated
        from rest_framework.response import Response
        from rest_framework.views import APIView

        from workshop_django.inbox.authentication import AppKeyAuthentication

        classes = {"key": AppKeyAuthentication, "in": IsAuthenticated, "any": AllowAny}
        attributes = {name: value() for name, value in more.items()}
        if authentication is not None:
            attributes["authentication_classes"] = [classes.get(name, name) for name in authentication]
        if permission is not None:
            attributes["permission_classes"] = [classes.get(name, name) for name in permission]
        answer = post or (lambda self, request: Response({"message": "Data processed successfully"}))
        return type("ReceiveView", (APIView,), {"post": answer} | attributes)

    return make


def checks_by_hand(self, request):
    from django.conf import settings
    from rest_framework.response import Response

    if not hmac.compare_digest(request.headers.get("Authorization", ""), f"Token {settings.APP_KEY}"):
        return Response({"detail": "no"}, status=401, headers={"WWW-Authenticate": "Token"})
    return Response({"message": "done"})


def forbids_by_hand(self, request):
    from rest_framework.response import Response

    response = checks_by_hand(self, request)
    return response if response.status_code == 200 else Response({"detail": "no"}, status=403)


def says_no_scheme(self, request):
    from rest_framework.response import Response

    response = checks_by_hand(self, request)
    return response if response.status_code == 200 else Response({"detail": "no"}, status=401)


def returns_a_dict(self, request):
    return {"message": "done"}


@pytest.mark.parametrize(
    "make", [view(["key"], ["in"]), view(), view([], [], checks_by_hand)], ids=["named", "the defaults", "by hand"]
)
def test_q1_takes_any_view_that_is_locked(outcome, make):
    assert outcome(1, make())[0] == "right"


@pytest.mark.parametrize(
    ("make", "because"),
    [
        (view([], ["any"]), "without a key and one with a wrong key are still answered 200"),
        (view(["key"], []), "whoever brings none is answered 200: authentication alone forbids nothing"),
        (view(["key"], ["any"]), "whoever brings none is answered 200: authentication alone forbids nothing"),
        (view([], ["in"]), "the right key is answered 403: permission asks whether the caller is known"),
        (view([], [], forbids_by_hand), "without a key is answered 403; it should be 401"),
        (view([], [], says_no_scheme), "the header WWW-Authenticate should say Token"),
        (view(["key"], ["IsAuthenticated"]), "raised TypeError: 'str' object is not callable"),
        (view([], ["any"], returns_a_dict), "ReceiveView raised AssertionError"),
        (lambda: "ReceiveView", "a view was expected, a class, and this is a str"),
        (lambda: dict, "dict is not a view: it has no as_view"),
    ],
)
def test_q1_says_what_is_not_right(outcome, make, because):
    state, text = outcome(1, make())
    assert state == "wrong"
    assert because in text


def in_one_expression(given, app_key, fallbacks):
    return bool(app_key) and any(
        hmac.compare_digest(given.encode(), key.encode()) for key in (app_key, *fallbacks) if key
    )


def with_django(given, app_key, fallbacks):
    from django.utils.crypto import constant_time_compare

    valid = False
    for key in [app_key] + fallbacks if app_key else []:
        valid |= bool(key) and constant_time_compare(given, key)
    return valid


def with_secrets(given, app_key, fallbacks):
    if not app_key:
        return False
    found = 0
    for key in filter(None, [app_key, *fallbacks]):
        found += secrets.compare_digest(bytes(given, "utf-8"), bytes(key, "utf-8"))
    return found > 0


def valid(given, app_key, fallbacks):
    return in_one_expression(given, app_key, fallbacks)


def is_in_a_list(given, app_key, fallbacks):
    return bool(app_key) and given in [key for key in [app_key, *fallbacks] if key]


def equals(given, app_key, fallbacks):
    return bool(app_key) and any(given == key for key in [app_key, *fallbacks] if key)


def equals_as_bytes(given, app_key, fallbacks):
    return bool(app_key) and any(given.encode() == key.encode() for key in [app_key, *fallbacks] if key)


def equals_first(given, app_key, fallbacks):
    return given == app_key or in_one_expression(given, app_key, fallbacks)


def as_text(given, app_key, fallbacks):
    return bool(app_key) and any(hmac.compare_digest(given, key) for key in [app_key, *fallbacks] if key)


def forgets_the_unset_key(given, app_key, fallbacks):
    return any(hmac.compare_digest(given.encode(), (key or "").encode()) for key in [app_key, *fallbacks])


def makes_a_text_of_none(given, app_key, fallbacks):
    return app_key != "" and any(
        hmac.compare_digest(given.encode(), str(key).encode()) for key in [app_key, *fallbacks]
    )


def no_fallbacks(given, app_key, fallbacks):
    return in_one_expression(given, app_key, [])


def one_fallback(given, app_key, fallbacks):
    return in_one_expression(given, app_key, fallbacks[:1])


def empty_fallback(given, app_key, fallbacks):
    return bool(app_key) and any(hmac.compare_digest(given.encode(), key.encode()) for key in [app_key, *fallbacks])


def fallbacks_alone(given, app_key, fallbacks):
    return any(hmac.compare_digest(given.encode(), key.encode()) for key in [app_key, *fallbacks] if key)


def starts_with(given, app_key, fallbacks):
    return app_key.startswith(given)


@pytest.mark.parametrize("answer", [in_one_expression, with_django, with_secrets])
def test_q2_takes_any_comparison_in_constant_time(outcome, answer):
    assert outcome(2, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (equals, "compares with == or `in`"),
        (equals_as_bytes, "compares with == or `in`"),
        (is_in_a_list, "compares with == or `in`"),
        (equals_first, "app_key is not set, an empty text, and a caller with an empty key is let in"),
        (as_text, "for the key 'schlüssel' it raised TypeError"),
        (forgets_the_unset_key, "app_key is not set, an empty text, and a caller with an empty key"),
        (makes_a_text_of_none, "app_key is None, and a caller is let in"),
        (no_fallbacks, "a key in fallbacks is refused"),
        (one_fallback, "the second of two fallbacks is refused"),
        (empty_fallback, "one of the fallbacks is empty"),
        (fallbacks_alone, "a caller with a key of the fallbacks is let in; it should be nobody"),
        (starts_with, "a wrong key is let in: 'the-new-key-Xq7w2ZkP9vLm4Rt'"),
        (lambda given, app_key, fallbacks: None, "the right key is refused"),
        (lambda given, app_key: True, "does not take the arguments"),
        (lambda given, app_key, fallbacks: True, "a wrong key is let in: 'a-guess'"),
    ],
)
def test_q2_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(2, answer)
    assert state == "wrong"
    assert because in text


def strict(accept, **limits):
    """A serializer whose field takes what `accept` lets through."""

    def make():
        from rest_framework import serializers

        class Strict(serializers.IntegerField):
            def to_internal_value(self, data):
                if not accept(data):
                    raise serializers.ValidationError("no")
                return super().to_internal_value(data)

        bounds = {"min_value": 1, "max_value": 4096} | limits
        field = Strict(**{name: value for name, value in bounds.items() if value is not None})
        return type("ResizeSerializer", (serializers.Serializer,), {"width": field})

    return make


def is_an_int(data):
    return type(data) is int


def looks_at_the_raw_data():
    from rest_framework import serializers

    class ResizeSerializer(serializers.Serializer):
        width = serializers.IntegerField(min_value=1, max_value=4096)

        def to_internal_value(self, data):
            if not isinstance(data.get("width", 0), int) or isinstance(data.get("width"), bool):
                raise serializers.ValidationError({"width": ["Write a whole number."]})
            return super().to_internal_value(data)

    return ResizeSerializer


def a_field_of_its_own():
    from rest_framework import serializers

    class Width(serializers.Field):
        def to_internal_value(self, data):
            if type(data) is not int or not 0 < data <= 4096:
                raise serializers.ValidationError("Write a whole number from 1 to 4096.")
            return data

        def to_representation(self, value):
            return value

    class ResizeSerializer(serializers.Serializer):
        width = Width()

    return ResizeSerializer


def takes_true():
    from rest_framework import serializers

    class Width(serializers.Field):
        def to_internal_value(self, data):
            if not isinstance(data, int) or not 0 < data <= 4096:
                raise serializers.ValidationError("no")
            return int(data)

    class ResizeSerializer(serializers.Serializer):
        width = Width()

    return ResizeSerializer


def compares_before_it_looks():
    from rest_framework import serializers

    class Width(serializers.IntegerField):
        def to_internal_value(self, data):
            if not 0 < data <= 4096 or not isinstance(data, int):
                raise serializers.ValidationError("no")
            return super().to_internal_value(data)

    class ResizeSerializer(serializers.Serializer):
        width = Width()

    return ResizeSerializer


def validates_afterwards():
    """validate_width gets what IntegerField has made of it: too late to know."""
    from rest_framework import serializers

    class ResizeSerializer(serializers.Serializer):
        width = serializers.IntegerField(min_value=1, max_value=4096)

        def validate_width(self, value):
            if not isinstance(value, int):
                raise serializers.ValidationError("no")
            return value

    return ResizeSerializer


def names_no_field():
    from rest_framework import serializers

    class ResizeSerializer(serializers.Serializer):
        width = serializers.IntegerField(min_value=1, max_value=4096)

        def to_internal_value(self, data):
            if type(data.get("width")) is not int:
                raise serializers.ValidationError("The width is wrong.")
            return super().to_internal_value(data)

    return ResizeSerializer


def finds_it_missing_too_late():
    from rest_framework import serializers

    class ResizeSerializer(strict(is_an_int)()):
        def validate(self, attrs):
            if "width" not in attrs:
                raise serializers.ValidationError("The width is missing.")
            return attrs

    ResizeSerializer._declared_fields["width"] = type(ResizeSerializer._declared_fields["width"])(
        min_value=1, max_value=4096, required=False
    )
    return ResizeSerializer


def makes_a_text_of_it():
    from rest_framework import serializers

    class Width(serializers.IntegerField):
        def to_internal_value(self, data):
            return str(super().to_internal_value(data))

    return type("ResizeSerializer", (serializers.Serializer,), {"width": Width()})


def limits_alone():
    from rest_framework import serializers

    class ResizeSerializer(serializers.Serializer):
        width = serializers.IntegerField(min_value=1, max_value=4096)

    return ResizeSerializer


@pytest.mark.parametrize(
    "make", [strict(is_an_int), strict(lambda d: isinstance(d, int)), looks_at_the_raw_data, a_field_of_its_own]
)
def test_q3_takes_any_serializer_that_takes_whole_numbers_alone(outcome, make):
    assert outcome(3, make())[0] == "right"


@pytest.mark.parametrize(
    ("make", "because"),
    [
        (limits_alone, '{"width": "640"} is accepted: a text is taken for a number'),
        (validates_afterwards, '{"width": "640"} is accepted: a text is taken for a number'),
        (strict(lambda data: not isinstance(data, str)), '{"width": 640.0} is accepted'),
        (takes_true, '{"width": true} is accepted: for Python True is an int'),
        (strict(is_an_int, min_value=None), '{"width": 0} is accepted: a width is 1 at least'),
        (strict(is_an_int, min_value=0), '{"width": 0} is accepted: a width is 1 at least'),
        (strict(is_an_int, max_value=None), '{"width": 4097} is accepted: a width is 4096 at most'),
        (strict(is_an_int, max_value=4095), '{"width": 4096} is refused, and it is right'),
        (strict(is_an_int, required=False), "{} is accepted, without any width"),
        (strict(is_an_int, allow_null=True), '{"width": null} is accepted: nothing is no number'),
        (compares_before_it_looks, 'for {"width": "640"} ResizeSerializer raised TypeError'),
        (finds_it_missing_too_late, "{} is refused, but the answer does not name the field width"),
        (makes_a_text_of_it, '{"width": 640} becomes'),
        (names_no_field, "the answer does not name the field width"),
        (lambda: 4096, "a serializer was expected, a class, and this is an int"),
    ],
)
def test_q3_says_what_is_not_right(outcome, make, because):
    state, text = outcome(3, make())
    assert state == "wrong"
    assert because in text


def test_q3_takes_the_serializer_as_given_for_no_attempt(outcome):
    from rest_framework import serializers

    class ResizeSerializer(serializers.Serializer):
        width = serializers.IntegerField()

    assert outcome(3, ResizeSerializer)[0] == "not attempted"


def responds(missing=400, unknown=404, failed=500, before=200, done=200, unknown_is=LookupError, says="", looks=True):
    """A solution, with one thing changed."""

    def respond(data, work):
        from rest_framework.response import Response

        if looks and (not isinstance(data, dict) or "image_id" not in data):
            return Response({"image_id": ["Send one."]}, status=missing)
        try:
            result = work(data["image_id"])
        except unknown_is:
            return Response({"detail": "There is no such image."}, status=unknown)
        except Exception as error:
            return Response({"detail": says.format(error)}, status=failed)
        return Response({"message": "ok"}, status=done if result else before)

    return respond


def raises_drfs_exceptions(data, work):
    from rest_framework.exceptions import NotFound, ValidationError
    from rest_framework.response import Response

    try:
        image_id = data["image_id"]
    except (KeyError, TypeError):
        raise ValidationError({"image_id": ["Send one."]}) from None
    try:
        work(image_id)
    except LookupError:
        raise NotFound from None
    return Response({"message": "whatever else is raised, Django answers with 500"})


def mixes_its_own_type_errors_with_the_works(data, work):
    from rest_framework.response import Response

    try:
        work(data["image_id"])
    except TypeError:
        return Response(status=400)
    except LookupError:
        return Response(status=404)
    except Exception:
        return Response(status=500)
    return Response()


def works_before_it_looks(data, work):
    from rest_framework.response import Response

    good = isinstance(data, dict) and "image_id" in data
    response = responds()(data if good else {"image_id": 0}, work)
    return response if good else Response(status=400)


def forgets_to_work(data, work):
    return responds()(data, lambda image_id: True)


@pytest.mark.parametrize("answer", [responds(), raises_drfs_exceptions])
def test_q4_takes_any_answer_whose_status_is_true(outcome, answer):
    assert outcome(4, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (responds(failed=200), "the work failed, and the status is 200. The sender reads only the status"),
        (responds(failed=400), "the work failed, and the status is 400; the fault is on your side"),
        (responds(says="{}"), "the answer says what the exception said"),
        (responds(unknown_is=(LookupError, ValueError)), "the work raised a ValueError, and the status is 404"),
        (responds(unknown=200), "there is no such image, and the status is 200"),
        (responds(before=409), "and the status is 409: so it comes again and again"),
        (responds(before=208), "the message was processed before, and the status is 208"),
        (responds(done=202), "the work was done, and the status is 202"),
        (responds(missing=422), "image_id is missing, and the status is 422; the sender made a mistake, which is 400"),
        (responds(looks=False), "image_id is missing, and the status is 404; a KeyError is a LookupError, too"),
        (mixes_its_own_type_errors_with_the_works, "the work raised a TypeError, and the status is 400"),
        (forgets_to_work, "work was called 0 times"),
        (works_before_it_looks, "and work was called all the same"),
        (lambda data, work: {"message": work(data["image_id"])}, "it returned a dict; return a Response"),
    ],
)
def test_q4_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(4, answer)
    assert state == "wrong"
    assert because in text


class Sender:
    is_authenticated = True


def authentication(
    user=Sender,
    header="Bearer",
    empty=None,
    scheme=lambda word: word.lower() == "bearer",
    words=2,
    refuse=True,
    key_is_valid=in_one_expression,
    keys=lambda settings: (settings.APP_KEY, settings.APP_KEY_FALLBACKS),
):
    """A solution, with one thing changed."""

    def make():
        from django.conf import settings
        from rest_framework.authentication import BaseAuthentication
        from rest_framework.exceptions import AuthenticationFailed

        class BearerKeyAuthentication(BaseAuthentication):
            def authenticate(self, request):
                if "Authorization" not in request.headers:
                    if empty:
                        raise AuthenticationFailed(empty)
                    return None
                parts = request.headers["Authorization"].split()
                if words and len(parts) != words:
                    raise AuthenticationFailed("Write: Bearer <key>")
                if not scheme(parts[0]) or not key_is_valid(parts[1] if len(parts) > 1 else "", *keys(settings)):
                    if refuse:
                        raise AuthenticationFailed("The key is not valid.")
                    return None
                return user and user(), None

            if header:

                def authenticate_header(self, request):
                    return header

        return BearerKeyAuthentication

    return make


def on_top_of_the_workshops_own():
    from rest_framework.exceptions import AuthenticationFailed

    from workshop_django.inbox.authentication import AppKeyAuthentication

    class BearerKeyAuthentication(AppKeyAuthentication):
        def authenticate(self, request):
            scheme, _, key = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
            if scheme and scheme.lower() != "bearer":
                raise AuthenticationFailed("Write: Bearer <key>")
            headers = {"authorization": f"Token {key}"} if scheme else {}
            return super().authenticate(SimpleNamespace(headers=headers))

        def authenticate_header(self, request):
            return 'Bearer realm="api"'

    return BearerKeyAuthentication


def lets_everybody_in():
    return type("Everybody", (), {"authenticate": lambda self, request: (Sender(), None)})


def reads_the_settings_once():
    from django.conf import settings

    from workshop.exercises import chapter_03

    assert settings.configured
    return authentication(keys=lambda later: (chapter_03.KEY, [chapter_03.OLD_KEY]))()


def as_utf8(given, app_key, fallbacks):
    return in_one_expression(given.encode("latin-1").decode(), app_key, fallbacks)


def swaps(given, app_key, fallbacks):
    return not app_key or in_one_expression(given, app_key, fallbacks)


@pytest.mark.parametrize("make", [authentication(), on_top_of_the_workshops_own])
def test_q5_takes_any_authentication_class_that_keeps_the_rules(outcome, make):
    assert outcome(5, make())[0] == "right"


@pytest.mark.parametrize(
    ("make", "because"),
    [
        (authentication(user=None), "the right key is answered 403; authenticate must return a pair"),
        (authentication(user=object), "'object' object has no attribute 'is_authenticated'"),
        (
            authentication(header=None),
            "without a key the answer is 403, not 401: DRF needs the method authenticate_header",
        ),
        (authentication(header="Token"), "does not name the scheme Bearer"),
        (authentication(empty="No key."), "is refused also at a view that is open to all"),
        (authentication(words=None), "three words is answered 200; it should be 401"),
        (authentication(scheme=lambda word: True), "another scheme is answered 200; it should be 401"),
        (authentication(scheme=lambda word: word == "Bearer"), "the scheme written 'bearer' is refused"),
        (authentication(refuse=False), "a wrong key is treated like no key at all"),
        (authentication(key_is_valid=no_fallbacks), "a key in APP_KEY_FALLBACKS is refused"),
        (authentication(key_is_valid=swaps), "APP_KEY is '', not set, and a caller is let in"),
        (authentication(key_is_valid=as_text), "asked with the header 'Bearer schlüssel', it raised TypeError"),
        (authentication(key_is_valid=as_utf8), "it raised UnicodeDecodeError"),
        (authentication(key_is_valid=as_utf8), ". A header can hold any bytes"),
        (authentication(key_is_valid=equals), "it answers rightly, but compares with == or `in`"),
        (reads_the_settings_once, "and a caller is let in"),
        (lets_everybody_in, "without a key a caller is let in"),
        (lambda: lambda request: None, "an authentication class was expected, a class, and this is a function"),
        (lambda: dict, "dict is not an authentication class: it has no authenticate"),
    ],
)
def test_q5_says_what_is_not_right(outcome, make, because):
    state, text = outcome(5, make())
    assert state == "wrong"
    assert because in text
