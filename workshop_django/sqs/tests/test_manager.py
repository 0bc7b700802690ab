"""SqSManager: what it refuses, what it asks SQS, what it makes of the answer. Run with: manage.py test <this app>"""

import json
import uuid
from typing import Any

from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase, override_settings

from .. import memory
from ..errors import (
    MessageIdInvalid,
    MessageNotJSON,
    MessageTooLarge,
    QueueNotConfigured,
    SomeNotSent,
    SqsError,
    SqsUnavailable,
)
from ..manager import SqSManager
from .stand_in import AtStandIn, accepted, away

MiB = 1_048_576
HTML = (200, {"Content-Type": "text/html"}, b"<html>Please log in to the hotel's network</html>")


def message(number: int, padding: int = 0) -> dict[str, Any]:
    return {"id": f"message-{number}", "data": {"n": number, "x": "." * padding}}


class Sending(AtStandIn, SimpleTestCase):
    def not_sent(self, msgs: list[Any]) -> SomeNotSent:
        with self.assertRaises(SomeNotSent) as caught:
            SqSManager.send_many(msgs)
        return caught.exception

    def test_a_message_without_an_id_is_given_one_and_the_callers_dict_none(self) -> None:
        msg: dict[str, Any] = {"data": {}}
        SqSManager.send_many([msg, msg])
        SqSManager.send(msg)
        self.assertEqual(msg, {"data": {}})
        self.assertEqual(len({uuid.UUID(sent["id"]) for request in self.sqs.bodies for sent in request}), 3)

    def test_what_no_receiver_could_read_is_refused_before_anything_is_asked(self) -> None:
        contains_itself: dict[str, Any] = {}
        contains_itself["msg"] = contains_itself
        for own in (None, 7, "", "two words", "é", "x" * 101, "line\n"):
            with self.assertRaisesMessage(MessageIdInvalid, "1 to 100 characters"):
                SqSManager.send({"id": own, "data": {}})
        for msg in (
            {"n": float("nan")},
            {"n": float("inf")},
            {"n": object()},
            {("a", "b"): 1},
            {"text": "a\x00b"},
            {"text": ["\\\x00"]},
            {"text": "half a rocket \ud83d"},
            contains_itself,
            ["a list"],
            '{"already": "text"}',
            None,
        ):
            with self.assertRaises(MessageNotJSON):
                SqSManager.send(msg)  # type: ignore[arg-type]
        exactly = message(1)
        exactly["data"]["x"] = "." * (MiB - len(json.dumps(exactly)))
        SqSManager.send(exactly)
        exactly["data"]["x"] += "."
        with self.assertRaisesRegex(MessageTooLarge, "1,048,577 bytes.*1,048,576.*S3"):
            SqSManager.send(exactly)
        self.assertEqual(len(self.sqs.bodies), 1)

    def test_many_are_asked_for_in_requests_of_ten_and_of_fewer_where_they_are_large_together(self) -> None:
        self.assertEqual(SqSManager.send_many([]), [])
        self.assertEqual(len(SqSManager.send_many(message(n) for n in range(25))), 25)
        self.assertEqual([len(request) for request in self.sqs.bodies], [10, 10, 5])
        self.sqs.bodies.clear()
        SqSManager.send_many([message(n, 400_000) for n in range(5)])
        self.assertEqual([len(request) for request in self.sqs.bodies], [2, 2, 1])

    def test_bad_messages_are_named_by_position_and_all_others_are_sent(self) -> None:
        msgs = [message(n) for n in range(12)]
        msgs[3] = {"n": float("nan")}
        msgs[11] = message(11, 2 * MiB)
        error = self.not_sent(msgs)
        self.assertRegex(str(error), "2 of 12.*number 3: .*number 11: ")
        self.assertEqual([type(error.errors[n]) for n in (3, 11)], [MessageNotJSON, MessageTooLarge])
        self.assertEqual([n for n, message_id in enumerate(error.message_ids) if message_id is None], [3, 11])
        self.assertEqual([len(request) for request in self.sqs.bodies], [10])

    def test_an_entry_that_sqs_refuses_is_named_with_the_reason_that_sqs_gave(self) -> None:
        self.sqs.answer = lambda entries: {
            "Successful": [{"Id": "0", "MessageId": "id-0"}],
            "Failed": [
                {"Id": "1", "Code": "InvalidMessageContents", "Message": "bad characters", "SenderFault": True},
                {"Id": "2", "Code": "InternalError", "SenderFault": False},
            ],
        }
        error = self.not_sent([message(n) for n in range(3)])
        self.assertEqual(error.message_ids, ["id-0", None, None])
        self.assertIn("bad characters", str(error.errors[1]))
        self.assertEqual([error.errors[n].permanent for n in (1, 2)], [True, False])

    def test_an_answer_that_does_not_account_for_a_message_is_an_error_that_carries_it(self) -> None:
        nobody: dict[str, Any] = {"Successful": [], "Failed": []}
        for answer in (HTML, {}, nobody, {"Successful": [{"Id": "0"}]}, {"Successful": [{"Id": "9"}]}):
            with self.subTest(answer=answer):
                self.sqs.answer = lambda entries, answer=answer: answer  # type: ignore[misc]
                several = self.not_sent([{"data": 1}, {"data": 2}])
                self.assertEqual([type(each) for each in several.errors.values()], [SqsUnavailable, SqsUnavailable])
                with self.assertRaises(SqsUnavailable) as one:
                    SqSManager.send({"data": 3})
                self.assertFalse(one.exception.permanent)
                # The second try is of the same messages, with the ids that they were given.
                again = several.messages + one.exception.messages
                self.sqs.answer = accepted
                SqSManager.send_many(again)
                self.assertEqual(self.sqs.bodies[-1], again)
                self.assertEqual(len({uuid.UUID(msg["id"]) for msg in again}), 3)

    def test_an_answer_that_leaves_entries_out_names_those_and_no_other(self) -> None:
        self.sqs.answer = lambda entries: accepted(entries[1:])
        error = self.not_sent([message(n) for n in range(3)])
        self.assertEqual(error.message_ids, [None, "sqs-1", "sqs-2"])
        self.assertEqual(error.messages, [message(0)])

    def test_an_outage_in_the_middle_keeps_the_ids_of_what_was_sent_and_is_met_once(self) -> None:
        self.sqs.answer = lambda entries: away(entries) if len(self.sqs.bodies) > 1 else accepted(entries)
        error = self.not_sent([message(n) for n in range(40)])
        self.assertEqual([n for n, message_id in enumerate(error.message_ids) if message_id], list(range(10)))
        self.assertEqual((sorted(error.errors), len(error.messages)), (list(range(10, 40)), 30))
        self.assertEqual(len(self.sqs.bodies), 2)

    def test_a_wrong_clock_is_named_with_both_times(self) -> None:
        reason = b'{"__type": "InvalidSignatureException", "message": "Signature expired: 2026 is now earlier"}'
        self.sqs.answer = lambda entries: (403, {"Date": "Thu, 01 Jan 2026 00:20:00 GMT"}, reason)
        with self.assertRaisesRegex(SqsUnavailable, "clock is wrong.*00:20:00 GMT"):
            SqSManager.send(message(1))

    def test_temporary_credentials_are_sent_with_their_token(self) -> None:
        with override_settings(AWS_ACCESS_KEY_ID="ASIAEXAMPLE", AWS_SESSION_TOKEN="the-token"):
            SqSManager.send(message(1))
        self.assertEqual(self.sqs.headers[0]["X-Amz-Security-Token"], "the-token")


