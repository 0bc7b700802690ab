"""`clean` removes what was created: nothing in use, and nothing of the person's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from copied_checkout import Copy


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


OWNS = "from workshop.run_folders import run_folder; print(run_folder(), flush=True); input()"


@pytest.fixture
def owner(copy):
    """owner() -> a process of that checkout with a run folder of its own, as a notebook's kernel is; and the folder."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", OWNS], cwd=copy.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def left(copy):
    return sorted(path.relative_to(copy.work).as_posix() for path in copy.work.rglob("*") if path.is_file())


KEPT = ["progress.json", "wheels/a.whl"]


def test_what_was_created_is_removed_but_the_progress_also_what_a_killed_kernel_left(copy, owner):
    process, folder = owner()
    process.kill()
    process.wait()
    assert folder.exists()
    done = copy.run("clean")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Removed {folder}" in done.stdout
    assert f"Removed {copy.work / 'install.log'}" in done.stdout
    assert left(copy) == KEPT
    assert copy.run("clean").returncode == 0
    assert left(copy) == KEPT


def test_what_is_in_use_is_named_and_left_alone_unless_forced_and_the_rest_is_swept(copy, owner):
    (process, folder), (killed, left_behind) = owner(), owner()
    killed.kill()
    killed.wait()
    done = copy.run("clean")
    assert done.returncode == 1
    assert f"In use: {folder}, by process {process.pid}." in done.stdout
    assert "--force" in done.stderr
    assert process.poll() is None
    assert [folder.exists(), left_behind.exists()] == [True, False]
    assert "install.log" in left(copy)
    forced = copy.run("clean", "--force")
    assert forced.returncode == 0
    assert f"Stopped process {process.pid}." in forced.stdout
    process.wait(10)
    assert left(copy) == KEPT


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


def test_without_the_packages_what_is_in_use_is_respected_also_by_force(copy, owner):
    process, folder = owner()
    done = subprocess.run(
        [sys.executable, "-S", "-m", "workshop", "clean", "--force"], cwd=copy.folder, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Without the packages" in done.stderr
    assert process.poll() is None
    assert folder.exists()


def test_a_file_that_cannot_be_removed_is_a_sentence(tmp_path):
    copy = Copy(tmp_path / "checkout")
    copy.work.write_text("not a folder")
    done = copy.run("clean")
    assert done.returncode == 1
    assert "is in the way: it should be a folder. Move it away, then run this again." in done.stderr
    assert "Traceback" not in done.stderr
