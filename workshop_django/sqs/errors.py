"""What can go wrong when sending. Each message says what was wrong and what to do; none holds the message sent."""


class SqsError(Exception):
    """A message was not sent. `permanent` tells that trying the same message again cannot help."""

    permanent = False


class MessageNotJSON(SqsError):
    permanent = True


class MessageTooLarge(SqsError):
    permanent = True


class QueueNotConfigured(SqsError):
    pass


class QueueDoesNotExist(SqsError):
    pass


class SqsUnavailable(SqsError):
    """SQS could not be reached, refused these credentials, or answered with an error of its own."""


class SomeNotSent(SqsError):
    """Some messages of several were not sent, and all others were.

    `message_ids` has the SQS message id of each message in the order given, None for one that was not sent;
    `errors` maps the position of each message that was not sent to its SqsError.
    """

    def __init__(self, message_ids: list[str | None], errors: dict[int, SqsError]):
        self.message_ids = message_ids
        self.errors = errors
        reasons = "; ".join(f"number {position}: {error}" for position, error in sorted(errors.items()))
        super().__init__(f"{len(errors)} of {len(message_ids)} messages were not sent. Counted from 0, {reasons}")
