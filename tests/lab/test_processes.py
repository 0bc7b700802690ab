"""Processes that the kit starts: ready or explained, stopped with all they started, and gone when their parent is."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from workshop.lab import processes
from workshop.lab.processes import Child, ProcessFailed, free_port, is_free

# Each is written to a file beside the test and run as a module.
MODULES = {
    "waits": """
        import pathlib, sys, time
        pathlib.Path(sys.argv[1]).write_text("ready")
        time.sleep(600)
    """,
    "starts_another": """
        import pathlib, subprocess, sys, time
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        pathlib.Path(sys.argv[1]).write_text(str(other.pid))
        time.sleep(600)
    """,
    "is_stubborn": """
        import pathlib, signal, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path(sys.argv[1]).write_text("ready")
        time.sleep(600)
    """,
    "shows_itself": """
        import json, os, pathlib, sys, time
        seen = {"arguments": sys.argv[1:], "name": __name__, "input": sys.stdin.read(), "colour": os.environ["COLOUR"]}
        pathlib.Path(os.environ["OUT"]).write_text(json.dumps(seen))
        print("out")
        print("err", file=sys.stderr)
        time.sleep(600)
    """,
    "fails": """
        for number in range(30):
            print("line", number)
        raise SystemExit("the reason")
    """,
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder with MODULES, which the children find."""
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text("\n".join(line[8:] for line in text.splitlines()))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def start(modules):
    """start(module) -> a Child that is ready; its file's text is in `.said`. Stopped after the test."""
    started = []

    def start(module):
        file = modules / f"{module}-{len(started)}.ready"
        child = Child(f"{module}-{len(started)}", module, [file], folder=modules / "run")
        started.append(child)
        child.start(ready=lambda: file.exists() and file.read_text() != "")
        child.said = file.read_text()
        return child

    yield start
    for child in started:
        child.stop()


def gone(*pids, timeout=15):
    """Wait until none of the processes runs; returns the seconds that it took."""
    started = time.monotonic()
    while any(runs(pid) for pid in pids):
        assert time.monotonic() - started < timeout, f"{[pid for pid in pids if runs(pid)]} still run"
        time.sleep(0.02)
    return time.monotonic() - started


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# One child


def test_it_gets_its_arguments_and_environment_and_no_input_and_its_output_is_in_the_log(modules):
    out = modules / "seen.json"
    env = {"COLOUR": "blue", "OUT": str(out)}
    child = Child("shown", "shows_itself", [1, modules, "two words"], folder=modules / "run", env=env)
    child.start(ready=lambda: "err" in child.log_path.read_text())
    assert json.loads(out.read_text()) == {
        "arguments": ["1", str(modules), "two words"],
        "name": "__main__",
        "input": "",
        "colour": "blue",
    }
    assert child.log_path == modules / "run" / "shown.log"
    assert child.log_path.read_text().split() == ["out", "err"]
    child.stop()


def test_its_record_names_it_and_its_parent_and_goes_when_it_stops(start):
    child = start("waits")
    record = json.loads(child.record_path.read_text())
    assert record == {
        "pid": child.pid,
        "create_time": psutil.Process(child.pid).create_time(),
        "name": "waits-0",
        "parent": os.getpid(),
        "parent_create_time": psutil.Process().create_time(),
    }
    assert child.alive
    child.stop()
    assert not child.record_path.exists()
    assert not child.alive
    assert child.pid is None


def test_stopping_it_ends_all_that_it_started_too(start):
    child = start("starts_another")
    pids = child.pid, int(child.said)
    child.stop()
    assert [runs(pid) for pid in pids] == [False, False]


def test_a_child_that_does_not_want_to_stop_is_killed(start, monkeypatch):
    monkeypatch.setattr(processes, "STOP_TIMEOUT", 0.2)
    child = start("is_stubborn")
    pid = child.pid
    child.stop()
    assert not runs(pid)


def test_stopping_is_safe_before_the_start_twice_and_after_it_died(modules, start):
    Child("never", "waits", folder=modules).stop()
    child = start("waits")
    child.stop()
    child.stop()
    dead = start("waits")
    psutil.Process(dead.pid).kill()
    psutil.wait_procs([dead._process], timeout=15)
    assert not dead.alive
    dead.stop()
    assert not dead.record_path.exists()


