"""Chapter 3, Receive in Django: what its exercise asks, and how it looks at the answers.

Django is imported inside of the functions: its settings are there when the lab is open.
"""

import hmac
import inspect
import json
import sys
from functools import partial

from .calling import Raised, attempt, call, kind
from .listening import everything_said
from .question import NotAttempted, Wrong, question

LAB = {"queue": False}

KEY = "the-new-key-Xq7w2ZkP9vLm4RtY"
OLD_KEY = "the-old-key-Jh3n8SdF6cBv1GxU"
MAX_WIDTH = 4096


@question(
    hints=[
        "Two things are missing. One finds out who is calling, the other decides whether they may enter.",
        "Put AppKeyAuthentication into authentication_classes and IsAuthenticated into permission_classes.",
    ],
    why="An endpoint that asks for nothing works for whoever finds it, and looks the same to you as a locked one.",
)
def q1(lab, ReceiveView):  # noqa: N803  (a class)
    """Nobody but a caller with the right key may post."""
    _require_class(ReceiveView, "as_view", "a view")
    none, wrong, right = (_post(ReceiveView, header) for header in (None, "Token a-guess", f"Token {KEY}"))
    if none.status_code == wrong.status_code == right.status_code == 200:
        raise Wrong("a caller without a key and one with a wrong key are still answered 200")
    if right.status_code != 200:
        raise Wrong(
            f"a caller with the right key is answered {right.status_code}: permission asks whether the caller is "
            "known, and authentication has to find that out first"
        )
    if none.status_code == 200:
        raise Wrong(
            "whoever brings a wrong key is turned away, and whoever brings none is answered 200: authentication alone "
            "forbids nothing, that is what permission is for"
        )
    if wrong.status_code == 200:
        raise Wrong("a caller with a wrong key is answered 200; is the key compared with anything?")
    for response, what in [(none, "without a key"), (wrong, "with a wrong key")]:
        if response.status_code != 401:
            raise Wrong(f"a caller {what} is answered {response.status_code}; it should be 401")
        if not response.headers.get("WWW-Authenticate", "").startswith("Token"):
            raise Wrong(f"a caller {what} is not told the scheme: the header WWW-Authenticate should say Token")


@question(
    hints=[
        "Three things are missing: an unset key lets nobody in, the fallbacks count, and == is not for secrets.",
        "hmac.compare_digest(given.encode(), key.encode()). As text it refuses to compare what is not ASCII.",
        "if not app_key: return False. Then compare with each key of [app_key, *fallbacks] that is not empty.",
    ],
    why="An unset key that equals an empty one opens the endpoint to everybody, on the day when a variable is missing.",
)
def q2(lab, key_is_valid):
    """key_is_valid(given, app_key, fallbacks), in constant time; an unset app_key lets nobody in."""

    def answer(given, app_key, fallbacks=()):
        return bool(call(key_is_valid, given, app_key, list(fallbacks)))

    if not answer(KEY, KEY):
        raise Wrong("the right key is refused")
    for given in ("a-guess", KEY[:-1], KEY + "x", KEY.lower(), ""):
        if answer(given, KEY):
            raise Wrong(f"a wrong key is let in: {given!r}, and the key is {KEY!r}")
    if answer("", ""):
        raise Wrong("app_key is not set, an empty text, and a caller with an empty key is let in")
    if answer("None", None) or answer("", None):
        raise Wrong("app_key is None, and a caller is let in")
    if not answer(OLD_KEY, KEY, [OLD_KEY]):
        raise Wrong("a key in fallbacks is refused: while a key is replaced, both must be let in")
    if not answer("third", KEY, [OLD_KEY, "third"]):
        raise Wrong("the second of two fallbacks is refused; there may be any number")
    if answer("", KEY, ["", OLD_KEY]):
        raise Wrong("one of the fallbacks is empty, and a caller with an empty key is let in")
    if answer(OLD_KEY, "", [OLD_KEY]):
        raise Wrong("app_key is not set, and a caller with a key of the fallbacks is let in; it should be nobody")
    outcome = attempt(key_is_valid, "schlüssel", KEY, [])
    if isinstance(outcome, Raised):
        raise Wrong(
            f"for the key 'schlüssel' it raised {outcome}. A letter beyond ASCII in a header would end in a 500: "
            "compare bytes, from .encode()"
        )
    if outcome:
        raise Wrong("a wrong key is let in: 'schlüssel'")
    for given, keys in [(KEY, []), (KEY[:-1] + "!", []), (OLD_KEY, [OLD_KEY])]:
        noted = _Noted(given)
        compared = _calls_of_compare_digest(key_is_valid, noted, KEY, keys)
        if noted.compared or not compared:
            raise Wrong(
                "it answers rightly, but compares with == or `in`, which stop at the first difference. "
                "hmac.compare_digest looks at everything, always"
            )


