"""What can go wrong when sending. Each message says what was wrong and what to do; none shows the message sent."""

from typing import Any


class SqsError(Exception):
    """Something was not sent.

    `permanent` tells that trying the same message again cannot help. `messages` has what was not sent, with the ids
    that were given to it: `SqSManager.send_many(error.messages)` tries the same messages again, and not new ones.
    """

    permanent = False

    def __init__(self, *args: object):
        super().__init__(*args)
        self.messages: list[dict[str, Any]] = []


class MessageNotJSON(SqsError):
    permanent = True


class MessageIdInvalid(SqsError):
    permanent = True


class MessageTooLarge(SqsError):
    permanent = True


class MessageRefused(SqsError):
    """SQS looked at this message and does not take it."""

    permanent = True


class QueueNotConfigured(SqsError):
    """SQS_QUEUE_URL is missing, or names a queue that this app cannot send to."""


class EndpointsNotConfigured(SqsError):
    """A message names no apps, or an app without a key, and the settings do not say which."""


class QueueDoesNotExist(SqsError):
    pass


class SqsUnavailable(SqsError):
    """SQS could not be reached, refused these credentials, or did not say what became of a message.

    The message may have arrived all the same, when only SQS's answer was lost.
    """


class SomeNotSent(SqsError):
    """Some messages of several were not sent, and all others were.

    `message_ids` has the SQS message id of each message in the order given, None for one that was not sent;
    `errors` maps the position of each message that was not sent to its SqsError.
    """

    def __init__(self, message_ids: list[str | None], errors: dict[int, SqsError], messages: list[dict[str, Any]]):
        reasons = "; ".join(f"number {position}: {error}" for position, error in sorted(errors.items()))
        super().__init__(f"{len(errors)} of {len(message_ids)} messages were not sent. Counted from 0, {reasons}")
        self.message_ids = message_ids
        self.errors = errors
        self.messages = messages
