"""CloudWatch Logs for a function that runs on this machine: written as Lambda writes them.

    with FunctionLogs():                     # what every invocation logs goes to /aws/lambda/func_sqs_sync
        EventSourceMapping(queue_url, handler).run_until_empty()

`aws logs tail /aws/lambda/func_sqs_sync --follow` and `python3 -m workshop logs --follow` show them.
"""

import contextlib
import queue
import secrets
import threading
import time
from datetime import UTC, datetime

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

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

    The function never waits for it and never fails because of it: lines that cannot be sent are dropped.
    close() sends what is waiting.
    """

    def __init__(self, function_name: str = FUNCTION_NAME, *, endpoint_url: str | None = None):
        self.group = f"/aws/lambda/{function_name}"
        self.stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{secrets.token_hex(16)}"
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
        with contextlib.suppress(queue.Full):
            for line in finished.log:
                self._waiting.put_nowait((now, line[:EVENT_LIMIT] or " "))

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
        with contextlib.suppress(BotoCoreError, ClientError):
            try:
                self._put(events)
            except self._logs.exceptions.ResourceNotFoundException:
                self._create_stream()
                self._put(events)

    def _put(self, events: list[dict[str, object]]) -> None:
        self._logs.put_log_events(logGroupName=self.group, logStreamName=self.stream, logEvents=events)

    def _create_stream(self) -> None:
        for create in (
            lambda: self._logs.create_log_group(logGroupName=self.group),
            lambda: self._logs.create_log_stream(logGroupName=self.group, logStreamName=self.stream),
        ):
            with contextlib.suppress(self._logs.exceptions.ResourceAlreadyExistsException):
                create()


def _size(event: tuple[int, str]) -> int:
    return len(event[1].encode()) + EVENT_OVERHEAD
