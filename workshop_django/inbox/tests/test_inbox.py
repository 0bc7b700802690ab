"""Every answer of the base view, and that a message's effect comes once. Run with: manage.py test <this app>"""

import json
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

from django.core.cache import cache
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase, override_settings
from django.urls import path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.permissions import DjangoModelPermissions, IsAdminUser
from rest_framework.throttling import UserRateThrottle

from ..admin import NEWEST, NewestPaginator
from ..authentication import App
from ..models import ReceivedMessage
from ..views import InboxApiView, logger

KEY = "a-key-for-tests-wBvH2xqZ7dK9"
TOKEN = f"Token {KEY}"


class NumberSerializer(serializers.Serializer):
    number = serializers.IntegerField(min_value=1)

    def validate_number(self, number: int) -> int:
        if number == NumberView.unknown:
            raise serializers.ValidationError("There is no such number.")
        return number


class NumberView(InboxApiView):
    """Its effect is a row of scope "effect"."""

    serializer_class = NumberSerializer
    max_body_bytes = 1000
    prepared: ClassVar[list[int]] = []
    in_transaction: ClassVar[list[bool]] = []
    unknown: ClassVar[int] = 0
    failing: ClassVar[bool] = False
    meanwhile: ClassVar[list[Any]] = []  # called once each, by the first delivery while it prepares

    def prepare(self, data: Any) -> Any:
        self.prepared.append(data["number"])
        self.in_transaction.append(connection.in_atomic_block)
        if self.meanwhile:
            self.meanwhile.pop()()
        return data["number"]

    def process(self, data: Any, prepared: int) -> None:
        ReceivedMessage.objects.create(scope="effect", idempotency_key=str(ReceivedMessage.objects.count()))
        if self.failing:
            raise OSError("the disk is full")


class CalledByTheNameOfTheQueue(NumberView):
    scope = "one name for two addresses"


class Throttle(UserRateThrottle):
    rate = "1/day"


class ThrottledView(NumberView):
    throttle_classes = [Throttle]


class StaffView(NumberView):
    permission_classes = [IsAdminUser]


urlpatterns = [
    path("one", NumberView.as_view()),
    path("two", NumberView.as_view()),
    path("named/one", CalledByTheNameOfTheQueue.as_view()),
    path("named/two", CalledByTheNameOfTheQueue.as_view()),
    path("throttled", ThrottledView.as_view()),
    path("staff", StaffView.as_view()),
]


def effects() -> int:
    return ReceivedMessage.objects.filter(scope="effect").count()


def keys() -> int:
    return ReceivedMessage.objects.exclude(scope="effect").count()


class Posting:
    client: Any

    def setUp(self) -> None:
        for noted in (NumberView.prepared, NumberView.in_transaction, NumberView.meanwhile):
            noted.clear()
        self.client.raise_request_exception = False

    def post(
        self,
        body: Any = None,
        *,
        to: str = "/one",
        key: str | None = None,
        token: str | None = TOKEN,
        content_type: str = "application/json",
        **headers: str,
    ) -> Any:
        headers |= {"Authorization": token} if token is not None else {}
        headers |= {"Idempotency-Key": key} if key is not None else {}
        data = body if isinstance(body, bytes) else json.dumps({"number": 1} if body is None else body)
        # secure: a project's settings may send plain HTTP away
        return self.client.post(to, data, content_type=content_type, headers=headers, secure=True)


here = override_settings(ROOT_URLCONF=__name__, APP_KEY=KEY, APP_KEY_FALLBACKS=[])


