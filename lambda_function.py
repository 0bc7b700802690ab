"""func_sqs_sync: take messages from Amazon SQS and post each to the apps that it names.

A message's body is JSON: {"id": "...", "apps": [{"endpoint": "https://...", "key": "..."}, ...], "data": {...}}. Every
app gets `data` by POST, with `Authorization: Token <key>` and `Idempotency-Key: <id>`. SQS's own message id stands
in for an absent `id`, but each sending and each redrive has a new one.

The event source mapping must have ReportBatchItemFailures: a message that did not reach all of its apps is
reported, comes back after the visibility timeout, and in the end goes to the dead-letter queue.
SQS delivers at least once, so an app may see a message again, and knows it by its Idempotency-Key.

Environment: ENDPOINT_ALLOWLIST  where it may post to: "api.example.com,*.ngrok-free.dev,https://10.0.0.7:8443"
             MAX_CONCURRENCY     deliveries at once, 50 unless set
             DELIVERY_TIMEOUT    seconds for each delivery, 10 unless set
"""

import asyncio
import atexit
import errno
import functools
import ipaddress
import json
import logging
import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)

REPORT_MARGIN = 1.0  # seconds kept back for the report, or a fifth of the time left where that is less
REPORT_LIMIT = 2_000_000  # characters of the result's body: Lambda takes 6 MB, in which each quotation mark is escaped
ANSWER_LIMIT = 65_536  # bytes of an answer's body that are read, so that its connection can be kept
ANSWER_SECONDS = 1  # and how long that may take: an app that said 2xx has the message, whatever its body does
NO_ANSWER = "no answer before the function's deadline"

HOST_AND_PORT = r"\[[\da-f:.]+\])(?::(\d{1,5}))?"
ENDPOINT = re.compile(rf'((https?)://([\w.-]+|{HOST_AND_PORT}(?:/[!-"$->@-~]*)?)(?:[?#][!-~]*)?', re.I | re.A)
ALLOWED = re.compile(rf"(?:(https?)://)?([\w.*-]+|{HOST_AND_PORT}", re.I)
ID = re.compile("[!-~]{1,100}")
HEADER = re.compile("[ -~]+")
to_json = json.JSONEncoder(allow_nan=False).encode  # NaN and 1e999, which json.loads takes, are no JSON

_warm = []  # (event loop, HTTP session): made on first use, a cold start, and taken up by later invocations


def lambda_handler(event, context):
    """Deliver the records of an SQS event, and report those that failed. Never raises for what they contain.

    Returns {"statusCode": 200, "body": <JSON text, an entry for each delivery>, "batchItemFailures": [...]}.
    """
    check_settings()
    messages = [Message(record) for record in event.get("Records", [])]
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        deliver(messages, seconds_left(context))
    else:  # as in a notebook's cell: a thread runs one loop at a time
        with ThreadPoolExecutor(1) as another_thread:
            another_thread.submit(deliver, messages, seconds_left(context)).result()
    for message in messages:
        message.log()
    return {
        "statusCode": 200,
        "body": report([response for message in messages for response in message.responses]),
        "batchItemFailures": [{"itemIdentifier": message.id} for message in messages if message.failure],
    }


class Message:
    """A record of the event, and what became of it."""

    def __init__(self, record):
        self.id = record["messageId"]
        attributes = record.get("attributes", {})
        fifo = record.get("eventSourceARN", "").endswith(".fifo")  # messages of a Standard queue have groups, too
        self.group = attributes.get("MessageGroupId") if fifo else None
        self.trace = attributes.get("AWSTraceHeader")
        self.key, self.apps, self.data, self.refusal = self.id, [], None, None
        try:
            self.key, self.apps, self.data = parse(record.get("body"), self.id)
        except (ValueError, TypeError, RecursionError) as error:
            self.refusal = f"its body is not a message: {error}"
        self.responses = [{"status": None, "app": shown(app["endpoint"]), "error": NO_ANSWER} for app in self.apps]

    @property
    def failure(self):
        """Why the message must come back. None once every app has it."""
        return self.refusal or next((response["error"] for response in self.responses if "error" in response), None)

    def log(self):
        """Write the message's line. Lambda's JSON log format shows the fields beside it."""
        fields = {"message_id": self.id, "idempotency_key": self.key, "deliveries": self.responses[:10]}
        if failure := self.failure:
            failed, of = sum("error" in response for response in self.responses), len(self.responses)
            where = f" ({failed} of {of} apps)" if of > 1 else ""
            logger.warning("Message %s will be delivered again: %s%s", self.id, failure, where, extra=fields)
        else:
            logger.info("Message %s was delivered: %s", self.id, fields["deliveries"], extra=fields)


