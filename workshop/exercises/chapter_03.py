"""Chapter 3, Receive in Django: what its exercise asks, and how it looks at the answers.

Django is imported inside of the functions: its settings are there when the lab is open.
"""

import hmac
import json
import sys

from .calling import Raised, attempt, call, expect, kind
from .listening import everything_said
from .question import Wrong, question

LAB = {"queue": False}

KEY = "the-new-key-Xq7w2ZkP9vLm4RtY"
OLD_KEY = "the-old-key-Jh3n8SdF6cBv1GxU"
INSIDE = "disk /srv/media-17 is full"  # what an exception says


@question(
    hints=[
        "Two things are missing. One finds out who is calling, the other decides whether they may enter.",
        "Put AppKeyAuthentication into authentication_classes and IsAuthenticated into permission_classes.",
    ],
    why="Nobody can have your server work, and no stranger learns anything but 401.",
)
def q1(lab, ReceiveView):  # noqa: N803  (a class)
    """Nobody but a caller with the right key may post."""
    none, wrong, right = (_ask(ReceiveView, header).status_code for header in (None, "Token a-guess", f"Token {KEY}"))
    if right != 200:
        raise Wrong("nobody", f"the right key is answered {right}: permission needs authentication to say who calls")
    if none == wrong == 200:
        raise Wrong("open", "a caller without a key is still answered 200, and so is one with a wrong key")
    if none == 200:
        raise Wrong(
            "no permission", "a wrong key is refused, and no key is answered 200: who may enter is another list"
        )
    expect((none, wrong), (401, 401), "without a key, and with a wrong one, ")


@question(
    hints=[
        'What does it say when app_key is None, and the caller sends an empty text? "" == "" is true.',
        "First: if not app_key, the answer is False. Then leave the empty ones out of [app_key, *fallbacks].",
        "hmac.compare_digest(given.encode(), key.encode()) compares in constant time.",
    ],
    why="A variable that is missing locks everybody out, where it would have let everybody in.",
)
def q2(lab, key_is_valid):
    """key_is_valid(given, app_key, fallbacks), in constant time; an unset app_key lets nobody in."""

    def answer(*args):
        return bool(call(key_is_valid, *args))

    for args in [("", "", []), ("", None, []), ("None", None, []), ("", KEY, [""]), (OLD_KEY, "", [OLD_KEY])]:
        if answer(*args):
            raise Wrong("unset", f"for {args} it lets a caller in: an empty key is none, and none lets nobody in")
    for given, right in [(KEY, True), (OLD_KEY, True), (KEY[:-1], False), ("", False), ("schlüssel", False)]:
        expect(answer(given, KEY, ["third", OLD_KEY]), right, f"for {(given, KEY, ['third', OLD_KEY])} ")
    for given in (KEY, KEY[:-1] + "!"):
        if not _calls_of_compare_digest(key_is_valid, given, KEY, []):
            raise Wrong("not constant", "it is right, and its time tells how much of a guess is: == stops early")


@question(
    hints=[
        "Another field, and an argument that is missing.",
        "The name says positive; the numbers say it: min_value and max_value.",
        "StrictPositiveInteger(min_value=1, max_value=4096)",
    ],
    why="A sender with a mistake is told of it on the first day, and told where.",
)
def q3(lab, ResizeSerializer):  # noqa: N803  (a class)
    """`width` is a whole number from 1 to 4096, and nothing that only looks like one."""

    def errors(data):
        serializer = ResizeSerializer(data=data)
        return {} if serializer.is_valid() else serializer.errors

    for width in ("640", 640.0):
        if not call(errors, {"width": width}):
            raise Wrong("converted", f'{{"width": {json.dumps(width)}}} is taken for the number 640')
    for width in (640, 1, 4096, 0, -5, 4097, None, [640]):
        right = width in (640, 1, 4096)
        expect("refused" if call(errors, {"width": width}) else "taken", "taken" if right else "refused", f"{width}: ")
    if "width" not in call(errors, {}):
        raise Wrong("missing", "{} has no width, and is taken, or the answer does not name the field")


