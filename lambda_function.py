"""func_sqs_sync: take messages from Amazon SQS and post each to the apps that it names.

A message's body is JSON: {"id": "...", "apps": [{"endpoint": "https://...", "key": "..."}, ...], "data": {...}}. Every
app gets `data` by POST, with `Authorization: Token <key>` and `Idempotency-Key: <id>`. SQS's own message id stands
in for an absent `id`, but each sending and each redrive has a new one.

The event source mapping must have ReportBatchItemFailures: a message that did not reach all of its apps is
reported, comes back after the visibility timeout, and in the end goes to the dead-letter queue.
SQS delivers at least once, so an app may see a message again, and knows it by its Idempotency-Key.

Environment: ENDPOINT_ALLOWLIST  the hosts that may be posted to: "api.example.com,*.ngrok-free.app"
             MAX_CONCURRENCY     deliveries at once, 50 unless set
"""

import asyncio
import atexit
import json
import logging
import os
import re
import threading
from contextlib import suppress
from fnmatch import fnmatchcase

import aiohttp
from yarl import URL  # aiohttp's own: the host that is checked is the host that is connected to

logger = logging.getLogger()
logger.setLevel(logging.INFO)

MAX_CONCURRENCY = 50  # deliveries at once
REPORT_MARGIN = 1.0  # seconds kept back for the report, or a fifth of the time left where that is less
ANSWER_LIMIT = 65_536  # bytes of an answer's body that are read, so that its connection can be kept
ANSWER_SECONDS = 1  # and how long that may take: an app that said 2xx has the message, whatever its body does
NO_ANSWER = "no answer before the function's deadline"

# Made by the first invocation, a cold start, and kept as long as the execution environment is warm.
_lock = threading.Lock()
_loop = _thread = _session = None
_warned = False


def lambda_handler(event, context):
    """Deliver the records of an SQS event, and report those that failed. Never raises for what they contain.

    Returns {"statusCode": 200, "body": <JSON text, an entry for each delivery>, "batchItemFailures": [...]}.
    """
    _warn_without_allowlist()
    messages = [Message(record) for record in event.get("Records", [])]
    loop = _running_loop()
    asyncio.run_coroutine_threadsafe(sync_all_app(messages, _seconds_left(context)), loop).result()

    responses = [response for message in messages for response in message.responses]
    for message in messages:
        for response in message.responses:
            logger.info("Message %s: %s", message.id, response)
        if message.failure:
            logger.warning("Message %s will be delivered again: %s", message.id, message.failure)
    return {
        "statusCode": 200,
        "body": json.dumps(responses),
        "batchItemFailures": [{"itemIdentifier": message.id} for message in messages if message.failure],
    }


class Message:
    """A record of the event. `failure` says why it must come back, and is None once every app has it."""

    def __init__(self, record):
        self.id = record["messageId"]
        self.group = record.get("attributes", {}).get("MessageGroupId")  # of a FIFO queue
        self.responses = []
        self.failure = NO_ANSWER
        try:
            key, self.apps, self.data = parse(record.get("body"))
            self.idempotency_key = key or self.id
        except (ValueError, TypeError, RecursionError) as error:
            self.apps, self.data = [], None
            self.failure = f"its body is not a message: {error}"


def parse(body):
    """A message body as (id or None, apps, data), `data` as JSON text. Raises ValueError, saying why without a key."""
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("it is not a JSON object")
    if "data" not in message:
        raise ValueError("it has no data")
    apps = message.get("apps")
    if not isinstance(apps, list) or not apps:
        raise ValueError("apps is not a list of at least one app")
    for app in apps:
        if not isinstance(app, dict) or not all(isinstance(app.get(name), str) for name in ("endpoint", "key")):
            raise ValueError("an app is not an object with an endpoint and a key")
        if not app["key"] or not app["key"].isascii() or not app["key"].isprintable():
            raise ValueError("an app's key is empty, or has characters that a header cannot carry")
    if "id" in message and not (isinstance(message["id"], str) and re.fullmatch("[!-~]{1,100}", message["id"])):
        raise ValueError("its id is not 1 to 100 characters from ! to ~")
    # no JSON: NaN and 1e999, which json.loads takes
    return message.get("id"), apps, json.dumps(message["data"], allow_nan=False)


async def sync_all_app(messages, seconds=None):
    """Deliver all messages at once, but those of a FIFO group one after the other, within `seconds`."""
    limit = asyncio.Semaphore(max(1, int(os.environ.get("MAX_CONCURRENCY") or MAX_CONCURRENCY)))
    groups = {}
    for message in messages:
        groups.setdefault((message.group, None if message.group else message.id), []).append(message)
    tasks = [asyncio.create_task(sync_group(group, limit)) for group in groups.values()]
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def sync_group(messages, limit):
    """Deliver messages in order. After a failure the rest stays unsent: it would overtake the failed one."""
    for position, message in enumerate(messages):
        if message.apps:
            await sync_message(message, limit)
        if message.failure:
            for unsent in messages[position + 1 :]:
                unsent.failure = "not sent, because an earlier message of its group failed"
            return


