import asyncio
import json
import uuid

import aiohttp
import pytest

CHAPTER = "05_run_the_lambda_handler"


def reports(
    entry=lambda record: {"itemIdentifier": record["messageId"]}, wrap=lambda failed: {"batchItemFailures": failed}
):
    """A solution, with one thing changed."""

    def handler(event, context):
        failed = []
        for record in event["Records"]:
            try:
                json.loads(record["body"])
            except ValueError:
                failed.append(entry(record))
        return wrap(failed)

    return handler


def is_json(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def reports_in_one_expression(event, context):
    bad = [record["messageId"] for record in event["Records"] if not is_json(record["body"])]
    return (
        {"statusCode": 200, "batchItemFailures": [{"itemIdentifier": message_id} for message_id in bad]} if bad else {}
    )


def reports_all(event, context):
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]]}


def raises_for_the_first(event, context):
    return {"batchItemFailures": [json.loads(record["body"]) and None for record in event["Records"]]}


@pytest.mark.parametrize(
    "answer",
    [reports(), reports_in_one_expression, reports(wrap=lambda f: {"statusCode": 200, "batchItemFailures": f})],
)
def test_q1_takes_any_report_that_lambda_can_read(outcome, answer):
    assert outcome(1, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (
            reports(lambda record: {"message_id": record["messageId"]}),
            "has the key 'message_id'; Lambda reads only 'item",
        ),
        (reports(lambda record: {"ItemIdentifier": record["messageId"]}), "has the key 'ItemIdentifier'"),
        (reports(lambda record: record["messageId"]), "batchItemFailures holds a str"),
        (reports(lambda record: {"itemIdentifier": record["receiptHandle"]}), "reports a receiptHandle"),
        (reports(lambda record: {"itemIdentifier": record["body"]}), "reports 'not JSON', which is not the messageId"),
        (
            reports(wrap=lambda failed: {"batchItemFailure": failed}),
            "has no 'batchItemFailures' (it has 'batchItemFailure')",
        ),
        (
            reports(wrap=lambda failed: {"body": json.dumps({"batchItemFailures": failed})}),
            "has no 'batchItemFailures'",
        ),
        (reports(wrap=lambda failed: failed), "the handler returned a list"),
        (reports(wrap=lambda failed: None), "the failed record 'second' is not reported"),
        (lambda event, context: {"batchItemFailures": [{"itemIdentifier": "none"}]}, "an event without records"),
        (reports_all, "the record 'first', with which nothing is wrong"),
        (raises_for_the_first, "the handler raised JSONDecodeError"),
        (lambda event: None, "cannot be called as it will be: too many positional arguments"),
    ],
)
def test_q1_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(1, answer)
    assert state == "wrong"
    assert because in text


def delivers_all(raise_for_status=True, session=aiohttp.ClientSession, report=None, which=lambda failed: failed):
    """A solution, with one thing changed."""

    async def deliver(session, record):
        message = json.loads(record["body"])
        for app in message["apps"]:
            async with session.post(app["endpoint"], json=message["data"]) as answer:
                if raise_for_status:
                    answer.raise_for_status()

    async def deliver_all(event):
        async with session() as one:
            posts = (deliver(one, record) for record in event["Records"])
            outcomes = await asyncio.gather(*posts, return_exceptions=True)
        pairs = zip(event["Records"], outcomes, strict=True)
        failed = which([record["messageId"] for record, result in pairs if isinstance(result, Exception)])
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    return deliver_all


async def catches_in_each(event):
    async def deliver(session, record):
        try:
            message = json.loads(record["body"])
            for app in message["apps"]:
                async with session.post(app["endpoint"], json=message["data"]) as answer:
                    if answer.status // 100 != 2:
                        return record["messageId"]
        except Exception:
            return record["messageId"]

    async with aiohttp.ClientSession() as session:
        failed = await asyncio.gather(*(deliver(session, record) for record in event["Records"]))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed if message_id]}


