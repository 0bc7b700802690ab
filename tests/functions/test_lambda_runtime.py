"""The packaged function under AWS's own runtime client: cold, warm, poisoned, killed, and gone with its parent."""

import json
import re
import subprocess
import sys

import psutil
import pytest

pytest.importorskip("awslambdaric", reason="AWS makes awslambdaric for Linux alone")

from workshop.cloud.packaging import package_installed
from workshop.functions.event_source_mapping import EventSourceMapping
from workshop.functions.lambda_runtime import LambdaRuntime

HANDLER = """
import json, logging, os, sys, time

logging.getLogger().setLevel(logging.INFO)
calls = 0

def lambda_handler(event, context):
    global calls
    calls += 1
    if "sleep" in event:
        print("sleeping", flush=True)
        time.sleep(event["sleep"])
    if "raise" in event:
        raise ValueError(event["raise"])
    if "exit" in event:
        os._exit(event["exit"])
    if "write" in event:
        print("x" * event["write"])
    if "import" in event:
        __import__(event["import"])
    if "return" in event:
        return "x" * event["return"]
    logging.info("call %s", calls)
    return {
        "calls": calls,
        "pid": os.getpid(),
        "environment": dict(os.environ),
        "request_id": context.aws_request_id,
        "left": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
    }
"""


@pytest.fixture(scope="module")
def zip_path(tmp_path_factory):
    return package_installed(folder=tmp_path_factory.mktemp("package")).path


@pytest.fixture
def function(tmp_path):
    """A LambdaRuntime that runs HANDLER."""
    (tmp_path / "lambda_function.py").write_text(HANDLER)
    with LambdaRuntime(tmp_path) as runtime:
        yield runtime


def sqs_event(*bodies):
    return {"Records": [{"messageId": f"m-{n}", "body": body} for n, body in enumerate(bodies)]}


def message(receiver, image_id=1):
    app = {"endpoint": f"{receiver.url}/api/v1/image-processing-sync", "key": "k"}
    return json.dumps({"apps": [app], "data": {"image_id": image_id}})


def test_many_events_and_a_poison_message_in_one_warm_process(zip_path, receiver):
    receiver.answer = lambda request: (204, {}, b"")  # no body: one write, so TCP does not wait 40 ms
    with LambdaRuntime(zip_path, environment={"ENDPOINT_ALLOWLIST": "127.0.0.1"}) as function:
        invocations = [function.invoke(sqs_event(message(receiver, n))) for n in range(100)]
        poisoned = function.invoke(sqs_event(message(receiver), "not JSON"))
        invocations += [function.invoke(sqs_event(message(receiver, n))) for n in range(100)]
    assert [invocation.cold for invocation in invocations] == [True] + [False] * 199
    assert [invocation.error for invocation in invocations if invocation.error] == []
    assert all(invocation.result["batchItemFailures"] == [] for invocation in invocations)
    assert poisoned.result["batchItemFailures"] == [{"itemIdentifier": "m-1"}]
    assert len(receiver.requests) == 201
    assert receiver.connections == 1  # the warm process kept its connection


def test_the_event_source_mapping_takes_it_in_place_of_a_function(zip_path, receiver, sqs, make_queue):
    url = make_queue()
    for n in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=message(receiver, n))
    with LambdaRuntime(zip_path, environment={"ENDPOINT_ALLOWLIST": "127.0.0.1"}) as function:
        mapping = EventSourceMapping(url, function)
        mapping.run_until_empty()
    assert mapping.delivered == 3
    assert sorted(json.loads(request.body)["image_id"] for request in receiver.requests) == [0, 1, 2]


def test_hosts_that_are_not_on_the_allowlist_are_not_posted_to(zip_path, receiver):
    with LambdaRuntime(zip_path, environment={"ENDPOINT_ALLOWLIST": "*.ngrok-free.dev"}) as function:
        result = function.invoke(sqs_event(message(receiver))).result
    assert result["batchItemFailures"] == [{"itemIdentifier": "m-0"}]
    assert receiver.requests == []


def test_a_timeout_kills_the_process_and_the_next_call_is_cold(function):
    first = function.invoke({})
    assert psutil.pid_exists(first.result["pid"])
    late = function.invoke({"sleep": 60}, timeout=0.3)
    assert late.timed_out
    assert (late.error["errorType"], late.error["errorMessage"]) == (
        "Sandbox.Timedout",
        "Task timed out after 0.30 seconds",
    )
    assert "sleeping" in late.log
    assert not psutil.pid_exists(first.result["pid"])
    after = function.invoke({})
    assert after.cold
    assert after.result["calls"] == 1