@here
class Door(Posting, TestCase):
    def test_only_a_key_of_the_settings_gets_in(self) -> None:
        for token in (
            None,
            "",
            "Token",
            "Token ",
            KEY,
            f"Bearer {KEY}",
            TOKEN + " x",
            TOKEN + "x",
            TOKEN[:-1],
            "Token é",
        ):
            answer = self.post(token=token)
            self.assertEqual((answer.status_code, answer.headers["WWW-Authenticate"]), (401, "Token"), token)
        self.assertEqual(self.post(b"not JSON", token=None).status_code, 401)
        self.assertEqual(effects(), 0)
        self.assertEqual(self.post().status_code, 200)

    def test_an_unset_key_lets_nobody_in_not_even_with_a_fallback_or_an_empty_key(self) -> None:
        with override_settings(APP_KEY="", APP_KEY_FALLBACKS=["old"]):
            self.assertEqual([self.post(token=t).status_code for t in ("Token ", "Token old", None)], [401] * 3)

    def test_while_a_key_is_replaced_the_new_and_the_old_one_get_in(self) -> None:
        with override_settings(APP_KEY="new", APP_KEY_FALLBACKS=["old", "older"]):
            statuses = [self.post(token=f"Token {key}").status_code for key in ("new", "old", "older", "oldest", KEY)]
        self.assertEqual(statuses, [200, 200, 200, 401, 401])

    def test_fallbacks_written_as_one_text_do_not_make_each_letter_a_key(self) -> None:
        with override_settings(APP_KEY_FALLBACKS="old"):
            self.assertEqual([self.post(token=f"Token {key}").status_code for key in ("o", "old")], [401, 200])
            self.assertIn("inbox.E001", [found.id for found in run_checks()])

    def test_the_check_warns_of_a_missing_and_of_a_weak_key(self) -> None:
        def found(**changed: Any) -> list[str | None]:
            with override_settings(**changed):
                return [found.id for found in run_checks() if str(found.id).startswith("inbox.")]

        self.assertEqual(found(), [])
        self.assertEqual(found(APP_KEY=""), ["inbox.W001"])
        for weak in (
            "short-key-1234",
            "YOUR_SECURE_APP_KEY",
            "a" * 40,
            "ab" * 20,
            "two words are no key in a header",
            "ç" + KEY,
        ):
            self.assertEqual(found(APP_KEY=weak), ["inbox.W002"], weak)
            self.assertEqual(found(APP_KEY_FALLBACKS=[weak]), ["inbox.W002"], weak)

    def test_the_lock_holds_whatever_the_projects_own_defaults_are(self) -> None:
        view = NumberView()
        self.assertEqual([type(each).__name__ for each in view.get_authenticators()], ["AppKeyAuthentication"])
        self.assertEqual([type(each).__name__ for each in view.get_permissions()], ["IsAuthenticated"])

    def test_the_caller_can_be_throttled_and_refused_by_drfs_own_classes(self) -> None:
        cache.clear()
        self.assertEqual([self.post(to="/throttled").status_code for _ in range(2)], [200, 429])
        cache.clear()
        self.assertEqual(self.post(to="/staff").status_code, 403)
        request: Any = SimpleNamespace(user=App(), method="POST")
        view: Any = SimpleNamespace(queryset=ReceivedMessage.objects.all())
        self.assertFalse(DjangoModelPermissions().has_permission(request, view))

    def test_other_methods_are_not_allowed_with_a_key_or_without(self) -> None:
        for method in ("get", "head", "put", "patch", "delete", "options", "trace"):
            for headers in ({}, {"Authorization": TOKEN}):
                answer = getattr(self.client, method)("/one", headers=headers, secure=True)
                self.assertEqual((answer.status_code, answer.headers["Allow"]), (405, "POST"), method)


