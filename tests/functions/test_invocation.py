"""invoke() calls a handler as Lambda would, from a notebook or not."""

import asyncio
import contextlib
import datetime
import functools
import logging
import re
import sys
import threading
import time

import pytest

from workshop import invoke
from workshop.functions.invocation import Invocation, recent_log, subscribe

logger = logging.getLogger("a handler's own")


@pytest.fixture(autouse=True)
def info_is_logged():
    """As Lambda functions do, and as the handler's module does."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    yield
    root.setLevel(before)


@pytest.fixture
def over():
    """An event for handlers that wait: set when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def until(happened, timeout=20):
    deadline = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


# The call


def test_it_gives_the_event_and_returns_the_result():
    assert invoke(lambda event, context: {"got": event["n"] + 1}, {"n": 1}) == {"got": 2}


def test_a_handler_that_uses_asyncio_run_works_where_a_loop_is_running():
    async def work():
        await asyncio.sleep(0)
        return "done"

    async def cell():
        return invoke(lambda event, context: asyncio.run(work()), {})

    assert asyncio.run(cell()) == "done"


def test_handlers_of_every_kind_can_be_called():
    class Handler:
        def method(self, event, context):
            return "method"

        def __call__(self, event, context):
            return "object"

    def function(event, context, *, extra="default"):
        return extra

    assert invoke(Handler().method, {}) == "method"
    assert invoke(Handler(), {}) == "object"
    assert invoke(functools.partial(function, extra="partial"), {}) == "partial"


def test_an_object_with_invoke_is_asked_instead():
    class Runtime:
        def invoke(self, event, timeout):
            return Invocation("id", result=[event, timeout])

    assert invoke(Runtime(), {"n": 1}, timeout=7) == [{"n": 1}, 7]


# The event and the result are JSON, as between Lambda and a handler


def test_the_handler_gets_a_copy_of_the_event():
    event = {"Records": [{"body": "as sent"}]}

    def handler(event, context):
        event["Records"][0]["body"] = "changed"
        event["Records"].append("another")

    invoke(handler, event)
    assert event == {"Records": [{"body": "as sent"}]}


def test_an_event_that_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        invoke(lambda event, context: None, {"numbers": {1, 2}})


@pytest.mark.parametrize(
    ("returned", "arrives"), [(None, None), ((1, 2), [1, 2]), ({1: "a"}, {"1": "a"}), ("é", "é"), ([], [])]
)
def test_the_result_is_what_json_makes_of_it(returned, arrives):
    assert invoke(lambda event, context: returned, {}) == arrives


def itself():
    a_list = []
    a_list.append(a_list)
    return a_list


@pytest.mark.parametrize("returned", [{1, 2}, object(), b"bytes", datetime.datetime(2026, 1, 1), {(1, 2): 3}, itself()])
def test_a_result_that_json_cannot_hold_is_an_error(returned):
    with pytest.raises(RuntimeError, match="Runtime.MarshalError: Unable to marshal response: "):
        invoke(lambda event, context: returned, {})


# The context


def test_the_context_has_what_lambdas_has():
    seen = []
    invoke(lambda event, context: seen.append(context), {})
    [context] = seen
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", context.aws_request_id)
    assert context.function_name == "func_sqs_sync"
    assert context.function_version == "$LATEST"
    assert context.memory_limit_in_mb == "256"
    assert context.invoked_function_arn == "arn:aws:lambda:us-east-1:123456789012:function:func_sqs_sync"
    assert context.log_group_name == "/aws/lambda/func_sqs_sync"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", context.log_stream_name)
    assert context.identity is None
    assert context.client_context is None


def test_the_time_left_counts_down_from_the_timeout_and_stops_at_nothing(over):
    def handler(event, context):
        first = context.get_remaining_time_in_millis()
        time.sleep(0.01)
        return [first, context.get_remaining_time_in_millis()]

    first, second = invoke(handler, {}, timeout=10)
    assert 10_000 >= first > second > 0
    assert isinstance(first, int)
    late = []

    def never(event, context):
        late.append(context)
        over.wait(20)

    Invocation.of(never, {}, timeout=0.05)
    assert late[0].get_remaining_time_in_millis() == 0


# What goes wrong


def test_an_exception_of_the_handler_is_raised_here_and_described_as_lambda_does():
    def handler(event, context):
        raise ValueError("no good")

    with pytest.raises(ValueError, match="no good") as caught:
        invoke(handler, {})
    assert caught.traceback[-1].name == "handler"
    invocation = Invocation.of(handler, {})
    assert (invocation.error["errorType"], invocation.error["errorMessage"]) == ("ValueError", "no good")
    assert "in handler" in invocation.error["stackTrace"][-1]
    assert isinstance(invocation.exception, ValueError)
    assert invocation.result is None


def interrupted():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("ends", "words"), [(lambda: sys.exit(3), r"Runtime.ExitError: sys.exit\(3\)"), (interrupted, "KeyboardInterrupt")]
)
def test_what_would_end_this_process_is_an_error(ends, words):
    with pytest.raises(RuntimeError, match=words):
        invoke(lambda event, context: ends(), {})