def parse(body, message_id):
    """A message body as (id, apps, data as JSON). Raises ValueError, saying why without a key in it."""
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("it is not a JSON object")
    if "data" not in message:
        raise ValueError("it has no data")
    key = message.get("id", message_id)
    if not isinstance(key, str) or not ID.fullmatch(key):
        raise ValueError("its id is not 1 to 100 characters from ! to ~")
    apps = message.get("apps")
    if not isinstance(apps, list) or not apps:
        raise ValueError("apps is not a list of at least one app")
    for app in apps:
        if not isinstance(app, dict) or not all(isinstance(app.get(name), str) for name in ("endpoint", "key")):
            raise ValueError("an app is not an object with an endpoint and a key")
        if not HEADER.fullmatch(app["key"]):
            raise ValueError("an app's key is empty, or has characters that a header cannot carry")
    return key, apps, to_json(message["data"])


def deliver(messages, seconds):
    """Deliver the messages on this thread, with a loop and a session of earlier invocations where there are any."""
    try:
        loop, session = _warm.pop()
    except IndexError:
        loop = asyncio.new_event_loop()
        session = loop.run_until_complete(new_session())
    loop.run_until_complete(sync_all_app(messages, seconds, session))
    _warm.append((loop, session))  # but not after an exception, such as Ctrl-C's, which leaves work in it half done


async def sync_all_app(messages, seconds=None, session=None):
    """Deliver all messages at once, but those of a FIFO group one after the other, within `seconds`."""
    places = asyncio.Semaphore(max(1, int(setting("MAX_CONCURRENCY", 50))))
    groups = {}
    for message in messages:
        groups.setdefault(message.group or message, []).append(message)
    async with nullcontext(session) if session else await new_session() as session:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
                for group in groups.values():
                    tasks.create_task(sync_group(group, places, session))


async def sync_group(messages, places, session):
    """Deliver messages in order. After a failure the rest stays unsent: it would overtake the failed one."""
    for position, message in enumerate(messages):
        await sync_message(message, places, session)
        if message.failure:
            for unsent in messages[position + 1 :]:
                unsent.refusal, unsent.responses = "not sent, because an earlier message of its group failed", []
            return


async def sync_message(message, places, session):
    """Deliver one message to all of its apps, and note the outcomes in it."""

    async def sync_one(position):
        try:
            app = message.apps[position]
            message.responses[position] = await sync_app(session, app, message.data, message.key, message.trace)
        finally:
            places.release()

    async with asyncio.TaskGroup() if len(message.apps) > 1 else nullcontext() as tasks:
        for position in range(1, len(message.apps)):
            await places.acquire()
            tasks.create_task(sync_one(position))
            await asyncio.sleep(0)  # the other messages' turn: one with fifty silent apps must not take all places
        if message.apps:
            await places.acquire()
            await sync_one(0)