@question(
    hints=[
        'IntegerField takes "640" and 640.0, too. Make a field of your own: class StrictInteger(IntegerField), with '
        "a method to_internal_value(self, data).",
        "Look at the type before you hand the data to super().to_internal_value(data), and raise "
        "serializers.ValidationError for everything that is no int. For Python, True is an int, too.",
        "width = StrictInteger(min_value=1, max_value=4096). The workshop's own is in image_sync/serializers.py.",
    ],
    why="A sender that is told of its mistake on the first day mends it; one that is understood anyhow never does.",
)
def q3(lab, ResizeSerializer):  # noqa: N803  (a class)
    """`width` is a whole number from 1 to 4096, and nothing that only looks like one."""
    from rest_framework import serializers

    _require_class(ResizeSerializer, "is_valid", "a serializer")
    if _is_the_given_serializer(ResizeSerializer, serializers):
        raise NotAttempted
    for value in (640, 1, MAX_WIDTH):
        valid, data, errors = _validate(ResizeSerializer, {"width": value})
        if not valid:
            raise Wrong(f'{{"width": {value}}} is refused, and it is right: {json.dumps(errors, default=str)}')
        if data != {"width": value} or type(data["width"]) is not int:
            raise Wrong(f'{{"width": {value}}} becomes {data!r}')
    for value, what in [
        (
            "640",
            "a text is taken for a number. Let a field of your own look at the type before it is converted; "
            "validate_width comes too late for that",
        ),
        (640.0, "a number with a fraction, as JSON has it, is taken for a whole one"),
        (True, "for Python True is an int, so isinstance(data, int) alone does not keep it out"),
        (0, "a width is 1 at least: min_value"),
        (-5, "a width is 1 at least: min_value"),
        (MAX_WIDTH + 1, f"a width is {MAX_WIDTH} at most: max_value"),
        (10**30, f"a width is {MAX_WIDTH} at most: max_value"),
        (None, "nothing is no number"),
        ([640], "a list is no number"),
        ({"value": 640}, "an object is no number"),
    ]:
        valid, _, errors = _validate(ResizeSerializer, {"width": value})
        if valid:
            raise Wrong(f'{{"width": {json.dumps(value)}}} is accepted: {what}')
        if "width" not in errors:
            raise Wrong(f'{{"width": {json.dumps(value)}}} is refused, but the answer does not name the field width')
    valid, _, errors = _validate(ResizeSerializer, {})
    if valid:
        raise Wrong("{} is accepted, without any width")
    if "width" not in errors:
        raise Wrong("{} is refused, but the answer does not name the field width")


@question(
    hints=[
        "Every Response says its status: Response({...}, status=400). Without one it is 200, which means done.",
        "Look at data first, before any try: is it a dict, and has it image_id? Only then call work.",
        "A KeyError is a LookupError. So only the call of work belongs into try, with except LookupError (404) before "
        "except Exception (500). What the exception says is for your log, not for the caller.",
    ],
    why="The sender reads only the status: after a 200 it deletes the message, and the work is never done.",
)
def q4(lab, respond):
    """respond(data, work) -> a Response whose status tells the sender the truth."""
    done = []

    def works(image_id):
        done.append(image_id)
        return True

    def raises(error):
        def work(image_id):
            raise error

        return work

    status, _ = _respond(respond, {"image_id": 7}, works)
    if done != [7]:
        raise Wrong(f"work was called {len(done)} times; once was expected, with the image_id")
    if status != 200:
        raise Wrong(f"the work was done, and the status is {status}; it should be 200")
    inside = "disk /srv/media-17 is full"
    status, text = _respond(respond, {"image_id": 7}, raises(RuntimeError(inside)))
    if 200 <= status < 300:
        raise Wrong(
            f"the work failed, and the status is {status}. The sender reads only the status, deletes the message, and "
            "nobody will ever know"
        )
    if status < 500:
        raise Wrong(f"the work failed, and the status is {status}; the fault is on your side, which is 500")
    if inside in text:
        raise Wrong("the answer says what the exception said: that is for your log. Strangers learn from it")
    for error in (ValueError("broken picture"), TypeError("a mistake in the work")):
        status, _ = _respond(respond, {"image_id": 7}, raises(error))
        if status != 500:
            raise Wrong(
                f"the work raised a {type(error).__name__}, and the status is {status}; whatever goes wrong in "
                "the work is 500"
            )
    status, _ = _respond(respond, {"image_id": 7}, raises(LookupError("image 7")))
    if status != 404:
        raise Wrong(f"there is no such image, and the status is {status}; it should be 404")
    status, _ = _respond(respond, {"image_id": 7}, lambda image_id: False)
    if status == 409:
        raise Wrong("the message was processed before, and the status is 409: so it comes again and again. Done is 200")
    if status != 200:
        raise Wrong(f"the message was processed before, and the status is {status}; that is done: 200")
    done.clear()
    for data, what in [
        ({}, "image_id is missing"),
        ([7], "the data is a list, not an object"),
        ("image_id", "the data is a text, not an object"),
        (None, "the data is null, not an object"),
    ]:
        status, _ = _respond(respond, data, works)
        if status == 404:
            raise Wrong(f"{what}, and the status is 404; a KeyError is a LookupError, too, and here it should be 400")
        if status != 400:
            raise Wrong(f"{what}, and the status is {status}; the sender made a mistake, which is 400")
        if done:
            raise Wrong(f"{what}, and work was called all the same")


