"""Processes that the kit starts: ready or explained, stopped with all they started, and gone when their parent is."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from workshop import run_folders
from workshop.lab import processes
from workshop.lab.processes import Child, ProcessFailed, free_port, has_ended, is_free

# Each is written to a file beside the test and run as a module; it says that it is ready in the file that it is given.
MODULES = {
    "waits": """
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
        print("err", file=sys.stderr)
        pathlib.Path(sys.argv[1]).write_text(json.dumps(seen))
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
    """start(module, *arguments) -> a Child that is ready; its file's text is in `.said`. Stopped after the test."""
    started = []

    def start(module, *arguments, **options):
        file = modules / f"{module}-{len(started)}.ready"
        child = Child(module, module, [file, *arguments], folder=modules / "run", **options)
        started.append(child)
        child.start(ready=lambda: file.exists() and file.read_text() != "")
        child.said = file.read_text()
        return child

    yield start
    for child in started:
        child.stop()


def until_gone(found, timeout=15):
    deadline = time.monotonic() + timeout
    while not all(map(has_ended, found)):
        assert time.monotonic() < deadline, f"still running: {[process for process in found if not has_ended(process)]}"
        time.sleep(0.02)


# One child


def test_it_gets_arguments_and_environment_and_no_input_and_its_output_is_in_the_log(start, modules):
    child = start("shows_itself", 1, "two words", env={"COLOUR": "blue"})
    seen = json.loads(child.said)
    assert seen["arguments"][1:] == ["1", "two words"]
    assert (seen["name"], seen["input"], seen["colour"]) == ("__main__", "", "blue")
    assert child.log_path == modules / "run" / "shows_itself.log"
    assert child.log_path.read_text() == "err\n"


def test_stopping_it_ends_all_that_it_started_and_is_safe_at_any_time_and_it_can_start_again(start, modules):
    Child("never", "waits", folder=modules).stop()
    child = start("waits")
    family = [psutil.Process(child.pid), psutil.Process(int(child.said))]
    child.stop()
    child.stop()
    assert all(map(has_ended, family))
    assert (child.alive, child.pid) == (False, None)
    child.log_path.write_text("of the first\n")
    child.start()
    assert child.log_path.read_text().startswith("of the first\n")
    psutil.Process(child.pid).kill()
    until_gone([child._process])
    assert not child.alive
    child.stop()


def test_one_that_does_not_want_to_stop_is_killed(start, monkeypatch):
    monkeypatch.setattr(processes, "STOP_TIMEOUT", 0.2)
    child = start("is_stubborn")
    process = psutil.Process(child.pid)
    child.stop()
    until_gone([process])


@pytest.mark.parametrize(("module", "reason"), [("fails", "line 29\nthe reason"), ("no_such_module", "no_such_module")])
def test_one_that_ends_while_starting_is_an_error_that_names_and_quotes_its_log(modules, module, reason):
    child = Child("failing", module, folder=modules / "run")
    with pytest.raises(ProcessFailed, match="failing ended while it was starting") as caught:
        child.start(ready=lambda: False)
    assert str(caught.value).endswith(reason)
    assert str(child.log_path) in str(caught.value)
    assert "line 3\n" not in str(caught.value)


def test_one_that_is_not_ready_in_time_is_an_error_and_is_stopped(modules):
    child = Child("slow", "waits", [modules / "file"], folder=modules / "run")
    with pytest.raises(ProcessFailed, match=r"slow was not ready after 0\.3 s"):
        child.start(ready=lambda: False, timeout=0.3)
    assert not child.alive


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups of this kind")
def test_ctrl_c_in_the_terminal_does_not_reach_it(start):
    assert os.getpgid(start("waits").pid) != os.getpgid(0)


# No child outlives its parent

PARENT = """
import os, pathlib, sys, time
from workshop.lab.processes import Child
from workshop.run_folders import run_folder

ready = pathlib.Path(sys.argv[1], "ready")
child = Child("child", "waits", [ready], folder=pathlib.Path(sys.argv[1], "run"))
child.start(ready=lambda: ready.exists() and ready.read_text() != "")
print(child.pid, ready.read_text(), run_folder(), flush=True)
{ends}
"""

ENDINGS = {
    "kill -9": "time.sleep(600)",
    "SIGTERM": "time.sleep(600)",
    "an exception": "raise RuntimeError('no')",
    "os._exit": "os._exit(0)",
    "an abort": "import ctypes; ctypes.string_at(0)",
}


@pytest.mark.parametrize("how", ENDINGS)
def test_when_its_parent_ends_it_ends_with_all_that_it_started_and_the_run_folder_is_swept(modules, how):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(ends=ENDINGS[how]), modules],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    child, grandchild, folder = parent.stdout.readline().split(maxsplit=2)
    family = [psutil.Process(int(child)), psutil.Process(int(grandchild))]
    folder = run_folders.RUNS_FOLDER / folder.strip()
    assert run_folders.owner(folder) == parent.pid
    if "sleep" in ENDINGS[how]:
        assert run_folders.in_use(folder)
        parent.kill() if how == "kill -9" else parent.terminate()
    until_gone(family)  # before parent.wait(): whoever started the parent may take a while to notice that it ended
    parent.wait()
    parent.stdout.close()
    assert not run_folders.in_use(folder)
    run_folders.remove_unused_run_folders()
    assert not folder.exists()


def test_one_whose_parent_has_ended_already_ends_at_once(modules):
    gone = {**os.environ, run_folders.RUN_FOLDER: str(modules / "swept")}
    guarded = [sys.executable, "-m", "workshop.lab.dies_with_parent", "waits", str(modules / "file")]
    assert subprocess.run(guarded, env=gone, timeout=20).returncode == 1


def test_a_run_folder_is_this_persons_alone_and_stays_while_its_process_runs():
    folder = run_folders.run_folder()
    run_folders.remove_unused_run_folders()
    assert folder.exists()
    assert folder in run_folders.used_run_folders()
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o700


# Ports


def test_a_free_port_can_be_listened_at_and_is_not_free_then():
    port = free_port()
    assert is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
    assert is_free(port)


FORKS = """
import os, sys
from workshop.run_folders import run_folder
print(run_folder(), flush=True)
if os.fork() == 0:
    print("here", flush=True)
    sys.stdin.read()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_process_that_was_forked_does_not_keep_the_folder_of_the_one_it_came_from():
    parent = subprocess.Popen([sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    folder = Path(parent.stdout.readline().strip())
    assert parent.stdout.readline() == "here\n"
    parent.wait(30)
    assert not run_folders.in_use(folder)  # and the child waits
    parent.stdin.close()
    parent.stdout.close()