async def sync_app(session, app, data, idempotency_key, trace=None):
    """Post `data`, JSON text, to one app. Returns {"status", "app"}, and "error" unless the answer was 2xx."""
    response = {"status": None, "app": shown(app["endpoint"])}
    headers = {
        "Authorization": f"Token {app['key']}",
        "Content-Type": "application/json",
        "Idempotency-Key": idempotency_key,
    }
    if trace and HEADER.fullmatch(trace):
        headers["X-Amzn-Trace-Id"] = trace
    seconds = setting("DELIVERY_TIMEOUT", 10)
    error = None
    try:
        url = allowed_url(app["endpoint"])
        async with asyncio.timeout(seconds):
            try:
                await post(session, url, data, headers, response)
            except ConnectionWasClosed:
                await post(session, url, data, headers, response)
    except EndpointRefused as refusal:
        error = str(refusal)
    except TimeoutError:
        error = f"no answer within {seconds:g} seconds"
    except aiohttp.ClientOSError as failed:
        error = f"{type(failed).__name__}: {failed}"
    except Exception as failed:  # one delivery never harms another; texts that quote an answer could hold a key
        error = type(failed).__name__
    except asyncio.CancelledError:
        if response["status"] is None:
            raise
    if response["status"] is None:
        response["error"] = error
    elif not 200 <= response["status"] < 300:
        response["error"] = f"HTTP {response['status']}"
    return response


async def post(session, url, data, headers, response):
    """POST and note the status. A redirect is not followed: it could lead to a host that is not allowed."""
    async with session.post(url, data=data.encode(), headers=headers, allow_redirects=False) as answer:
        response["status"] = answer.status
        if not answer.closed:  # the rest of a body that is short, so that the connection can be kept
            with suppress(aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await answer.content.readexactly(ANSWER_LIMIT)


class ConnectionWasClosed(aiohttp.ClientConnectionError):
    """A kept connection ended before any answer: most likely the app had closed it meanwhile."""


class Answer(aiohttp.ClientResponse):
    """aiohttp's, whose status counts, whatever follows it."""

    async def start(self, connection):
        protocol = connection.protocol
        try:
            return await super().start(connection)
        except aiohttp.ClientConnectionError as error:
            if protocol.requests > 1 and not protocol.begins:
                raise ConnectionWasClosed from error
            raise  # the app may have begun its work: SQS will bring the message again, later
        except aiohttp.ClientResponseError:
            status = re.fullmatch(rb"HTTP/1\.\d (\d{3})", protocol.begins)
            if not status:
                raise
            self.status = int(status[1])
            self.close()
            return self


class Protocol(ResponseHandler):
    """aiohttp's, which also counts the requests of its connection, and keeps the first bytes of an answer."""

    requests = 0
    begins = b""  # "HTTP/1.1 200"

    def set_response_params(self, **params):
        self.requests, self.begins = self.requests + 1, b""
        super().set_response_params(**params)

    def data_received(self, data):
        self.begins += data[: 12 - len(self.begins)]
        super().data_received(data)


async def new_session():
    """An HTTP session. Cookies of one app are never sent to another."""
    connector = aiohttp.TCPConnector(limit=0, socket_factory=allowed_socket)  # MAX_CONCURRENCY is the limit
    connector._factory = functools.partial(Protocol, loop=asyncio.get_running_loop())  # type: ignore[assignment]
    return aiohttp.ClientSession(
        connector=connector,
        response_class=Answer,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # DELIVERY_TIMEOUT is the limit
    )


@atexit.register
def close():
    """Close what invocations left open for later ones."""
    while _warm:
        loop, session = _warm.pop()
        loop.run_until_complete(session.close())
        loop.close()


class EndpointRefused(Exception):
    """The endpoint may not be posted to."""


def allowed_url(endpoint):
    """The endpoint as a URL, its path and query as they are written. Raises EndpointRefused unless it is allowed."""
    parts = ENDPOINT.fullmatch(endpoint)
    if not parts:
        raise EndpointRefused("the endpoint is not an http or https URL of ASCII without spaces, user and password")
    scheme, host, port = parts[2].lower(), parts[3].lower(), int(parts[4] or (443 if len(parts[2]) > 4 else 80))
    origins, _ = allowlist(os.environ.get("ENDPOINT_ALLOWLIST"))
    if port > 65_535:
        raise EndpointRefused("the endpoint's port is over 65535")
    if not origins.fullmatch(f"{scheme}://{host}:{port}"):
        raise EndpointRefused("the endpoint's host is not on ENDPOINT_ALLOWLIST")
    path = max(parts.end(3), parts.end(4))  # the host has no case
    return URL(endpoint[:path].lower() + endpoint[path:], encoded=True)


@functools.cache  # so it is read once, and a warning is logged once
def allowlist(patterns):
    """ENDPOINT_ALLOWLIST as (what an origin must match, its hosts). Raises ValueError for what can never match."""
    if patterns is None and "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        logger.error(
            "ENDPOINT_ALLOWLIST is not set: nothing is posted. Set it to the hosts of your apps, and then bring back "
            "what is in the dead-letter queue: aws sqs start-message-move-task --source-arn <its ARN>"
        )
        patterns = ""
    elif patterns is None:
        logger.warning("ENDPOINT_ALLOWLIST is not set: a message can make this function post to any host.")
        patterns = "*"
    origins, hosts = [], []
    for pattern in filter(None, map(str.strip, patterns.split(","))):
        parts = ALLOWED.fullmatch(pattern)
        if not parts or (parts[3] and not 0 < int(parts[3]) < 65536):
            raise ValueError(f"ENDPOINT_ALLOWLIST: {pattern!r} can never match. Write a host, or https://host:port.")
        labels = parts[2].lower().split(".")  # a host may be written in its own script: DNS has it in ASCII
        host = ".".join(label if label.isascii() else URL.build(host=label).raw_authority for label in labels)
        hosts.append(host.strip("[]"))
        host = ".*".join(map(re.escape, host.split("*")))
        origins.append(f"{(parts[1] or 'https?').lower()}://{host}:{parts[3] or '.*'}")
    return re.compile("|".join(origins) or "(?!)"), hosts