def test_it_can_be_started_again_and_the_log_goes_on(start, modules):
    child = start("waits")
    first = child.pid
    child.log_path.write_text("of the first\n")
    child.stop()
    child.start()
    assert child.pid != first
    assert child.log_path.read_text().startswith("of the first\n")


def test_one_that_ends_while_starting_is_an_error_that_names_and_quotes_its_log(modules):
    child = Child("failing", "fails", folder=modules / "run")
    with pytest.raises(ProcessFailed) as caught:
        child.start(ready=lambda: False)
    text = str(caught.value)
    assert text.startswith("failing ended while it was starting. Its log, ")
    assert str(child.log_path) in text
    assert text.endswith("line 29\nthe reason")
    assert "line 3\n" not in text
    assert not child.record_path.exists()


def test_one_that_is_not_ready_in_time_is_an_error_and_is_stopped(modules):
    child = Child("slow", "waits", [modules / "file"], folder=modules / "run")
    with pytest.raises(ProcessFailed, match=r"slow was not ready after 0\.3 s\. Its log"):
        child.start(ready=lambda: False, timeout=0.3)
    assert not child.alive
    assert not child.record_path.exists()


def test_a_module_that_does_not_exist_is_named(modules):
    with pytest.raises(ProcessFailed, match="no_such_module"):
        Child("none", "no_such_module", folder=modules).start(ready=lambda: False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups of this kind")
def test_ctrl_c_in_the_terminal_does_not_reach_it(start):
    child = start("waits")
    assert os.getpgid(child.pid) != os.getpgid(0)


# No child outlives its parent

PARENT = """
import os, pathlib, signal, sys, time
from workshop.lab.processes import Child

folder = pathlib.Path(sys.argv[1])
ready = folder / "grandchild"
child = Child("child", "starts_another", [ready], folder=folder / "run")
child.start(ready=lambda: ready.exists() and ready.read_text() != "")
print(child.pid, ready.read_text(), flush=True)
{ends}
"""

ENDINGS = {
    "kill -9": "time.sleep(600)",
    "SIGTERM": "time.sleep(600)",
    "an exception": "raise RuntimeError('no')",
    "a return": "pass",
    "os._exit": "os._exit(0)",
    "an abort": "import ctypes; ctypes.string_at(0)",
}


@pytest.mark.parametrize("how", ENDINGS)
def test_when_its_parent_ends_it_ends_with_all_that_it_started(modules, how):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(ends=ENDINGS[how]), modules],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    if how == "kill -9":
        parent.kill()
    elif how == "SIGTERM":
        parent.terminate()
    # Not yet: parent.wait(). Whoever started the parent may take a while to notice that it ended.
    print(f"gone {gone(*pids):.2f} s after {how}")
    parent.wait()
    parent.stdout.close()


def guard(pid, create_time, *command):
    return subprocess.Popen([sys.executable, "-m", "workshop.lab.guard", str(pid), str(create_time), *command])


def test_a_guard_ends_at_once_when_its_parent_has_ended_already(modules):
    short = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born = psutil.Process(short.pid).create_time()
    short.communicate(b"\n")
    process = guard(short.pid, born, "waits", str(modules / "file"))
    assert process.wait(20) == 1


def test_a_guard_knows_its_parent_from_another_process_that_has_the_same_number(modules):
    process = guard(os.getpid(), psutil.Process().create_time() - 100, "waits", str(modules / "file"))
    assert process.wait(20) == 1


def test_a_guarded_module_ends_with_its_own_exit_status(modules):
    (modules / "ends.py").write_text("raise SystemExit(7)")
    assert guard(os.getpid(), psutil.Process().create_time(), "ends").wait(20) == 7


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_a_guard_that_is_asked_to_end_ends(modules):
    file = modules / "ready"
    process = guard(os.getpid(), psutil.Process().create_time(), "waits", str(file))
    while not file.exists():
        time.sleep(0.02)
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM


# Ports


def test_a_free_port_can_be_listened_at_and_is_not_free_then():
    port = free_port()
    assert is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
    assert is_free(port)