@here
class Body(Posting, TestCase):
    def assert_refused(self, answer: Any, status: int, *fields: str) -> None:
        self.assertEqual((answer.status_code, list(answer.json())), (status, list(fields)))
        self.assertEqual(ReceivedMessage.objects.count(), 0)

    def test_what_is_no_json_object_is_refused_by_name(self) -> None:
        for body in (
            b"not JSON",
            b"{",
            b'{"number": NaN}',
            b'{"number": "\xff"}',
            b"\xff\xfe",
            b"[" * 900,
            b"[]",
            b"1",
            b"null",
        ):
            self.assert_refused(self.post(body, key="message-1"), 400, "body")
        self.assertEqual(self.post(b"").status_code, 400)

    def test_what_does_not_say_that_it_is_json_is_refused_with_the_header_to_send(self) -> None:
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = self.post(b'{"number": 1}', content_type=content_type)
            self.assert_refused(answer, 400, "body")
            self.assertIn("Content-Type: application/json", str(answer.json()))

    def test_what_the_serializer_does_not_take_is_refused_by_its_field(self) -> None:
        self.assert_refused(self.post({"number": 0}, key="message-1"), 400, "number")

    def test_what_is_too_large_is_refused_and_a_body_in_chunks_is_asked_for_its_length(self) -> None:
        self.assert_refused(self.post(b'{"number": 1, "padding": "' + b"." * 1000 + b'"}'), 413, "body")
        self.assert_refused(self.post(b"", **{"Transfer-Encoding": "chunked"}), 411, "body")

    def test_it_answers_in_json_whatever_format_the_caller_names(self) -> None:
        for to, accept in (("/one?format=xml", "*/*"), ("/one", "text/html"), ("/one?format=api", "application/xml")):
            answer = self.post(to=to, accept=accept)
            self.assertEqual((answer.status_code, answer.headers["Content-Type"]), (200, "application/json"))


@here
class Once(Posting, TestCase):
    def said(self, answer: Any) -> tuple[int, str]:
        return answer.status_code, answer.json().get("message", "")

    def test_the_same_message_again_is_answered_200_and_has_no_second_effect(self) -> None:
        self.assertEqual(self.said(self.post(key="message-1")), (200, "Data processed successfully"))
        again = b' {"number" : 1 } '  # the same value, spelled otherwise
        self.assertEqual(self.said(self.post(again, key=" message-1 ")), (200, "Already processed"))
        self.assertEqual((effects(), keys(), NumberView.prepared), (1, 1, [1]))

    def test_the_same_key_with_another_body_is_422_and_swallows_nothing(self) -> None:
        self.post(key="message-1")
        answer = self.post({"number": 2}, key="message-1")
        self.assertEqual((answer.status_code, list(answer.json())), (422, ["Idempotency-Key"]))
        self.assertEqual(self.said(self.post({"number": 2}, key="message-2")), (200, "Data processed successfully"))

    def test_a_known_key_is_answered_before_the_data_are_validated_or_looked_up(self) -> None:
        self.post(key="message-1")
        with mock.patch.object(NumberView, "unknown", 1):
            self.assertEqual(self.said(self.post(key="message-1")), (200, "Already processed"))
            self.assertEqual(self.post(key="message-2").status_code, 400)

    def test_a_key_is_known_at_one_endpoint_alone_or_wherever_its_scope_is_the_same(self) -> None:
        for to in ("/one", "/two", "/named/one"):
            self.assertEqual(self.said(self.post(to=to, key="message-1"))[1], "Data processed successfully")
        self.assertEqual(self.said(self.post(to="/named/two", key="message-1"))[1], "Already processed")

    def test_without_a_key_every_request_counts(self) -> None:
        for _ in range(2):
            self.assertEqual(self.said(self.post())[1], "Data processed successfully")
        self.assertEqual((effects(), keys()), (2, 0))

    def test_a_key_that_is_no_key_is_refused_by_name(self) -> None:
        for key in ("", "   ", "k" * 101, "two words", "clé"):
            self.assertEqual(list(self.post(key=key).json()), ["Idempotency-Key"])
        self.assertEqual(ReceivedMessage.objects.count(), 0)

    def test_two_deliveries_at_one_moment_may_both_prepare_and_one_has_its_effect(self) -> None:
        second: list[Any] = []
        NumberView.meanwhile.append(lambda: second.append(self.post(key="message-1")))
        self.assertEqual(self.said(self.post(key="message-1")), (200, "Already processed"))
        self.assertEqual(self.said(second[0]), (200, "Data processed successfully"))
        self.assertEqual((effects(), keys(), NumberView.prepared), (1, 1, [1, 1]))

    def test_of_two_bodies_at_one_moment_with_one_key_the_second_is_422(self) -> None:
        NumberView.meanwhile.append(lambda: self.post({"number": 2}, key="message-1"))
        self.assertEqual(self.post(key="message-1").status_code, 422)
        self.assertEqual(effects(), 1)

    def test_work_that_fails_is_a_500_that_leaves_nothing_and_a_retry_succeeds(self) -> None:
        with mock.patch.object(NumberView, "failing", True), self.assertLogs(logger, "ERROR") as log:
            answer = self.post(key="message-1")
        self.assertEqual((answer.status_code, list(answer.json())), (500, ["detail"]))
        self.assertNotIn("disk", answer.content.decode())
        self.assertIn("the disk is full", log.output[0])  # on the server
        self.assertEqual(ReceivedMessage.objects.count(), 0)
        self.assertEqual(self.said(self.post(key="message-1")), (200, "Data processed successfully"))


