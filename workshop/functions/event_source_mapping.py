"""The local stand-in for AWS's event source mapping: it takes messages from a queue and gives them to a handler.

    mapping = EventSourceMapping(queue_url, lambda_handler)
    mapping.run_until_empty()               # until nothing waits, is in flight, or is delayed
    with EventSourceMapping(queue_url, lambda_handler):
        ...                                 # it polls in the background

Its rules are AWS's: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html. What succeeded is
deleted; what failed stays, and reappears after the queue's visibility timeout. It talks to the server that boto3
finds, so any SQS server will do.
"""

import base64
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from workshop.foreseen import Foreseen
from workshop.names import REGION

from .invocation import Invocation

MAX_BATCH_SIZE = 10_000  # messages, AWS's maximum for a Standard queue
MAX_FIFO_BATCH_SIZE = 10  # messages, AWS's maximum for a FIFO queue
MAX_PAYLOAD = 6 * 1024 * 1024  # bytes of an event, the quota of a synchronous invocation
RECEIVE_LIMIT = 10  # messages in one ReceiveMessage or DeleteMessageBatch request, SQS's maximum
POLL_SECONDS = 1  # of long polling in one request: as long as stop() may have to wait
LOOK_SECONDS = 0.05  # between two requests of run_until_empty() while nothing can be received
FUNCTION_TIMEOUT = 30  # seconds, unless another one is chosen or the queue's visibility timeout is shorter
LONGEST_FUNCTION_TIMEOUT = 900  # seconds, AWS's maximum
LONGEST_PAUSE = 10  # seconds between two tries while SQS does not answer

logger = logging.getLogger(__name__)