class WrongSettings(SimpleTestCase):
    def refused(self, error: type[Exception], word: str, check: str | None = None, **settings: Any) -> None:
        with override_settings(**settings):
            with self.assertRaisesMessage(error, word):
                SqSManager.send(message(1))
            if check:
                self.assertIn(check, [found.id for found in run_checks()])

    def test_they_are_named_by_the_first_send_and_by_manage_py_check(self) -> None:
        aws = {"SQS_BACKEND": "aws", "AWS_REGION_NAME": "us-east-1"}
        self.refused(QueueNotConfigured, "SQS_QUEUE_URL is not set", SQS_QUEUE_URL="", **aws)
        fifo = "https://sqs.us-east-1.amazonaws.com/123456789012/orders.fifo"
        self.refused(QueueNotConfigured, "FIFO", "sqs.E003", SQS_QUEUE_URL=fifo, **aws)
        self.refused(ImproperlyConfigured, "'memory'", "sqs.E002", SQS_BACKEND="memmory")
        for half in ({"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": ""}, {"AWS_ACCESS_KEY_ID": ""}):
            with override_settings(**{"AWS_SECRET_ACCESS_KEY": "secret", **half}):
                self.assertIn("sqs.E004", [found.id for found in run_checks()])

    def test_a_malformed_endpoint_is_named_and_its_key_is_not(self) -> None:
        for entry in ("one.example/api", "ftp://one.example/", "https://", "http://[bad", "https://a:port/", ""):
            with override_settings(SYNC_ENDPOINTS=["https://fine.example/x|key", f"{entry}|a-secret"]):
                (found,) = [found for found in run_checks() if found.id == "sqs.E001"]
            self.assertIn("SYNC_ENDPOINTS", found.msg)
            self.assertNotIn("a-secret", str(found))


@override_settings(SQS_BACKEND="memory")
class Memory(SimpleTestCase):
    def test_nothing_is_sent_and_what_would_have_been_is_there_to_look_at(self) -> None:
        memory.outbox.clear()
        self.assertTrue(SqSManager.send(message(1)))
        self.assertEqual(len(SqSManager.send_many([message(2), message(3)])), 2)
        self.assertEqual(memory.outbox, [message(1), message(2), message(3)])
        self.assertEqual(SqSManager.counts().waiting, 3)
        with self.assertRaises(SqsError):
            SqSManager.send({"n": float("nan")})  # refused here as there
