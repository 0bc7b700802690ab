import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from workshop.exercises.progress_file import Done, Progress
from workshop.folders import CHECKOUT


@pytest.fixture
def file(tmp_path):
    return tmp_path / "progress.json"


def command(file, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "workshop", "progress", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "WORKSHOP_PROGRESS_FILE": str(file), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
    )


def test_what_was_done_survives_a_restart(file):
    progress = Progress(file)
    for event in ["wrong", "hint", "hint", "solution", "right"]:
        progress.record("03_receive_in_django", "q2", event)
    assert Progress(file).of("03_receive_in_django") == {"q2": Done("right", checks=2, hints=2, solution=True)}


def test_an_answer_that_was_right_once_stays_right(file):
    progress = Progress(file)
    progress.record("03_receive_in_django", "q2", "right")
    progress.record("03_receive_in_django", "q2", "wrong")
    assert progress.of("03_receive_in_django")["q2"].state == "right"


def test_a_question_that_was_not_attempted_leaves_no_trace(file):
    Progress(file).record("03_receive_in_django", "q2", "not attempted")
    assert not file.exists()


def test_two_notebooks_that_write_at_once_lose_nothing(file):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: Progress(file).record(f"{n % 4:02}_chapter", f"q{n}", "right"), range(40)))
    assert sum(len(Progress(file).of(f"{n:02}_chapter")) for n in range(4)) == 40


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{half", "is damaged"),
        ("[]", "is damaged"),
        ('{"version": 1, "chapters": {"01": {"q1": {"stars": 5}}}}', "is damaged"),
        ('{"version": 99, "chapters": {}}', "was written by another version of the workshop (99)"),
        (b"\xff\xfe", "is damaged"),
    ],
)
def test_a_file_that_cannot_be_read_is_set_aside_with_a_word(file, content, why):
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    progress = Progress(file)
    assert progress.of("01_create_the_queue") == {}
    assert why in progress.notice
    [aside] = file.parent.glob("progress.*.json")
    assert str(aside) in progress.notice
    progress.record("01_create_the_queue", "q1", "right")
    assert Progress(file).of("01_create_the_queue")["q1"].state == "right"


def test_the_command_shows_a_row_for_each_chapter(file):
    progress = Progress(file)
    progress.record("01_create_the_queue", "q1", "right")
    progress.record("01_create_the_queue", "q2", "wrong")
    progress.record("01_create_the_queue", "q2", "hint")
    shown = command(file)
    assert shown.returncode == 0
    headings, _, first, *_ = shown.stdout.splitlines()
    assert headings.split("  ")[0] == "chapter"
    assert first.split() == ["01_create_the_queue", "1", "of", "4", "1", "1", "0"]
    assert shown.stdout.splitlines()[-1].startswith("Together: 1 of ")


def test_a_certificate_says_what_was_right_and_that_nobody_else_looked(file):
    nothing = command(file, "--certificate", "Ana")
    assert (nothing.returncode, nothing.stderr) == (1, "No question is right yet, so there is nothing to certify.\n")
    progress = Progress(file)
    for name, event in [("q1", "right"), ("q2", "solution"), ("q2", "right"), ("q3", "wrong")]:
        progress.record("01_create_the_queue", name, event)
    made = command(file, "--certificate", "Ana <b>")
    assert made.returncode == 0, made.stderr
    page = (file.parent / "certificate.html").read_text(encoding="utf-8")
    assert (file.parent / "certificate.html").as_uri() in made.stdout
    assert "<h1>Ana &lt;b&gt;</h1>" in page
    assert "create the queue: 2 of " in page
    assert page.count("<li>") == 2
    assert "Self-checked" in page
    assert "For 1 of them the solution" in page


def test_reset_forgets_one_chapter_or_all(file):
    progress = Progress(file)
    progress.record("01_create_the_queue", "q1", "right")
    progress.record("03_receive_in_django", "q1", "right")
    assert command(file, "--reset", "1").stdout == "Your progress in 01_create_the_queue was reset.\n"
    assert progress.of("01_create_the_queue") == {}
    assert progress.of("03_receive_in_django") != {}
    assert command(file, "--reset").stdout == "Your progress was reset.\n"
    assert json.loads(file.read_text())["chapters"] == {}


def test_reset_of_a_chapter_that_is_not_there_says_what_to_write(file):
    refused = command(file, "--reset", "77")
    assert refused.returncode == 2
    assert "There is no exercise '77'. Write its number, 01 to " in refused.stderr