@question(
    hints=[
        "The sender reads only the status. Without one, a Response has 200, which means done.",
        "except LookupError comes before except Exception, or it is never reached.",
        "404 and 500, with texts of your own. What was done before is done: 200.",
    ],
    why="The sender deletes what was done, and nothing else.",
)
def q4(lab, respond):
    """respond(data, work) -> a Response whose status tells the sender the truth."""
    done = []
    raises = {1: RuntimeError(INSIDE), 2: ValueError(INSIDE), 3: LookupError(INSIDE)}

    def work(image_id):
        if image_id in raises:
            raise raises[image_id]
        done.append(image_id)
        return image_id == 7

    for data, expected, what in [
        ({"image_id": 1}, 500, "the work failed"),
        ({"image_id": 2}, 500, "the work raised a ValueError"),
        ({"image_id": 3}, 404, "there is no such image"),
        ({"image_id": 8}, 200, "the message was processed before"),
        ({"image_id": 7}, 200, "the work was done"),
        ({}, 400, "image_id is missing"),
        ("image_id", 400, "the data are a text"),
    ]:
        status, text = _respond(respond, data, work)
        if status == 200 != expected:
            raise Wrong("done", f"{what}, and the status is 200: the sender deletes the message, and nobody will know")
        if expected == 200 and not 200 <= status < 300:
            raise Wrong("again", f"{what}, and the status is {status}: the message comes again. Done is 200")
        if INSIDE in text:
            raise Wrong("told", "the answer says what the exception said: strangers learn from that")
        if status != expected:
            raise Wrong("status", f"{what}, and the status is {status}; it should be {expected}")
    if done != [8, 7]:
        raise Wrong("work", f"work was called for {done}; once for each message with an image_id was expected")


@question(
    hints=[
        "None means: there is nothing here that I could judge. When is that so?",
        "No words: return None. Not two words, or another scheme: raise AuthenticationFailed.",
        'The second mistake is a method that is not there: authenticate_header(self, request) returns "Bearer".',
    ],
    why="As the default of your project it locks the next view that somebody adds, from its first day.",
)
def q5(lab, BearerKeyAuthentication):  # noqa: N803  (a class)
    """`Authorization: Bearer <key>`, with the keys of the settings, and 401 with WWW-Authenticate else."""
    locked, open_to_all = _views(BearerKeyAuthentication)
    for header in (f"Bearer {KEY}", f"Bearer {OLD_KEY}"):
        if (status := _ask(locked, header).status_code) != 200:
            raise Wrong("refused", f"a valid key is answered {status}: the header was {header!r}")
    if (status := _ask(open_to_all, None).status_code) != 200:
        raise Wrong("closed", f"a view that is open to all answers {status} where there is no Authorization header")
    wrong = ["Bearer a-guess", "Bearer", f"Bearer {KEY} please", f"Token {KEY}", KEY, "Bearer schl\xfcssel"]
    for view, header in [(locked, None), *((view, header) for view in (locked, open_to_all) for header in wrong)]:
        answer = _ask(view, header)
        situation = "without the header " if header is None else f"for {header!r} "
        if answer.status_code == 200:
            raise Wrong(
                "let in", f"the header {header!r} is let in by a view that is open to all; only no header may be"
            )
        if not answer.headers.get("WWW-Authenticate", "").startswith("Bearer"):
            raise Wrong("no scheme", f"{situation}the answer is {answer.status_code} and does not name Bearer")
        expect(answer.status_code, 401, situation)


def _ask(view: type, header: str | None):
    """The view's answer to a POST with this Authorization header."""
    from django.test import override_settings
    from rest_framework.test import APIRequestFactory

    headers = {} if header is None else {"authorization": header}
    request = APIRequestFactory().post("/", {"image_id": 1}, format="json", headers=headers)
    if not hasattr(view, "as_view"):
        raise Wrong("no view", f"a view was expected, a class, and this is {kind(view)}")
    with override_settings(APP_KEY=KEY, APP_KEY_FALLBACKS=[OLD_KEY]):
        return call(view.as_view(), request)


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
        raise Wrong("returned", f"it returned {kind(outcome)}; return a Response")
    return outcome.status_code, str(outcome.data if hasattr(outcome, "data") else outcome.content)