async def one_after_the_other(event):
    failed = []
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        for record in event["Records"]:
            try:
                message = json.loads(record["body"])
                for app in message["apps"]:
                    await session.post(app["endpoint"], json=message["data"])
            except (ValueError, aiohttp.ClientError):
                failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


async def raises(event):
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        messages = [json.loads(record["body"]) for record in event["Records"]]
        await asyncio.gather(
            *(session.post(app["endpoint"], json=message["data"]) for message in messages for app in message["apps"])
        )
    return {"batchItemFailures": []}


async def all_or_nothing(event):
    try:
        return await raises(event)
    except Exception:
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]]}


async def in_a_task_group(event):
    try:
        async with aiohttp.ClientSession(raise_for_status=True) as session, asyncio.TaskGroup() as group:
            for record in event["Records"]:
                if is_json(record["body"]):
                    for app in json.loads(record["body"])["apps"]:
                        group.create_task(session.post(app["endpoint"], json={}))
    except ExceptionGroup:
        pass
    return {"batchItemFailures": []}


async def tries_again(event):
    await catches_in_each(event)
    return await catches_in_each(event)


@pytest.mark.parametrize("answer", [delivers_all(), catches_in_each, one_after_the_other])
def test_q2_takes_any_delivery_in_which_each_record_stands_alone(outcome, answer):
    assert outcome(2, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (raises, "the handler raises JSONDecodeError: Lambda concludes that the whole batch"),
        (all_or_nothing, "the good record 'slow' was not delivered"),
        (in_a_task_group, "the good record 'slow' was not delivered, because others of its batch had failed"),
        (delivers_all(which=lambda failed: [*failed, "good"]), "reports a failure for an event without records"),
        (tries_again, "was delivered 2 times"),
        (delivers_all(which=lambda failed: []), "reports no failure, so Lambda deletes every message"),
        (delivers_all(which=lambda failed: failed and [*failed, "good"]), "reports records that were delivered (good)"),
        (delivers_all(raise_for_status=False), "a record whose app answered 503 counts as delivered"),
        (delivers_all(which=lambda failed: set(failed) - {"poison"}), "the poison message is not reported"),
        (delivers_all(which=lambda failed: set(failed) - {"nobody"}), "could not be reached is not reported"),
        (delivers_all(which=lambda failed: set(failed) - {"half"}), "it must reach all its apps"),
        (
            delivers_all(which=lambda failed: [*failed, "x"] if failed else []),
            "reports 'x', which is not the messageId",
        ),
        (lambda event: None, "deliver_all is not an async function"),
    ],
)
def test_q2_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(2, answer)
    assert state == "wrong"
    assert because in text


def delivers(
    headers=lambda key, message_id: {"Authorization": f"Token {key}", "Idempotency-Key": message_id},
    success=lambda answer: 200 <= answer.status < 300,
    why=lambda answer, app: f"HTTP {answer.status}",
    caught=(aiohttp.ClientError, ValueError),
    in_words=lambda error, app: type(error).__name__,
    say=lambda app: None,
    returns=None,
    **options,
):
    """A solution, with one thing changed."""

    async def deliver(session, app, data, message_id):
        say(app)
        options.setdefault("allow_redirects", False)
        body = {} if "data" in options else {"json": data}
        sent = headers(app["key"], message_id)
        try:
            async with session.post(app["endpoint"], headers=sent, **body, **options) as answer:
                return returns if success(answer) else why(answer, app)
        except caught as error:
            return in_words(error, app)

    return deliver


async def delivers_by_hand(session, app, data, message_id):
    answer = None
    try:
        answer = await session.request(
            "POST",
            app["endpoint"],
            data=json.dumps(data).encode(),
            headers={"authorization": "Token " + app["key"], "idempotency-key": message_id},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=5),
        )
        if answer.status // 100 == 2:
            return None
        return f"{app['endpoint']} answered {answer.status} {answer.reason}"
    except Exception as error:
        return f"{type(error).__name__} for {message_id}"
    finally:
        if answer is not None:
            answer.release()


async def delivers_the_whole_message(session, app, data, message_id):
    return await delivers()(session, app, {"data": data}, message_id)