def allowed_socket(address_info):
    """A socket to an address. On Lambda, what listens there itself is refused, whatever name leads to it."""
    family, kind, protocol, _, (host, *_) = address_info
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        address = ipaddress.ip_address(host)
        address = getattr(address, "ipv4_mapped", None) or address
        _, hosts = allowlist(os.environ.get("ENDPOINT_ALLOWLIST"))
        if str(address) not in hosts and (address.is_loopback or address.is_link_local or address.is_unspecified):
            raise OSError(errno.EACCES, f"{address} is Lambda's own, and not on ENDPOINT_ALLOWLIST")
    return socket.socket(family, kind, protocol)


def shown(endpoint):
    """The endpoint as logs and results show it: without query and fragment, often secrets, and not too long."""
    return (
        re.split("[?#]", endpoint, maxsplit=1)[0][:300] if ENDPOINT.fullmatch(endpoint) else "not an http or https URL"
    )


def report(responses):
    """The responses as JSON text, or as many of them as Lambda's answer has room for."""
    kept = responses
    while len(text := json.dumps(kept)) > REPORT_LIMIT:
        kept = kept[: len(kept) // 2]
    if left_out := len(responses) - len(kept):
        logger.warning("The result has room for %d deliveries and leaves out %d", len(kept), left_out)
    return text


def seconds_left(context):
    """Seconds to wait for answers, or None where the context sets no deadline."""
    if not hasattr(context, "get_remaining_time_in_millis"):
        return None
    remaining = context.get_remaining_time_in_millis() / 1000
    return max(0, remaining - min(REPORT_MARGIN, remaining / 5))


def setting(name, default):
    """A number from the environment, or the default where it is absent or empty."""
    try:
        return float(os.environ.get(name) or default)
    except ValueError:
        raise ValueError(f"{name} is not a number: {os.environ[name]!r}") from None


def check_settings():
    """Raise ValueError for a setting that cannot be: an error at the start, and not a silence."""
    setting("MAX_CONCURRENCY", 50)
    setting("DELIVERY_TIMEOUT", 10)
    allowlist(os.environ.get("ENDPOINT_ALLOWLIST"))


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    check_settings()