@question(
    hints=[
        "Two methods: authenticate(self, request) and authenticate_header(self, request). Chapter 3 shows both.",
        "get_authorization_header(request).split() gives the words of the header, as bytes. No words: return None. Not "
        "two words, or another scheme: raise AuthenticationFailed.",
        "Your key_is_valid of question 2 compares. Return (user, None), where user is an object with "
        "is_authenticated = True.",
    ],
    why="With this as the default of your project, the next view that somebody adds is locked from its first day.",
)
def q5(lab, BearerKeyAuthentication):  # noqa: N803  (a class)
    """`Authorization: Bearer <key>`, with the keys of the settings, and 401 with WWW-Authenticate else."""
    _require_class(BearerKeyAuthentication, "authenticate", "an authentication class")
    locked, open_to_all = _views(BearerKeyAuthentication)

    def status(header, view=locked, **changed):
        return _post(view, header, name="it", **changed).status_code

    if (right := status(f"Bearer {KEY}")) in (401, 403):
        raise Wrong(
            f"the right key is answered {right}; authenticate must return a pair, of which the first has "
            "is_authenticated = True"
        )
    nothing = _post(locked, None, name="it")
    if nothing.status_code == 200:
        raise Wrong("without a key a caller is let in: authenticate must return None where there is no header")
    if nothing.status_code == 403:
        raise Wrong("without a key the answer is 403, not 401: DRF needs the method authenticate_header")
    if not nothing.headers.get("WWW-Authenticate", "").startswith("Bearer"):
        raise Wrong("the header WWW-Authenticate of the 401 does not name the scheme Bearer")
    if status(None, open_to_all) != 200:
        raise Wrong(
            "a request without any Authorization header is refused also at a view that is open to all; authenticate "
            "should return None there, for 'I cannot say'"
        )
    for header, what in [
        ("Bearer a-guess", "a wrong key"),
        (f"Bearer {KEY[:-1]}", "a part of the key"),
        ("Bearer", "the scheme without a key"),
        (f"Bearer {KEY} please", "three words"),
        (f"Token {KEY}", "another scheme"),
        (f"Bearer{KEY}", "no space behind the scheme"),
        (KEY, "the key without a scheme"),
        ("Bearer schl\xfcssel", "a key with a letter beyond ASCII"),
    ]:
        if (found := status(header)) != 401:
            raise Wrong(f"{what} is answered {found}; it should be 401")
    if status("Bearer a-guess", open_to_all) != 401:
        raise Wrong(
            "a wrong key is treated like no key at all, and let in by a view that is open to all; raise "
            "AuthenticationFailed"
        )
    if status(f"bearer {KEY}") != 200:
        raise Wrong("the scheme written 'bearer' is refused; its letters may be small or large")
    if status(f"Bearer {OLD_KEY}") != 200:
        raise Wrong("a key in APP_KEY_FALLBACKS is refused: while a key is replaced, both must be let in")
    for app_key in ("", None):
        for header in ("Bearer", "Bearer ", "Bearer None", f"Bearer {KEY}"):
            if status(header, APP_KEY=app_key, APP_KEY_FALLBACKS=[]) != 401:
                raise Wrong(f"APP_KEY is {app_key!r}, not set, and a caller is let in")
    if status(f"Bearer {KEY}", APP_KEY="another-key", APP_KEY_FALLBACKS=[]) != 401:
        raise Wrong(
            "the settings have another key by now, and the old one is let in: read the settings at each request"
        )
    if not _calls_of_compare_digest(_ask, locked, f"Bearer {KEY[:-1]}!"):
        raise Wrong("it answers rightly, but compares with == or `in`; hmac.compare_digest looks at everything, always")