async def delivers_json_of_json(session, app, data, message_id):
    return await delivers()(session, app, json.dumps(data), message_id)


def derives_a_key(key, message_id):
    return {"Authorization": f"Token {key}", "Idempotency-Key": f"images-{message_id}"}


async def sends_a_get(session, app, data, message_id):
    async with session.get(app["endpoint"]):
        return


async def sends_nothing(session, app, data, message_id):
    return None


@pytest.mark.parametrize("answer", [delivers(), delivers_by_hand, delivers(headers=derives_a_key)])
def test_q3_takes_any_delivery_that_says_enough_and_not_too_much(outcome, answer):
    assert outcome(3, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (sends_nothing, "nothing arrived at the app"),
        (sends_a_get, "it sent a GET"),
        (
            delivers(headers=lambda key, message_id: {"Idempotency-Key": message_id}),
            "header Authorization did not arrive",
        ),
        (delivers(headers=lambda key, message_id: {"Authorization": key}), "Authorization is not 'Token <key>'"),
        (delivers(headers=lambda key, message_id: {"Authorization": f"Token {key}"}), "header Idempotency-Key did not"),
        (
            delivers(headers=lambda key, message_id: {"Authorization": f"Token {key}", "Idempotency-Key": "a-new-one"}),
            "two messages had the same Idempotency-Key",
        ),
        (
            delivers(headers=lambda key, message_id: derives_a_key(key, uuid.uuid4())),
            "delivered twice, with two different keys",
        ),
        (delivers_json_of_json, "the data was made JSON twice"),
        (delivers(data=b"image_id=7"), "the body that arrived is not JSON"),
        (delivers_the_whole_message, "the body that arrived is {'data': {'image_id': 7}}"),
        (delivers(returns="ok"), "the app answered 200, and it returned 'ok'; return None"),
        (delivers(success=lambda answer: answer.status == 200), "it takes 201 for a failure"),
        (delivers(success=lambda answer: True), "the app answered 503, and it returned None"),
        (delivers(success=lambda answer: answer.ok), "the app answered 302, a redirect, and it returned None"),
        (delivers(allow_redirects=True), "it follows a redirect"),
        (delivers(why=lambda answer, app: answer.status), "the app answered 503, and it returned 503"),
        (delivers(caught=ZeroDivisionError), "nobody listens at the endpoint, and deliver raised ClientConnectorError"),
        (delivers(caught=aiohttp.ClientConnectorError), "the endpoint is no URL, and deliver raised"),
        (delivers(why=lambda answer, app: f"{app} answered {answer.status}"), "holds the app's key"),
        (delivers(in_words=lambda error, app: f"{error} {app}"), "the text that it returned holds the app's key"),
        (delivers(say=print), "the app's key is in what it logs or prints"),
        (delivers(say=lambda app: __import__("logging").info("to %s", app)), "in what it logs or prints"),
        (lambda session, app, data, message_id: None, "deliver is not an async function"),
    ],
)
def test_q3_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(3, answer)
    assert state == "wrong"
    assert because in text


def finishes(
    seconds=lambda context: context.get_remaining_time_in_millis() / 1000 - 1, cancel=True, late=True, raised=True
):
    """A solution, with one thing changed."""

    async def finish_in_time(deliveries, context):
        tasks = {message_id: asyncio.create_task(delivery) for message_id, delivery in deliveries.items()}
        if not tasks:
            return []
        _, pending = await asyncio.wait(tasks.values(), timeout=seconds(context))
        if cancel:
            for task in pending:
                task.cancel()
        return [
            message_id
            for message_id, task in tasks.items()
            if (task in pending and late) or (task not in pending and task.exception() and raised)
        ]

    return finish_in_time


async def waits_for_each(deliveries, context):
    seconds = context.get_remaining_time_in_millis() / 1000 - 1

    async def finish(message_id, delivery):
        try:
            await asyncio.wait_for(delivery, seconds)
        except (TimeoutError, ConnectionError):
            return message_id

    return {failed for failed in await asyncio.gather(*(finish(*item) for item in deliveries.items())) if failed}


