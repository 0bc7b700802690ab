"""`clean` stops what was left running and removes what was created: nothing in use, and nothing of the person's."""

import json
import os
import subprocess
import sys

import psutil
import pytest
from copied_checkout import Copy

from workshop.lab.processes import has_ended

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def copy(tmp_path):
    """A checkout that was worked in: progress, a download, a log."""
    copy = Copy(tmp_path / "checkout")
    copy.pretend_it_is_installed()
    copy.work.mkdir()
    (copy.work / "progress.json").write_text("{}")
    (copy.work / "wheels").mkdir()
    (copy.work / "wheels" / "a.whl").write_text("")
    (copy.work / "install.log").write_text("")
    return copy


@pytest.fixture
def started():
    """Processes of a test, ended after it."""
    processes = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def sleeper(started):
    """sleeper() -> the psutil.Process of a program that does nothing."""

    def start():
        started.append(psutil.Popen(SLEEPS))
        return started[-1]

    return start


def ended_parent():
    """The pid and create time of a process that has ended."""
    process = psutil.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born = process.create_time()
    process.communicate(b"\n")
    return process.pid, born


def run_folder(copy, pid):
    folder = copy.work / "runs" / f"{pid}-abcd"
    folder.mkdir(parents=True)
    (folder / "db.sqlite3").write_text("")
    return folder


def record(folder, process, parent, name="aws", **changed):
    """What processes.Child writes for a process that `parent` (pid, create time) started."""
    values = {
        "pid": process.pid,
        "create_time": process.create_time(),
        "name": name,
        "parent": parent[0],
        "parent_create_time": parent[1],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.pid").write_text(json.dumps(values | changed))


def runs(process):
    return not has_ended(process)


def left(copy):
    return sorted(path.relative_to(copy.work).as_posix() for path in copy.work.rglob("*") if path.is_file())


KEPT = ["progress.json", "wheels/a.whl"]


def test_what_was_left_running_is_stopped_and_what_was_created_is_removed_but_the_progress(copy, sleeper):
    parent, process = ended_parent(), sleeper()
    folder = run_folder(copy, parent[0])
    record(folder, process, parent)
    done = copy.run("clean")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Stopped aws (process {process.pid})." in done.stdout
    assert f"Removed {folder}" in done.stdout
    assert f"Removed {copy.work / 'install.log'}" in done.stdout
    assert not runs(process)
    assert left(copy) == KEPT
    again = copy.run("clean")
    assert again.returncode == 0
    assert left(copy) == KEPT


def test_what_a_process_left_behind_is_stopped_too(copy, started, tmp_path):
    script = f"import subprocess, time; print(subprocess.Popen({SLEEPS!r}).pid, flush=True); time.sleep(600)"
    process = psutil.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    started.append(process)
    grandchild = psutil.Process(int(process.stdout.readline()))
    process.stdout.close()
    record(copy.work / "jupyter", process, ended_parent(), name="jupyterlab")
    assert copy.run("clean").returncode == 0
    assert not runs(process)
    assert not runs(grandchild)


def test_what_is_in_use_is_named_and_left_alone_unless_forced(copy, sleeper):
    me = psutil.Process()
    process = sleeper()
    folder = run_folder(copy, me.pid)
    record(folder, process, (me.pid, me.create_time()))
    done = copy.run("clean")
    assert done.returncode == 1
    assert f"In use: aws (process {process.pid}), started by process {me.pid}." in done.stdout
    assert "These were left alone. Close the notebook or press Ctrl-C in its terminal, or add --force." in done.stderr
    assert runs(process)
    assert "install.log" in left(copy)
    assert folder.exists()
    forced = copy.run("clean", "--force")
    assert forced.returncode == 0
    assert f"Stopped aws (process {process.pid})." in forced.stdout
    assert not runs(process)
    assert left(copy) == KEPT


def test_what_is_left_is_stopped_also_when_something_else_is_in_use(copy, sleeper):
    me = psutil.Process()
    used, unused = sleeper(), sleeper()
    parent = ended_parent()
    record(run_folder(copy, me.pid), used, (me.pid, me.create_time()))
    record(run_folder(copy, parent[0]), unused, parent, name="django")
    done = copy.run("clean")
    assert done.returncode == 1
    assert f"Stopped django (process {unused.pid})." in done.stdout
    assert [runs(used), runs(unused)] == [True, False]
    assert not (copy.work / "runs" / f"{parent[0]}-abcd").exists()


def test_a_number_that_another_process_has_now_is_not_ours_to_stop(copy, sleeper):
    process = sleeper()
    record(copy.work / "runs" / "1-a", process, ended_parent(), create_time=process.create_time() - 100)
    done = copy.run("clean")
    assert done.returncode == 0
    assert "Stopped" not in done.stdout
    assert runs(process)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "create_time": null}', "\ud800"])