def test_a_handler_that_overruns_is_a_timeout_error_as_lambda_words_it(over):
    with pytest.raises(TimeoutError, match=r"^[0-9a-f-]{36} Task timed out after 0\.20 seconds$"):
        invoke(lambda event, context: over.wait(20), {}, timeout=0.2)


def test_a_timeout_error_that_the_handler_raises_itself_is_an_exception_like_others():
    def handler(event, context):
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        invoke(handler, {})
    assert not Invocation.of(handler, {}).timed_out


def test_a_handler_that_overran_is_stopped_and_its_result_comes_to_nothing():
    threads = []

    def handler(event, context):
        threads.append(threading.current_thread())
        while True:
            time.sleep(0.01)

    assert Invocation.of(handler, {}, timeout=0.1).timed_out
    until(lambda: not threads[0].is_alive())


def test_what_an_overrunning_handler_does_afterwards_does_not_change_the_invocation(over):
    done = threading.Event()

    def handler(event, context):
        with contextlib.suppress(SystemExit):  # with which it is stopped
            over.wait(20)
        logger.info("too late")
        done.set()
        return "too late"

    invocation = Invocation.of(handler, {}, timeout=0.1)
    over.set()
    assert done.wait(10)
    assert invocation.timed_out
    assert invocation.result is None
    assert "too late" not in str(invocation.log)


def test_the_first_call_of_a_handler_is_cold_and_the_next_are_warm():
    def handler(event, context):
        return None

    assert [Invocation.of(handler, {}).cold for _ in range(3)] == [True, False, False]
    assert Invocation.of(handler, {}).duration_ms > 0


# The log


def test_the_log_is_lambdas():
    def handler(event, context):
        logger.info("order %s", 7)
        logging.warning("careful")
        return context.aws_request_id

    invocation = Invocation.of(handler, {})
    start, info, warning, end, report = invocation.log
    assert invocation.request_id == invocation.result
    assert start == f"START RequestId: {invocation.request_id} Version: $LATEST"
    assert re.fullmatch(
        r"\[INFO\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t" + invocation.request_id + "\torder 7", info
    )
    assert warning.endswith("\tcareful")
    assert end == f"END RequestId: {invocation.request_id}"
    assert re.fullmatch(
        f"REPORT RequestId: {invocation.request_id}"
        r"\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB",
        report,
    )


def test_an_error_and_a_timeout_are_in_the_log_before_its_end(over):
    failed = Invocation.of(lambda event, context: {}["missing"], {})
    assert failed.log[1] == "[ERROR] KeyError: 'missing'"
    assert [line.split()[0] for line in failed.log] == ["START", "[ERROR]", "END", "REPORT"]
    late = Invocation.of(lambda event, context: over.wait(20), {}, timeout=0.05)
    assert late.log[1] == f"{late.request_id} Task timed out after 0.05 seconds"
    assert [line.split()[0] for line in late.log] == ["START", late.request_id, "END", "REPORT"]


def test_invocations_at_the_same_time_keep_their_logs_apart():
    together = threading.Barrier(4)
    invocations = []

    def handler(event, context):
        together.wait(10)
        for _ in range(50):
            logger.info("line of %s", event)
        together.wait(10)

    threads = [
        threading.Thread(target=lambda n=n: invocations.append(Invocation.of(handler, f"<{n}>"))) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({invocation.request_id for invocation in invocations}) == 4
    for invocation in invocations:
        lines = [line for line in invocation.log if "line of" in line]
        assert len(lines) == 50
        assert len({line.rsplit("\t")[-1] for line in lines}) == 1


def test_what_the_handlers_tasks_and_threads_with_its_context_log_is_kept_and_what_others_log_is_not():
    stranger_may = threading.Event()
    stranger = threading.Thread(target=lambda: (stranger_may.wait(10), logger.info("a stranger's")))
    stranger.start()

    async def task():
        logger.info("a task's")

    async def work():
        await asyncio.gather(task(), asyncio.to_thread(logger.info, "a thread's"))

    def handler(event, context):
        asyncio.run(work())
        stranger_may.set()
        stranger.join()

    log = "\n".join(Invocation.of(handler, {}).log)
    assert "a task's" in log
    assert "a thread's" in log
    assert "a stranger's" not in log


def test_the_recent_log_holds_the_lines_of_all_and_is_limited():
    Invocation.of(lambda event, context: logger.info("remember me"), {})
    assert "remember me" in recent_log()
    Invocation.of(lambda event, context: [logger.info("%s", n) for n in range(2500)] and None, {})
    assert "remember me" not in recent_log()
    assert len(recent_log().splitlines()) == 2000


def test_no_handler_of_the_log_is_left_behind(over):
    before = list(logging.getLogger().handlers)
    Invocation.of(lambda event, context: 1 / 0, {})
    Invocation.of(lambda event, context: over.wait(20), {}, timeout=0.05)
    assert logging.getLogger().handlers == before


def test_subscribers_are_told_of_each_invocation_until_they_end_it():
    told = []
    end = subscribe(told.append)
    first = Invocation.of(lambda event, context: 1, {})
    with pytest.raises(ZeroDivisionError):
        invoke(lambda event, context: 1 / 0, {})
    end()
    Invocation.of(lambda event, context: 3, {})
    assert told[0] is first
    assert [invocation.error is None for invocation in told] == [True, False]
