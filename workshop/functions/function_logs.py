"""CloudWatch Logs for a function that runs on this machine: written as Lambda writes them, and followed.

    with FunctionLogs():                     # what every invocation logs goes to /aws/lambda/func_sqs_sync
        EventSourceMapping(queue_url, handler).run_until_empty()

    for line in follow(account, "/aws/lambda/func_sqs_sync"): ...

`aws logs tail /aws/lambda/func_sqs_sync --follow` and `python3 -m workshop logs --follow` show them.
"""

import queue
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from workshop.cloud.aws_account import Account, explained
from workshop.names import FUNCTION_NAME

from . import invocation

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
BATCH_EVENTS = 1_000  # log events in one call; AWS takes 10,000
EVENT_LIMIT = 60_000  # characters of one line: under the limit of 256 KiB, whatever the characters
BATCH_BYTES = 750_000  # bytes gathered before a call; one more line still fits into the 1 MiB
EVENT_OVERHEAD = 26  # bytes that AWS counts for each event
WAITING_EVENTS = 100_000  # lines kept while CloudWatch Logs does not answer; later ones are dropped


class FunctionLogs:
    """Sends the log lines of every invocation to CloudWatch Logs, from a thread of its own.

    The function never waits for it and never fails because of it: lines that cannot be sent are dropped,
    `dropped` counts them. close() sends what is waiting.
    """

    def __init__(self, function_name: str = FUNCTION_NAME, *, endpoint_url: str | None = None):
        self.group = f"/aws/lambda/{function_name}"
        self.stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{secrets.token_hex(16)}"
        self.dropped = 0
        self._logs = boto3.client(
            "logs",
            endpoint_url=endpoint_url,
            config=Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 1}),
        )
        self._waiting: queue.Queue[tuple[int, str] | None] = queue.Queue(WAITING_EVENTS)
        self._thread = threading.Thread(target=self._send_all, name="function-logs", daemon=True)
        self._thread.start()
        self._unsubscribe = invocation.subscribe(self._take)

    def __enter__(self) -> "FunctionLogs":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and wait until what was logged is sent. Safe to call again."""
        if self._thread.is_alive():
            self._unsubscribe()
            self._waiting.put(None)
            self._thread.join()
            self._logs.close()

    def _take(self, finished: "invocation.Invocation") -> None:
        now = time.time_ns() // 1_000_000
        for line in finished.log:
            try:
                self._waiting.put_nowait((now, line[:EVENT_LIMIT] or " "))
            except queue.Full:
                self.dropped += 1

    def _send_all(self) -> None:
        while (event := self._waiting.get()) is not None:
            batch, size = [event], _size(event)
            closing = False
            while len(batch) < BATCH_EVENTS and size < BATCH_BYTES:
                try:
                    event = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if event is None:
                    closing = True
                    break
                batch.append(event)
                size += _size(event)
            self._send(batch)
            if closing:
                return

    def _send(self, batch: list[tuple[int, str]]) -> None:
        events = [{"timestamp": timestamp, "message": message} for timestamp, message in batch]
        try:
            try:
                self._put(events)
            except self._logs.exceptions.ResourceNotFoundException:
                self._create_stream()
                self._put(events)
        except (BotoCoreError, ClientError):
            self.dropped += len(batch)

    def _put(self, events: list[dict[str, object]]) -> None:
        self._logs.put_log_events(logGroupName=self.group, logStreamName=self.stream, logEvents=events)

    def _create_stream(self) -> None:
        for create in (
            lambda: self._logs.create_log_group(logGroupName=self.group),
            lambda: self._logs.create_log_stream(logGroupName=self.group, logStreamName=self.stream),
        ):
            try:
                create()
            except self._logs.exceptions.ResourceAlreadyExistsException:
                pass


def _size(event: tuple[int, str]) -> int:
    return len(event[1].encode()) + EVENT_OVERHEAD


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


def read(account: Account, group: str, *, since: float) -> list[LogLine]:
    """The lines of a log group since `since` (seconds since the epoch), oldest first.

    A group that does not exist yet has none. Raises AwsError.
    """
    return [line for _, line in _read(account.client("logs"), group, since)]


def follow(account: Account, group: str, *, since: float, poll_interval: float = 1) -> Iterator[LogLine]:
    """The lines since `since` and then each new one, for ever; looks again every `poll_interval` seconds."""
    client = account.client("logs")
    seen: set[str] = set()
    while True:
        newest = since
        for event_id, line in _read(client, group, since):
            newest = max(newest, line.time.timestamp())
            if event_id not in seen:
                seen.add(event_id)
                yield line
        if newest > since:  # lines of the newest moment may still be arriving: those are read again
            since = newest
        time.sleep(poll_interval)


def _read(client, group: str, since: float) -> Iterator[tuple[str, LogLine]]:
    with explained():
        try:
            pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=int(since * 1000))
            for page in pages:
                for event in page["events"]:
                    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                    yield event["eventId"], LogLine(moment, event["logStreamName"], event["message"])
        except client.exceptions.ResourceNotFoundException:
            return
