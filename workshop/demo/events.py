"""What a part of the pipeline did, and the names that people see for the parts."""

from dataclasses import dataclass

SENDER = "Django sender"
QUEUE = "Amazon SQS"
FUNCTION = "AWS Lambda"
RECEIVER = "Django receiver"


@dataclass(frozen=True)
class Event:
    """`at` in seconds since the epoch; `bad` marks a failure."""

    at: float
    where: str
    what: str
    bad: bool = False