@here
class Transactions(Posting, TransactionTestCase):
    def test_it_prepares_outside_of_any_transaction_also_where_a_project_wraps_its_requests_in_one(self) -> None:
        for atomic_requests in (False, True):
            with self.subTest(atomic_requests=atomic_requests):
                before = connection.settings_dict["ATOMIC_REQUESTS"]
                connection.settings_dict["ATOMIC_REQUESTS"] = atomic_requests
                try:
                    self.post(key=f"message-{atomic_requests}")
                finally:
                    connection.settings_dict["ATOMIC_REQUESTS"] = before
        self.assertEqual(NumberView.in_transaction, [False, False])

    def test_a_refusal_leaves_the_transaction_of_a_projects_test_case_as_it_was(self) -> None:
        before = connection.settings_dict["ATOMIC_REQUESTS"]
        connection.settings_dict["ATOMIC_REQUESTS"] = True
        try:
            with transaction.atomic():
                self.assertEqual(self.post(token=None).status_code, 401)
                self.assertFalse(transaction.get_rollback())
        finally:
            connection.settings_dict["ATOMIC_REQUESTS"] = before


class Purge(TestCase):
    def received(self, *, days_ago: int, count: int = 1) -> None:
        rows = ReceivedMessage.objects.bulk_create(
            ReceivedMessage(scope="/one", idempotency_key=f"{days_ago}-{number}") for number in range(count)
        )
        at = timezone.now() - timedelta(days=days_ago, minutes=1)
        ReceivedMessage.objects.filter(pk__in=[row.pk for row in rows]).update(received_at=at)

    def purge(self, **options: Any) -> str:
        said = StringIO()
        call_command("purge_inbox", stdout=said, **options)
        return said.getvalue()

    def test_it_forgets_keys_of_28_days_and_says_what_that_means(self) -> None:
        self.received(days_ago=28, count=2500)
        self.received(days_ago=27)
        said = self.purge()
        self.assertIn("2500", said)
        self.assertIn("dead letter", said)
        self.assertEqual(ReceivedMessage.objects.count(), 1)

    def test_it_keeps_14_days_whatever_it_is_told(self) -> None:
        self.received(days_ago=14)
        self.received(days_ago=13)
        for wrong, word in (({"days": 13}, "14"), ({"database": "nowhere"}, "nowhere")):
            with self.assertRaisesMessage(CommandError, word):
                self.purge(**wrong)
        self.assertEqual(ReceivedMessage.objects.count(), 2)
        self.purge(days=14)
        self.assertEqual(ReceivedMessage.objects.count(), 1)


class Admin(TestCase):
    def test_its_pages_count_no_more_than_the_newest(self) -> None:
        ReceivedMessage.objects.bulk_create(
            ReceivedMessage(scope="/one", idempotency_key=str(number)) for number in range(3)
        )
        with self.assertNumQueries(1) as queries:
            self.assertEqual(NewestPaginator(ReceivedMessage.objects.all(), 2).num_pages, 2)
        self.assertIn(f"LIMIT {NEWEST}", queries[0]["sql"])