class EventSourceMapping:
    """Delivers a queue's messages to `handler`, in batches.

    `handler` is a function (event, context), or an object with `invoke(event, timeout) -> Invocation`.
    `batch_size` in messages; `maximum_batching_window` and `function_timeout` in seconds, the latter 30 or the
    queue's visibility timeout where that is shorter; `maximum_concurrency` handlers run at once.
    `report_batch_item_failures` is AWS's ReportBatchItemFailures.
    `observer(what, detail)` is called when a batch was "received", "handled" and "deleted", with the message ids.

    Counts: `invocations` of the handler; messages `delivered`, that is deleted after success; and deliveries that
    `failed`, so a message that fails three times counts three times.

    Raises ValueError for what AWS would refuse, too, and TypeError for a setting of a wrong type.
    """

    def __init__(
        self,
        queue_url: str,
        handler,
        *,
        batch_size: int = 10,
        maximum_batching_window: float = 0,
        report_batch_item_failures: bool = True,
        function_timeout: float | None = None,
        maximum_concurrency: int = 1,
        observer: Callable[[str, dict], None] | None = None,
    ):
        _check_type("queue_url", queue_url, str)
        _check_type("batch_size", batch_size, int)
        _check_type("maximum_batching_window", maximum_batching_window, int, float)
        _check_type("report_batch_item_failures", report_batch_item_failures, bool)
        _check_type("function_timeout", function_timeout, int, float, type(None))
        _check_type("maximum_concurrency", maximum_concurrency, int)
        if not callable(handler) and not hasattr(handler, "invoke"):
            raise TypeError(f"handler must be a function (event, context), not {handler!r}.")
        if observer is not None and not callable(observer):
            raise TypeError(f"observer must be a function (what, detail), not {observer!r}.")
        most = MAX_FIFO_BATCH_SIZE if queue_url.endswith(".fifo") else MAX_BATCH_SIZE
        if not 1 <= batch_size <= most:
            raise ValueError(f"batch_size is {batch_size}; AWS takes 1 to {most:,} for this kind of queue.")
        if not 0 <= maximum_batching_window <= 300:
            raise ValueError(f"maximum_batching_window is {maximum_batching_window}; AWS takes 0 to 300 seconds.")
        if batch_size > RECEIVE_LIMIT and maximum_batching_window < 1:
            raise ValueError("A batch_size over 10 needs a maximum_batching_window of at least 1 second, as on AWS.")
        if maximum_batching_window and most == MAX_FIFO_BATCH_SIZE:
            raise ValueError("A FIFO queue takes no maximum_batching_window: AWS has none for it.")
        if maximum_concurrency < 1:
            raise ValueError(f"maximum_concurrency is {maximum_concurrency}; it must be at least 1.")
        if function_timeout is not None and not 0 < function_timeout <= LONGEST_FUNCTION_TIMEOUT:
            raise ValueError(f"function_timeout is {function_timeout}; AWS takes more than 0 and up to 900 seconds.")
        self.queue_url = queue_url
        self.handler = handler
        self.batch_size = batch_size
        self.maximum_batching_window = maximum_batching_window
        self.report_batch_item_failures = report_batch_item_failures
        self.maximum_concurrency = maximum_concurrency
        self.observer = observer or (lambda what, detail: None)
        self.invocations = 0
        self.delivered = 0
        self.failed = 0
        self._region = _region(queue_url)
        self._sqs = boto3.client(
            "sqs",
            region_name=self._region,
            config=Config(retries={"total_max_attempts": 2}, max_pool_connections=maximum_concurrency + 1),
        )
        self._arn: str | None = None
        self.function_timeout = function_timeout
        self._timeout_was_chosen = function_timeout is not None
        if self._timeout_was_chosen:
            self._ask_queue()
        self._counting = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    # In the foreground

    def poll_once(self) -> int:
        """Receive a batch, up to a second long polling, and handle it. Returns how many messages were received.

        Raises botocore's exceptions when SQS cannot be reached or the queue does not exist.
        """
        return self._poll_for(POLL_SECONDS)

    def _poll_for(self, seconds: int) -> int:
        records = [self._record(message) for message in self._receive(seconds)]
        blocked_groups: set[str] = set()
        for batch in self._split(records):
            blocked_groups |= self._handle([record for record in batch if _group(record) not in blocked_groups])
        return len(records)

    def run_until_empty(self, timeout: float = 60) -> None:
        """Handle batches until the queue holds nothing: nothing waiting, in flight or delayed.

        Messages that fail are tried again, until they succeed or SQS moves them to the dead-letter queue. Raises
        TimeoutError after `timeout` seconds, saying what is left.
        """
        deadline = time.monotonic() + timeout
        ended = threading.Event()

        def handle_batches() -> None:
            try:
                while not ended.is_set():
                    # Without long polling: some servers notice only at its end that a hidden message is back.
                    received = self._poll_for(0)
                    if received and time.monotonic() < deadline:
                        continue
                    if not any(left := self._left()):
                        return
                    if time.monotonic() > deadline:
                        raise TimeoutError(
                            f"After {timeout:g} s the queue still holds {left[0]} waiting, {left[1]} in flight and "
                            f"{left[2]} delayed. A message that fails comes back after the visibility timeout; "
                            "without a redrive policy it does so for ever."
                        )
                    ended.wait(LOOK_SECONDS)
            finally:
                ended.set()

        with ThreadPoolExecutor(self.maximum_concurrency) as pollers:
            try:
                for poller in [pollers.submit(handle_batches) for _ in range(self.maximum_concurrency)]:
                    poller.result()
            finally:
                ended.set()

    def _left(self) -> list[int]:
        """Messages waiting, in flight and delayed. One that moves between two of these counts may be in neither, so
        it takes two looks to call a queue empty.
        """
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        for _ in range(2):
            answer = self._sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
            left = [int(answer["Attributes"].get(name, 0)) for name in names]
            if any(left):
                break
        return left

    # In the background

    def start(self) -> "EventSourceMapping":
        """Poll in the background, `maximum_concurrency` batches at once, until stop()."""
        if self._threads:
            raise RuntimeError("This mapping is running already. Call stop() first.")
        self._threads = [
            threading.Thread(target=self._poll, name=f"event-source-mapping-{number}", daemon=True)
            for number in range(self.maximum_concurrency)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Finish the batches in hand, then stop. Safe to call again."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._stopping.clear()

    def __enter__(self) -> "EventSourceMapping":
        return self.start()

    def __exit__(self, *exception) -> None:
        self.stop()

    def _poll(self) -> None:
        pause = 0.5
        while not self._stopping.is_set():
            try:
                self.poll_once()
                pause = 0.5
            except Foreseen as over:  # the lab is closed
                logger.warning("Polling %s has ended: %s", self.queue_url, over)
                return
            except (BotoCoreError, ClientError) as error:
                logger.warning("Polling %s failed, next try in %g s: %s", self.queue_url, pause, error)
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    # One batch, from the queue to its end

    def _receive(self, seconds: int) -> list[dict]:
        """Messages for a batch, the first within `seconds`: what is there, or what comes within a batching window."""
        messages: list[dict] = []
        window_ends = None
        while len(messages) < self.batch_size and not (messages and self._stopping.is_set()):
            wait = seconds
            if window_ends is not None:
                if (remaining := window_ends - time.monotonic()) <= 0:
                    break
                wait = min(POLL_SECONDS, int(remaining))
            answer = self._sqs.receive_message(
                QueueUrl=self.queue_url,
                MaxNumberOfMessages=min(RECEIVE_LIMIT, self.batch_size - len(messages)),
                WaitTimeSeconds=wait,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            messages += answer.get("Messages", [])
            if not messages or not self.maximum_batching_window:
                break
            if window_ends is None:
                window_ends = time.monotonic() + self.maximum_batching_window
        return messages

    def _split(self, records: list[dict]) -> Iterator[list[dict]]:
        """Cut what was received into batches whose event is not larger than an invocation takes."""
        batch, size = [], 0
        for record in records:
            bytes_of_record = len(json.dumps(record))
            if batch and size + bytes_of_record > MAX_PAYLOAD:
                yield batch
                batch, size = [], 0
            batch.append(record)
            size += bytes_of_record + 2  # the comma and the blank between two records
        if batch:
            yield batch

    def _handle(self, batch: list[dict]) -> set[str]:
        """Invoke the handler, delete what succeeded, and return the FIFO groups in which something failed."""
        if not batch:
            return set()
        ids = [record["messageId"] for record in batch]
        self.observer("received", {"ids": ids})
        invocation = Invocation.of(self.handler, {"Records": batch}, self.function_timeout)
        failed = self._failed(invocation, ids)
        self.observer("handled", {"ids": ids, "failed": sorted(failed), "invocation": invocation})
        done = [record for record in batch if record["messageId"] not in failed]
        with self._counting:
            self.invocations += 1
            self.failed += len(batch) - len(done)
        self._delete(done)
        with self._counting:
            self.delivered += len(done)
        self.observer("deleted", {"ids": [record["messageId"] for record in done]})
        return {_group(record) for record in batch if record["messageId"] in failed} - {None}

    def _failed(self, invocation: Invocation, ids: list[str]) -> set[str]:
        """The ids of the messages that must stay in the queue, by Lambda's rules."""
        if invocation.error:
            return set(ids)
        if not self.report_batch_item_failures or not invocation.result:
            return set()
        try:
            items = invocation.result.get("batchItemFailures") or []
            failed = {item["itemIdentifier"] for item in items}
            if not failed <= set(ids):
                raise ValueError(f"{sorted(map(str, failed - set(ids)))} is not in this batch")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            logger.warning(
                "The whole batch failed, because its batchItemFailures cannot be read (%s: %s). Lambda expects "
                '{"batchItemFailures": [{"itemIdentifier": "<messageId of a record>"}]}.',
                type(error).__name__,
                error,
            )
            return set(ids)
        return failed

    def _delete(self, records: list[dict]) -> None:
        for start in range(0, len(records), RECEIVE_LIMIT):
            entries = [
                {"Id": str(number), "ReceiptHandle": record["receiptHandle"]}
                for number, record in enumerate(records[start : start + RECEIVE_LIMIT])
            ]
            answer = self._sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=entries)
            for entry in answer.get("Failed", []):
                logger.warning("A handled message was not deleted and will come again: %s", entry.get("Message"))

    def _record(self, message: dict) -> dict:
        """A received message as Lambda's event shows it."""
        if self._arn is None:
            self._ask_queue()
        record = {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": {
                name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._arn,
            "awsRegion": self._region,
        }
        if "MD5OfMessageAttributes" in message:
            record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
        return record

    def _ask_queue(self) -> None:
        """Learn the queue's ARN, and how long the function may take. Raises ValueError where AWS would."""
        names = ["QueueArn", "VisibilityTimeout"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)["Attributes"]
        visibility_timeout = int(attributes["VisibilityTimeout"])
        if not self._timeout_was_chosen:  # several pollers may ask at once
            self.function_timeout = min(FUNCTION_TIMEOUT, max(1, visibility_timeout))
        elif self.function_timeout > visibility_timeout:
            raise ValueError(
                f"function_timeout is {self.function_timeout:g} s, and the queue's visibility timeout "
                f"{visibility_timeout} s. AWS refuses that: a message would come back while it is still worked on."
            )
        self._arn = attributes["QueueArn"]


def _check_type(name: str, value: object, *types: type) -> None:
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        wanted = " or ".join(type.__name__ for type in types).replace("NoneType", "None")
        raise TypeError(f"{name} must be {wanted}, and is {value!r}.")


def _attribute(value: dict) -> dict:
    """A message attribute with Lambda's names; bytes as Base64 text."""
    attribute = {"dataType": value["DataType"], "stringListValues": [], "binaryListValues": []}
    if "StringValue" in value:
        attribute["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        attribute["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return attribute


def _group(record: dict) -> str | None:
    return record["attributes"].get("MessageGroupId")


def _region(queue_url: str) -> str:
    """The region in an AWS queue URL; for any other server boto3's own, or the workshop's."""
    host = (urlsplit(queue_url).hostname or "").split(".")
    if len(host) > 2 and host[0] == "sqs" and "amazonaws" in host:
        return host[1]
    return boto3.session.Session().region_name or REGION