async def with_a_timeout_around(deliveries, context):
    failed = set(deliveries)

    async def finish(message_id, delivery):
        await delivery
        failed.discard(message_id)

    try:
        async with asyncio.timeout(context.get_remaining_time_in_millis() / 1000 - 1):
            everything = (finish(*item) for item in deliveries.items())
            await asyncio.gather(*everything, return_exceptions=True)
    except TimeoutError:
        pass
    return sorted(failed)


async def gives_all_up(deliveries, context):
    try:
        everything = asyncio.gather(*deliveries.values(), return_exceptions=True)
        await asyncio.wait_for(everything, context.get_remaining_time_in_millis() / 1000 - 1)
        return []
    except TimeoutError:
        return list(deliveries)


async def lets_the_timeout_out(deliveries, context):
    everything = asyncio.gather(*deliveries.values(), return_exceptions=True)
    await asyncio.wait_for(everything, context.get_remaining_time_in_millis() / 1000 - 1)
    return []


async def lets_the_error_out(deliveries, context):
    await asyncio.gather(*deliveries.values())
    return []


async def one_by_one(deliveries, context):
    failed = []
    for message_id, delivery in deliveries.items():
        try:
            await asyncio.wait_for(delivery, context.get_remaining_time_in_millis() / 1000 - 1)
        except (TimeoutError, ConnectionError):
            failed.append(message_id)
    return failed


async def adds_another(deliveries, context):
    failed = await finishes()(deliveries, context)
    return [*failed, "another"] if failed else failed


async def without_the_empty_case(deliveries, context):
    tasks = [asyncio.create_task(delivery) for delivery in deliveries.values()]
    await asyncio.wait(tasks, timeout=0.1)
    return []


@pytest.mark.parametrize("answer", [finishes(), waits_for_each, with_a_timeout_around])
def test_q4_takes_any_way_to_report_in_time(outcome, answer):
    assert outcome(4, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (
            finishes(seconds=lambda context: context.get_remaining_time_in_millis()),
            "Lambda would have stopped it: the function had 10 s",
        ),
        (finishes(seconds=lambda context: None), "Lambda would have stopped it: the function had 10 seconds"),
        (finishes(seconds=lambda context: 8), "with 30 seconds left, a delivery that took 20 was given up"),
        (
            finishes(seconds=lambda context: context.get_remaining_time_in_millis() / 1000 - 0.1),
            "until the last moment",
        ),
        (finishes(cancel=False), "was reported as failed and still runs"),
        (finishes(late=False), "not finished in time is missing in the list"),
        (finishes(raised=False), "that raised an exception is missing in the list"),
        (gives_all_up, "a delivery that had long succeeded is reported"),
        (lets_the_timeout_out, "it raised TimeoutError: no message. When the time is over, it should return"),
        (lets_the_error_out, "That is a delivery's own error, which should only put its id into the list"),
        (one_by_one, "a delivery was started only when another one had finished, or not at all"),
        (adds_another, "it returned ['another', 'broken', 'never'], and ['broken', 'never'] was expected"),
        (without_the_empty_case, "without any delivery it raised ValueError: Set of Tasks/Futures is empty"),
        (lambda deliveries, context: [], "finish_in_time is not an async function"),
    ],
)
def test_q4_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(4, answer)
    assert state == "wrong"
    assert because in text


def handles(
    group_of=lambda record: record["attributes"].get("MessageGroupId"),
    caught=Exception,
    memory=None,
    unsent_reported=True,
    poison_holds_up=True,
    load=json.loads,
    order=list,
):
    """A solution, with one thing changed."""

    def batch_handler(work):
        def handler(event, context):
            failed, groups = [], memory if memory is not None else set()
            for record in order(event["Records"]):
                group, message_id = group_of(record), record["messageId"]
                if group in groups:
                    if unsent_reported:
                        failed.append(message_id)
                    continue
                try:
                    work(load(record["body"]), message_id)
                except caught as error:
                    failed.append(message_id)
                    if group and (poison_holds_up or not isinstance(error, ValueError)):
                        groups.add(group)
            return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

        return handler

    return batch_handler


