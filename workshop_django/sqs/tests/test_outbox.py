"""The outbox, its relay and its commands. Run with: manage.py test <this app>"""

from datetime import timedelta
from io import StringIO
from typing import Any

from django.contrib.admin import site
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase, override_settings
from django.utils import timezone

from .. import aws, memory, outbox
from ..admin import MOST_ROWS, OutboxMessageAdmin
from ..errors import MessageNotJSON, MessageTooLarge
from ..models import OutboxMessage
from ..outbox import enqueue, relay
from .stand_in import AtStandIn, accepted, away

NAMED = {"apps": [{"endpoint": "https://one.example/x"}, {"endpoint": "https://two.example/y", "key": "named"}]}

ALL = {"apps": [{"endpoint": "https://one.example/x", "key": "ours"}]}


def message(number: int) -> dict[str, Any]:
    return {"id": f"message-{number}", "data": {"n": number}}


def rows(**which: Any) -> Any:
    return OutboxMessage.objects.filter(**which)


def command(name: str, *arguments: Any, **options: Any) -> str:
    """What it said, complaints included."""
    said = StringIO()
    call_command(name, *arguments, stdout=said, stderr=said, **options)
    return said.getvalue()


@override_settings(SQS_BACKEND="memory", SQS_SEND_ON_COMMIT=True, SYNC_ENDPOINTS=["https://one.example/x"], APP_KEY="k")
class InAProjectsTests(TestCase):
    def setUp(self) -> None:
        memory.outbox.clear()

    def test_capture_on_commit_callbacks_fills_the_memory_backend(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            enqueue(message(1))
            self.assertEqual(memory.outbox, [])
        sent = message(1) | {"apps": [{"endpoint": "https://one.example/x", "key": "k"}]}
        self.assertEqual((memory.outbox, rows().get().state), ([sent], "sent"))

    def test_a_relay_works_in_a_test_cases_own_transaction(self) -> None:
        enqueue(message(1))
        self.assertEqual((relay().sent, len(memory.outbox)), (1, 1))

    def test_what_could_never_be_sent_is_refused_and_leaves_the_callers_transaction_as_it_was(self) -> None:
        with override_settings(SYNC_ENDPOINTS=["https://one.example/" + "x" * 1000]):
            just_too_large = {"data": "." * (1_048_576 - 1000)}  # with the apps that are filled in
            for msg, error in (
                ({"n": float("nan")}, MessageNotJSON),
                ({"text": "a\x00b"}, MessageNotJSON),
                ({"text": "\ud83d"}, MessageNotJSON),
                (just_too_large, MessageTooLarge),
            ):
                with self.assertRaises(error):
                    enqueue(msg)
        self.assertFalse(rows().exists())

    def test_what_a_row_keeps_is_the_text_that_is_sent_without_the_settings_keys(self) -> None:
        enqueue({"id": "a", "z": 1.10, "a": [1e400 - 1e400 == 0, 12345678901234567890], "at": timezone.now().date()})
        with connection.cursor() as cursor:
            cursor.execute("SELECT body FROM sqs_outboxmessage")
            (stored,) = cursor.fetchone()
        today = timezone.now().date().isoformat()
        self.assertEqual(stored, f'{{"id": "a", "z": 1.1, "a": [false, 12345678901234567890], "at": "{today}"}}')


class Leaving(AtStandIn, TransactionTestCase):
    def sent(self) -> list[dict[str, Any]]:
        return [msg for request in self.sqs.bodies for msg in request]

    def test_the_rows_of_a_transaction_leave_together_after_its_commit_in_requests_of_ten(self) -> None:
        with transaction.atomic():
            for number in range(25):
                with transaction.atomic():
                    enqueue(message(number))
            self.assertEqual(self.sqs.bodies, [])
        self.assertEqual([len(request) for request in self.sqs.bodies], [10, 10, 5])
        self.assertEqual([msg["id"] for msg in self.sent()], [message(n)["id"] for n in range(25)])
        self.assertEqual(rows(sent_at=None).count(), 0)

    def test_a_silent_sqs_is_waited_for_once_and_then_not_for_outage_pause(self) -> None:
        self.sqs.answer = self.sqs.silent
        with self.assertLogs(outbox.logger, "WARNING") as log, transaction.atomic():
            for number in range(5):
                enqueue(message(number))
        self.assertEqual((len(self.sqs.bodies), len(log.output)), (1, 1))
        limits = aws.CONNECTION
        self.assertLessEqual(limits.connect_timeout + limits.read_timeout, 4)
        self.assertIn("Read timeout", rows().latest("id").last_error)
        enqueue(message(5))
        self.assertEqual(len(self.sqs.bodies), 1)
        self.sqs.end_of_silence.set()
        self.sqs.answer = accepted
        with override_settings(OUTAGE_PAUSE=0):
            enqueue(message(6))
        self.assertEqual(len(self.sqs.bodies), 2)
        enqueue(message(7))  # the outage is over, for this process knows better now
        self.assertEqual((len(self.sqs.bodies), relay().sent), (3, 6))

    def test_all_sending_can_be_left_to_the_relay(self) -> None:
        with override_settings(SQS_SEND_ON_COMMIT=False):
            enqueue(message(1))
        self.assertEqual(self.sqs.bodies, [])
        self.assertIn("sent 1", command("relay_outbox"))

    def test_a_relay_inside_a_transaction_is_refused(self) -> None:
        with self.assertRaisesMessage(RuntimeError, "durable"), transaction.atomic():
            relay()

    def test_apps_and_keys_are_those_of_the_settings_when_it_leaves_but_those_that_the_message_names(self) -> None:
        with override_settings(SQS_SEND_ON_COMMIT=False):
            for msg in (message(1), message(2) | {"apps": []}, message(3) | NAMED):
                enqueue(msg)
        self.assertFalse(rows(body__contains="ours").exists())
        entries = ["https://one.example/x|of its own", "https://three.example/z"]
        with override_settings(SYNC_ENDPOINTS=entries, APP_KEY="rotated"):
            relay()
        own = {"endpoint": "https://one.example/x", "key": "of its own"}
        three = {"endpoint": "https://three.example/z", "key": "rotated"}
        named = {"endpoint": "https://two.example/y", "key": "named"}
        self.assertEqual([msg["apps"] for msg in self.sent()], [[own, three], [own, three], [own, named]])

    def test_without_endpoints_or_a_key_it_waits_as_a_wrong_setting_does_and_harms_no_other(self) -> None:
        with override_settings(SQS_SEND_ON_COMMIT=False):
            for msg in (message(1), message(2) | NAMED, message(3) | {"apps": NAMED["apps"][1:]}):
                enqueue(msg)
        with override_settings(SYNC_ENDPOINTS=[], APP_KEY=""):
            relayed = relay()
        self.assertEqual([msg["id"] for msg in self.sent()], ["message-3"])
        reasons = [str(error).partition(" ")[0] for error in relayed.errors.values()]
        self.assertEqual(reasons, ["SYNC_ENDPOINTS", "APP_KEY"])
        self.assertEqual(relay().sent, 2)  # the setting is there, and nothing rests

    def test_what_an_answer_leaves_out_keeps_its_place_and_is_sent_by_the_next_relay(self) -> None:
        self.sqs.answer = lambda entries: accepted(entries[1:])
        with self.assertLogs(outbox.logger, "WARNING"), transaction.atomic():
            enqueue(message(1))
            enqueue(message(2))
        (waits,) = rows(sent_at=None)
        self.assertEqual((waits.idempotency_key, waits.state), ("message-1", "waiting after a failure"))
        self.sqs.answer = accepted
        self.assertEqual(relay().sent, 1)
        self.assertEqual([msg["id"] for msg in self.sent()], ["message-1", "message-2", "message-1"])


class Commands(AtStandIn, TestCase):
    def setUp(self) -> None:
        super().setUp()
        now = timezone.now()
        hour = timedelta(hours=1)
        for number, (not_before, error) in enumerate(
            [(now - hour, ""), (now + hour, "too large"), (now + hour, "")]  # waits; rests; is claimed by another
        ):
            OutboxMessage.objects.create(body=message(number), not_before=not_before, last_error=error)
        rows().update(created_at=now - hour)

    def test_status_tells_what_waits_how_long_and_why_and_fails_past_an_age(self) -> None:
        said = command("relay_outbox", "--status")
        for word in ("waiting 3", "3600 s", "resting 1", "too large"):
            self.assertIn(word, said)
        command("relay_outbox", "--status", "--older-than", "4000")
        with self.assertRaisesMessage(CommandError, "3600 s"):
            command("relay_outbox", "--status", "--older-than", "3000")
        self.assertEqual(self.sqs.bodies, [])
        rows().delete()
        self.assertIn("waiting 0", command("relay_outbox", "--status", "--older-than", "0"))

    def test_now_tries_what_rests_and_nothing_that_is_claimed(self) -> None:
        self.assertIn("2 rests after a failure, or is being sent by another", command("relay_outbox"))
        self.assertIn("sent 1", command("relay_outbox", "--now"))
        self.assertEqual(self.sqs.bodies, [[message(0) | ALL], [message(1) | ALL]])

    def test_a_run_that_could_not_send_fails_and_says_why_once_for_all_rows(self) -> None:
        rows().update(not_before=timezone.now())
        self.sqs.answer = away
        said = StringIO()
        with self.assertRaisesMessage(CommandError, "3 could not be sent"):
            call_command("relay_outbox", stdout=said, stderr=said)
        self.assertEqual(said.getvalue().count("not sent: "), 1)
        self.assertIn("and 2 more", said.getvalue())

    def test_what_cannot_be_is_refused_in_a_sentence(self) -> None:
        for arguments, word in (
            (["relay_outbox", "--interval", "0", "--watch"], "--interval"),
            (["relay_outbox", "--older-than", "5"], "--status"),
            (["relay_outbox", "--database", "nowhere"], "nowhere"),
            (["purge_outbox", "--database", "nowhere"], "nowhere"),
            (["purge_outbox", "--days", "-1"], "--days"),
        ):
            with self.assertRaisesMessage(CommandError, word):
                command(*arguments)

    def test_purge_deletes_what_was_sent_long_ago_and_never_what_waits(self) -> None:
        at = timezone.now()
        OutboxMessage.objects.bulk_create(
            OutboxMessage(body=message(number), not_before=None, sent_at=at - timedelta(days=days, minutes=1))
            for number, days in enumerate([28] * 1500 + [27] * 2, start=10)
        )
        rows(sent_at=None).update(created_at=at - timedelta(days=400))
        self.assertIn("deleted 1500", command("purge_outbox"))
        self.assertEqual((rows(sent_at=None).count(), rows().count()), (3, 5))
        self.assertIn("deleted 2", command("purge_outbox", "--days", "0"))

    def test_the_admins_pages_count_no_more_than_the_newest_and_show_no_body(self) -> None:
        admin = OutboxMessageAdmin(OutboxMessage, site)
        with self.assertNumQueries(1) as queries:
            self.assertEqual(admin.paginator(rows().order_by("id"), 2).num_pages, 2)
        self.assertIn(f"LIMIT {MOST_ROWS}", queries[0]["sql"])
        self.assertIn("body", admin.exclude or [])