def test_a_record_that_cannot_be_read_is_no_obstacle(copy, text):
    folder = copy.work / "runs" / "1-a"
    folder.mkdir(parents=True)
    (folder / "aws.pid").write_bytes(text.encode("utf-8", "surrogatepass"))
    done = copy.run("clean")
    assert (done.returncode, done.stderr) == (0, "")
    assert left(copy) == KEPT


def test_only_stop_removes_nothing(copy, sleeper):
    process, before = sleeper(), left(copy)
    record(copy.work / "runs" / "1-a", process, ended_parent())
    done = copy.run("clean", "--only-stop")
    assert done.returncode == 0
    assert not runs(process)
    assert set(before) < set(left(copy))


def test_where_nothing_was_created_there_is_nothing_to_clean(tmp_path):
    copy = Copy(tmp_path / "checkout")
    done = copy.run("clean")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Nothing to clean.\n", "")
    assert not copy.work.exists()


# --all


def test_all_asks_first_and_removes_nothing_without_a_yes(copy):
    for answer in ("", "\n", "no\n", "yess\n"):
        asked = subprocess.run(
            [sys.executable, "-m", "workshop", "clean", "--all"],
            cwd=copy.folder,
            input=answer,
            capture_output=True,
            text=True,
        )
        assert asked.returncode == 1
        assert asked.stdout.startswith(f"This removes {copy.work} with your progress, and {copy.venv}.")
        assert asked.stdout.endswith("Nothing was removed.\n")
    assert set(KEPT) < set(left(copy))


def test_all_removes_everything_and_the_venv_that_the_workshop_made(copy):
    copy.venv.mkdir()
    (copy.venv / "made-by-workshop.json").write_text("{}")
    done = copy.run("clean", "--all", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Removed {copy.venv}" in done.stdout
    assert not copy.venv.exists()
    assert not copy.work.exists()


def test_a_venv_that_a_person_made_stays(copy):
    copy.venv.mkdir()
    (copy.venv / "pyvenv.cfg").write_text("")
    done = copy.run("clean", "--all", "--yes")
    assert done.returncode == 0
    assert f"{copy.venv} was not made by the workshop: it stays." in done.stdout
    assert copy.venv.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows lets not everybody make links")
def test_what_a_link_leads_to_stays(copy, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "made-by-workshop.json").write_text("{}")
    copy.venv.symlink_to(mine)
    (copy.work / "runs").symlink_to(mine)
    done = copy.run("clean", "--all", "--yes")
    assert done.returncode == 0
    assert (mine / "made-by-workshop.json").exists()
    assert copy.venv.is_symlink()
    assert not copy.work.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows lets not everybody make links")
def test_a_work_folder_that_lies_on_another_disk_is_emptied(copy, tmp_path):
    copy.work.rename(tmp_path / "disk")
    copy.work.symlink_to(tmp_path / "disk")
    done = copy.run("clean", "--all", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "disk").iterdir()) == []
    assert not copy.work.is_symlink()


# Where the packages are not there


def test_without_the_packages_records_of_processes_are_respected_unless_forced(copy):
    parent = ended_parent()
    folder = run_folder(copy, parent[0])

    def clean(*arguments):
        return subprocess.run(
            [sys.executable, "-S", "-m", "workshop", "clean", *arguments],
            cwd=copy.folder,
            capture_output=True,
            text=True,
        )

    done = clean()
    assert done.returncode == 1
    assert "without the packages the workshop cannot tell whether they still run" in done.stderr
    assert folder.exists()
    assert clean("--force").returncode == 0
    assert left(copy) == KEPT


def test_a_file_that_cannot_be_removed_is_a_sentence(tmp_path):
    copy = Copy(tmp_path / "checkout")
    copy.work.write_text("not a folder")
    done = copy.run("clean")
    assert done.returncode == 1
    assert "is in the way: it should be a folder. Move it away, then run this again." in done.stderr
    assert "Traceback" not in done.stderr