class GroupedHandler:
    def __init__(self, work):
        self.work = work

    def __call__(self, event, context):
        groups = {}
        for record in event["Records"]:
            group = record["attributes"].get("MessageGroupId") or record["messageId"]
            groups[record["messageId"]] = group
        blocked, failures = [], []
        for record in event["Records"]:
            message_id = record["messageId"]
            if groups[message_id] in blocked or not self.succeeds(record):
                blocked.append(groups[message_id])
                failures.append({"itemIdentifier": message_id})
        return {"statusCode": 200, "batchItemFailures": failures}

    def succeeds(self, record):
        try:
            data = json.loads(record["body"])
        except json.JSONDecodeError:
            return False
        try:
            self.work(data, record["messageId"])
        except Exception:
            return False
        return True


def stops_at_the_first_failure(work):
    def handler(event, context):
        records = event["Records"]
        for position, record in enumerate(records):
            try:
                work(json.loads(record["body"]), record["messageId"])
            except Exception:
                return {"batchItemFailures": [{"itemIdentifier": late["messageId"]} for late in records[position:]]}
        return {"batchItemFailures": []}

    return handler


def stops_at_the_first_failure_if_fifo(work):
    stops, goes_on = stops_at_the_first_failure(work), handles()(work)

    def handler(event, context):
        fifo = any("MessageGroupId" in record["attributes"] for record in event["Records"])
        return (stops if fifo else goes_on)(event, context)

    return handler


def works_in_any_case(work):
    def handler(event, context):
        for record in event["Records"] or [{"body": "null", "messageId": ""}]:
            work(json.loads(record["body"]), record["messageId"])
        return {"batchItemFailures": []}

    return handler


def reports_in_any_case(work):
    return lambda event, context: {"batchItemFailures": [{"itemIdentifier": "none"}]}


def is_the_handler_itself(work):
    return {"batchItemFailures": []}


@pytest.mark.parametrize("answer", [handles(), GroupedHandler], ids=["a function in a function", "a class"])
def test_q5_takes_any_handler_that_keeps_the_rules(outcome, answer):
    assert outcome(5, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (is_the_handler_itself, "it must return the handler, a function"),
        (works_in_any_case, "work was called for an event without records"),
        (reports_in_any_case, "the handler reports a failure for an event without records"),
        (handles(caught=ValueError), "the handler raised RuntimeError: this work cannot be done now"),
        (handles(caught=RuntimeError), "the handler raised JSONDecodeError"),
        (handles(load=str), "work was called for a body that is not JSON"),
        (handles(load=lambda body: json.loads(body) and body), "work got the body as text"),
        (handles(group_of=lambda record: record["attributes"]["MessageGroupId"]), "raised KeyError: 'MessageGroupId'"),
        (stops_at_the_first_failure, "behind a failed one were not worked on. These have no MessageGroupId"),
        (
            handles(group_of=lambda record: "all"),
            "behind a failed one were not worked on. These have no MessageGroupId",
        ),
        (handles(group_of=lambda record: None), "FIFO: a group's record was worked on although an earlier one"),
        (handles(poison_holds_up=False), "although an earlier one, which was not JSON, had failed"),
        (stops_at_the_first_failure_if_fifo, "FIFO: b2, b3 was not worked on. A failure holds up the rest of its own"),
        (
            handles(order=lambda records: sorted(records, key=lambda record: record["messageId"])),
            "work was called for four, one, two; once for each record, in the order of the event",
        ),
        (handles(load=lambda body: json.loads(body)["data"]), "work was never called, not even for the first record"),
        (handles(load=lambda body: json.loads(body).get("data")), "work got None as data and 'one' as message_id"),
        (handles(unsent_reported=False), "FIFO: a3, a4, c2 was not worked on and not reported either"),
        (handles(memory=set()), "does something live outside of it that remembers the failure?"),
    ],
)
def test_q5_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(5, answer)
    assert state == "wrong"
    assert because in text