def test_a_call_sees_the_time_that_is_left(function):
    assert 0 < function.invoke({}, timeout=5).result["left"] <= 5000
    assert 5000 < function.invoke({}).result["left"] <= 30000


def test_a_process_that_ends_itself_is_an_error_and_the_next_call_is_cold(function):
    function.invoke({})
    ended = function.invoke({"exit": 3})
    assert ended.error["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in ended.error["errorMessage"]
    assert function.invoke({}).cold


def test_what_the_function_did_wrong_is_an_error_as_lambda_tells_it_and_the_process_stays_warm(function):
    pid = function.invoke({}).result["pid"]
    failed = function.invoke({"raise": "no good"})
    assert (failed.error["errorType"], failed.error["errorMessage"]) == ("ValueError", "no good")
    assert failed.result is None
    assert "[ERROR] ValueError: no good" in failed.log
    lacking = function.invoke({"import": "aiohttp"})
    assert lacking.error["errorMessage"] == "No module named 'aiohttp'"  # the zip has none
    assert function.invoke({"return": 7_000_000}).error["errorType"] == "Function.ResponseSizeTooLarge"
    assert "x" * 1_000_000 in function.invoke({"write": 1_000_000}).log  # more than a pipe holds
    assert function.invoke({}).result["pid"] == pid


def test_it_sees_its_own_environment_and_not_this_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("APP_KEY", "mine")
    (tmp_path / "lambda_function.py").write_text(HANDLER)
    with LambdaRuntime(tmp_path, environment={"ENDPOINT_ALLOWLIST": "a.example"}) as function:
        result = function.invoke({}).result
    environment = result["environment"]
    assert environment["ENDPOINT_ALLOWLIST"] == "a.example"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "func_sqs_sync"
    assert environment["LAMBDA_TASK_ROOT"] == str(tmp_path)
    assert "mine" not in environment.values()
    assert result["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:func_sqs_sync"
    assert [path.name for path in tmp_path.iterdir()] == ["lambda_function.py"]  # no .pyc


def test_the_log_is_lambdas(function):
    cold, warm = function.invoke({}), function.invoke({})
    start, line, end, report = warm.log
    assert start == f"START RequestId: {warm.request_id} Version: $LATEST"
    level, _, request_id, text = line.split("\t")
    assert (level, request_id, text) == ("[INFO]", warm.request_id, "call 2")
    assert end == f"END RequestId: {warm.request_id}"
    assert report.startswith(f"REPORT RequestId: {warm.request_id}\tDuration: ")
    assert "Init Duration" not in report
    duration, billed, init = (
        float(re.search(rf"\t{name}: ([\d.]+) ms", cold.log[-1])[1])
        for name in ("Duration", "Billed Duration", "Init Duration")
    )
    assert billed >= duration + init  # a cold start is billed


def test_a_module_that_cannot_be_imported_is_an_error_that_says_so(tmp_path):
    (tmp_path / "lambda_function.py").write_text("import no_such_module\n")
    with LambdaRuntime(tmp_path) as function:
        failed = function.invoke({})
        assert failed.error["errorType"] == "Runtime.ImportModuleError"
        assert "No module named 'no_such_module'" in failed.error["errorMessage"]
        assert function.invoke({}).cold


PARENT = """
import pathlib, sys
from workshop.functions.lambda_runtime import LambdaRuntime
function = LambdaRuntime(pathlib.Path(sys.argv[1]))
print(function.invoke({}).result["pid"], flush=True)
function.invoke({"sleep": 60})
"""


def test_kill_9_of_the_parent_ends_the_function_in_mid_call(tmp_path):
    (tmp_path / "lambda_function.py").write_text(HANDLER)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path], stdout=subprocess.PIPE)
    function = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs([function], timeout=5)
    assert alive == []


def test_closed_no_process_is_left(tmp_path):
    (tmp_path / "lambda_function.py").write_text(HANDLER)
    function = LambdaRuntime(tmp_path)
    pid = function.invoke({}).result["pid"]
    function.close()
    function.close()
    assert not psutil.pid_exists(pid)