def _post(view: type, header: str | None, name: str = "", **changed):
    """The view's answer to a POST with this Authorization header."""
    ask = partial(_ask, view, header, **changed)
    ask.__name__ = name or view.__name__
    response = attempt(ask)
    if isinstance(response, Raised):
        what = "without a key" if header is None else f"with the header {header!r}"
        bytes_it_is = ". A header can hold any bytes" if isinstance(response.error, UnicodeError) else ""
        raise Wrong(f"asked {what}, {ask.__name__} raised {response}{bytes_it_is}")
    return response


def _ask(view: type, header: str | None, **changed):
    from django.test import override_settings
    from rest_framework.test import APIRequestFactory

    headers = {} if header is None else {"authorization": header}
    request = APIRequestFactory().post("/", {"image_id": 1}, format="json", headers=headers)
    with override_settings(**{"APP_KEY": KEY, "APP_KEY_FALLBACKS": [OLD_KEY]} | changed):
        return view.as_view()(request)


def _views(authentication: type) -> tuple[type, type]:
    """A view that asks for an authenticated caller, and one that does not."""
    from rest_framework.permissions import AllowAny, IsAuthenticated
    from rest_framework.response import Response
    from rest_framework.views import APIView

    class Locked(APIView):
        authentication_classes = [authentication]
        permission_classes = [IsAuthenticated]

        def post(self, request):
            return Response({"message": "done"})

    class Open(Locked):
        permission_classes = [AllowAny]

    return Locked, Open


def _calls_of_compare_digest(function, *args) -> int:
    """How often `function(*args)` calls hmac.compare_digest, under any of its names."""
    calls = 0

    def note(frame, event, argument):
        nonlocal calls
        calls += event == "c_call" and argument is hmac.compare_digest

    def run():
        sys.setprofile(note)  # this thread's alone
        try:
            return function(*args)
        finally:
            sys.setprofile(None)

    call(run)
    return calls


class _Noted(str):
    """A text that notes whether it was compared with ==, != or `in`."""

    compared = False

    def __eq__(self, other):
        self.compared = True
        return str.__eq__(self, other)

    def __ne__(self, other):
        self.compared = True
        return str.__ne__(self, other)

    __hash__ = str.__hash__


def _validate(serializer: type, data: dict) -> tuple[bool, dict | None, dict]:
    """(is it valid, validated_data, errors)"""

    def validate():
        one = serializer(data=data)
        valid = one.is_valid()
        try:
            errors = one.errors
        except (TypeError, ValueError):  # DRF wants a dict, and to_internal_value has raised a text
            errors = {}
        return valid, dict(one.validated_data) if valid else None, errors

    validate.__name__ = f"for {json.dumps(data)} {serializer.__name__}"
    return call(validate)


def _is_the_given_serializer(serializer: type, serializers) -> bool:
    """DRF moves fields away from the class, so it cannot be compared as other classes are."""
    fields = getattr(serializer, "_declared_fields", {})
    return (
        list(fields) == ["width"]
        and type(fields["width"]) is serializers.IntegerField
        and fields["width"]._kwargs == {}
        and not any(inspect.isfunction(value) for value in vars(serializer).values())
    )


def _respond(respond, data: object, work) -> tuple[int, str]:
    """The status that a caller would see, and the text of the answer. What a view raises, DRF and Django answer."""
    from django.http import Http404
    from rest_framework.exceptions import APIException

    with everything_said():  # a line in the log for each failure is right, and would fill the notebook
        outcome = attempt(respond, data, work)
    if isinstance(outcome, Raised):
        if isinstance(outcome.error, APIException):
            return outcome.error.status_code, str(outcome.error)
        return (404 if isinstance(outcome.error, Http404) else 500), ""
    if not hasattr(outcome, "status_code"):
        raise Wrong(f"it returned {kind(outcome)}; return a Response")
    return outcome.status_code, str(outcome.data if hasattr(outcome, "data") else outcome.content)


def _require_class(value: object, attribute: str, what: str) -> None:
    if not inspect.isclass(value):
        raise Wrong(f"{what} was expected, a class, and this is {kind(value)}")
    if not hasattr(value, attribute):
        raise Wrong(f"{value.__name__} is not {what}: it has no {attribute}")