async def sync_message(message, limit):
    """Deliver one message to all of its apps at once, and note the outcome in it."""
    message.responses = [{"status": None, "app": shown(app["endpoint"]), "error": NO_ANSWER} for app in message.apps]

    async def deliver(position, app):
        async with limit:
            message.responses[position] = await sync_app(_warm_session(), app, message.data, message.idempotency_key)

    await asyncio.gather(*(deliver(position, app) for position, app in enumerate(message.apps)))
    message.failure = next((response["error"] for response in message.responses if "error" in response), None)


async def sync_app(session, app, data, idempotency_key):
    """Post `data`, JSON text, to one app. Returns {"status", "app"}, and "error" unless the answer was 2xx."""
    response = {"status": None, "app": shown(app["endpoint"])}
    headers = {
        "Authorization": f"Token {app['key']}",
        "Content-Type": "application/json",
        "Idempotency-Key": idempotency_key,
    }
    try:
        url = allowed_url(app["endpoint"])
        connection = {"kept": False}
        try:
            status = await post(session, url, data, headers, connection)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not connection["kept"]:
                raise  # the app may have begun its work: SQS will bring the message again, later
            status = await post(session, url, data, headers, connection)  # it had closed the connection meanwhile
    except EndpointRefused as error:
        return response | {"error": str(error)}
    except aiohttp.ClientOSError as error:
        return response | {"error": f"{type(error).__name__}: {error}"}
    except Exception as error:  # one delivery never harms another; texts that quote an answer could hold a key
        return response | {"error": type(error).__name__}
    if 200 <= status < 300:
        return response | {"status": status}
    return response | {"status": status, "error": f"HTTP {status}"}


async def post(session, url, data, headers, connection):
    """POST and return the status. A redirect is not followed: it could lead to a host that is not allowed."""
    async with session.post(
        url, data=data.encode(), headers=headers, allow_redirects=False, trace_request_ctx=connection
    ) as response:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                unread = ANSWER_LIMIT
                while chunk := await response.content.read(unread):
                    unread -= len(chunk)
        return response.status


class EndpointRefused(Exception):
    """The endpoint may not be posted to."""


def allowed_url(endpoint):
    """The endpoint as a URL. Raises EndpointRefused unless it is http(s) to a host on ENDPOINT_ALLOWLIST."""
    try:
        url = URL(endpoint)
    except ValueError:
        raise EndpointRefused("the endpoint is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise EndpointRefused("the endpoint is not an http or https URL")
    if url.user is not None or url.password is not None:
        raise EndpointRefused("the endpoint has a user name or a password in it")
    allowlist = os.environ.get("ENDPOINT_ALLOWLIST")  # set to nothing, it allows nothing
    patterns = ["*"] if allowlist is None else [pattern.strip().lower() for pattern in allowlist.split(",")]
    hosts = {url.host, url.raw_host}  # bücher.example is also xn--bcher-kva.example
    if not any(fnmatchcase(host, pattern) for host in hosts for pattern in patterns):
        raise EndpointRefused("the endpoint's host is not on ENDPOINT_ALLOWLIST")
    return url


def shown(endpoint):
    """The endpoint as logs and results show it: without user name, password and query, often secrets."""
    try:
        return str(URL(endpoint).with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "not a URL"


def _seconds_left(context):
    """Seconds to wait for answers, or None where the context sets no deadline."""
    if not hasattr(context, "get_remaining_time_in_millis"):
        return None
    remaining = context.get_remaining_time_in_millis() / 1000
    return max(0, remaining - min(REPORT_MARGIN, remaining / 5))


def _running_loop():
    """The event loop of this execution environment, in a thread of its own, also between invocations.

    So a connection that an app closes meanwhile is noticed, and the handler can be called from any thread.
    """
    global _loop, _thread, _session
    with _lock:
        if _thread is None or not _thread.is_alive():
            _loop, _session = asyncio.new_event_loop(), None
            _thread = threading.Thread(target=_loop.run_forever, name="func_sqs_sync", daemon=True)
            _thread.start()
        return _loop


def _warm_session():
    """The HTTP session of this execution environment. Cookies of one app are never sent to another."""
    global _session
    if _session is None:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_kept)
        _session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # MAX_CONCURRENCY is the limit
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )
    return _session


async def _note_kept(session, trace, params):
    trace.trace_request_ctx["kept"] = True  # the dictionary that was given to session.post


@atexit.register
def _close():
    if _session is not None and _thread.is_alive():
        asyncio.run_coroutine_threadsafe(_session.close(), _loop).result(timeout=1)


def _warn_without_allowlist():
    global _warned
    if not _warned and "ENDPOINT_ALLOWLIST" not in os.environ:
        logger.warning("ENDPOINT_ALLOWLIST is not set: a message can make this function post to any host.")
        _warned = True
