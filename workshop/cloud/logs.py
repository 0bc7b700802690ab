"""What a function logged, read from CloudWatch Logs, on AWS or on this machine.

for line in follow(account, "/aws/lambda/func_sqs_sync", since=time.time()): ...
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from .aws_account import Account, explained


@dataclass(frozen=True)
class LogLine:
    time: datetime
    stream: str
    message: str

    def __str__(self) -> str:
        """As `aws logs tail --format short` shows it."""
        return f"{self.time:%Y-%m-%dT%H:%M:%S} {self.message.rstrip()}"


def has_group(account: Account, group: str) -> bool:
    """Whether the account has that log group. Raises AwsError."""
    with explained():
        found = account.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    return any(entry["logGroupName"] == group for entry in found)


def read_logs(account: Account, group: str, *, since: float) -> list[LogLine]:
    """The lines of a log group since `since` (seconds since the epoch), oldest first.

    A group that does not exist yet has none. Raises AwsError.
    """
    return [line for _, line in _events(account.client("logs"), group, since)]


def follow(account: Account, group: str, *, since: float, poll_interval: float = 1) -> Iterator[LogLine]:
    """The lines since `since` and then each new one, for ever; looks again every `poll_interval` seconds."""
    client = account.client("logs")
    seen: set[str] = set()
    while True:
        newest = since
        for event_id, line in _events(client, group, since):
            newest = max(newest, line.time.timestamp())
            if event_id not in seen:
                seen.add(event_id)
                yield line
        if newest > since:  # lines of the newest moment may still be arriving: those are read again
            since = newest
        time.sleep(poll_interval)


def _events(client, group: str, since: float) -> Iterator[tuple[str, LogLine]]:
    with explained():
        try:
            pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=int(since * 1000))
            for page in pages:
                for event in page["events"]:
                    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                    yield event["eventId"], LogLine(moment, event["logStreamName"], event["message"])
        except client.exceptions.ResourceNotFoundException:
            return
