"""The room's board, as an instructor and thirty learners use it: the commands, real HTTP, the page."""

import csv
import errno
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Semaphore
from types import SimpleNamespace

import psutil
import pytest

from workshop.board.telling import BoardError, Telling
from workshop.exercises import Exercise, notebook
from workshop.folders import CHECKOUT
from workshop.lab.processes import free_port

QUESTIONS = [(chapter, name) for chapter in notebook.chapters() for name in notebook.questions(chapter)]


def workshop(*arguments, folder=None, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "workshop", *map(str, arguments)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **({"WORKSHOP_BOARD_FOLDER": str(folder)} if folder else {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def said_by(*arguments, folder=None):
    process = workshop(*arguments, folder=folder)
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


def start(file, *arguments):
    """`python3 -m workshop board`, and what it printed."""
    process = workshop("board", "--file", file, "--host", "127.0.0.1", "--no-browser", *arguments)
    said = ""
    while "Press Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    address, code = re.search(r"join (\S+) (\S+) NAME", said).groups()
    [page] = re.findall(r"http://[^/]+(/page/\S+)", said)
    return SimpleNamespace(process=process, file=file, address=address, code=code, page=page)


def kill(board):
    """As a battery does that is empty. Its server ends with it."""
    family = psutil.Process(board.process.pid).children(recursive=True)
    board.process.kill()
    board.process.communicate()
    assert not psutil.wait_procs(family, timeout=30)[1]


def stop(board):
    """Ctrl-C in its terminal."""
    board.process.send_signal(signal.SIGINT)
    said, _ = board.process.communicate(timeout=30)
    assert str(board.file) in said


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    board = start(tmp_path_factory.mktemp("board") / "board.sqlite3")
    yield board
    kill(board)


@pytest.fixture
def joined(board, tmp_path):
    """joined(name) -> a learner's Telling."""

    def join(name):
        telling = Telling(tmp_path / str(len(list(tmp_path.iterdir()))))
        telling.join(board.address, board.code, name)
        return telling

    return join


def post(board, path, token, message, **headers):
    connection = http.client.HTTPConnection(board.address, timeout=30)
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"} | headers
    connection.request("POST", path, json.dumps(message), headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def get(board, path):
    connection = http.client.HTTPConnection(board.address, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers


def told(board, folder):
    """What the board was told, from its table: (name, what, chapter, question)."""
    table = folder / f"{len(list(folder.iterdir()))}.csv"
    status, said = said_by("board", "--file", board.file, "--export", table)
    assert status == 0, said
    with table.open(encoding="utf-8-sig", newline="") as lines:
        return [tuple(row.values())[1:] for row in csv.DictReader(lines)]


def row_of(board, name):
    [row] = re.findall(rf"<tr(?:(?!</tr>).)*<bdi>{re.escape(name)}</bdi>.*?</tr>", get(board, board.page)[1], re.DOTALL)
    return row


def chapter_1(board, name):
    """How many of its questions are right on the page, and tried: what a screen reader hears."""
    right, tried = re.search(r"(\d+) of \d+ right, (\d+) tried", row_of(board, name)).groups()
    return int(right), int(tried)


def test_thirty_learners_five_cut_off_and_the_board_killed_and_nothing_is_lost_or_doubled(tmp_path):
    board = start(tmp_path / "board.sqlite3")
    learners = {f"learner {n}": Telling(tmp_path / f"learner {n}") for n in range(30)}
    cut_off = list(learners)[:5]
    expected = Counter()
    half_told = Semaphore(0)

    def tell(name, questions):
        for number, (chapter, question) in enumerate(questions):
            for what in ("wrong", "right") if number % 2 else ("right",):
                learners[name].tell(what, chapter, question)
                expected[name, what, chapter, question] += 1
            half_told.release()

    def lead(names, address):
        for name in names:
            file = tmp_path / name / "membership.json"
            file.write_text(json.dumps(json.loads(file.read_text()) | {"address": address}))

    with ThreadPoolExecutor(30) as room:
        list(room.map(lambda name: learners[name].join(board.address, board.code, name), learners))
        list(room.map(lambda name: tell(name, QUESTIONS[:2]), learners))
        lead(cut_off, f"127.0.0.1:{free_port()}")
        half_told = Semaphore(0)
        telling = [room.submit(tell, name, QUESTIONS[2:4]) for name in learners]
        for _ in range(30):
            half_told.acquire()
        kill(board)
        assert [each.exception() for each in telling] == [None] * 30
        again = start(tmp_path / "board.sqlite3")
        assert (again.address, again.code, again.page) == (board.address, board.code, board.page)
        lead(cut_off, board.address)
        list(room.map(lambda name: tell(name, QUESTIONS[4:6]), learners))
        assert set(room.map(Telling.send, learners.values())) == {""}  # while their own threads send, too
    assert Counter(told(again, tmp_path)) == expected
    if os.name == "nt":  # a test cannot press Ctrl-C there
        kill(again)
        return
    stop(again)
    assert [file.name for file in tmp_path.glob("board*")] == ["board.sqlite3"]


@pytest.mark.skipif(os.name == "nt", reason="the test kills as POSIX does")
def test_what_a_killed_kernel_could_not_tell_goes_with_the_next(board, joined, tmp_path):
    learner = joined("Ana of the killed kernel")
    check = (
        "import os, signal; from workshop.board import telling; telling.PAUSES = (0.01,)\n"
        "telling._deliver = lambda *message: 'The board does not answer.'\n"
        "telling.tell('right', '01_create_the_queue', 'q1'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "WORKSHOP_BOARD_FOLDER": str(tmp_path / "0")}
    assert subprocess.run([sys.executable, "-c", check], cwd=CHECKOUT, env=environment).returncode == -signal.SIGKILL
    assert chapter_1(board, "Ana of the killed kernel") == (0, 0)
    learner.keep("wrong", chapter="01_create_the_queue", question="q2")
    assert learner.send() == ""
    assert chapter_1(board, "Ana of the killed kernel") == (1, 1)


def test_a_check_of_an_exercise_tells_the_board(board, capsys):
    learner = Telling()
    learner.join(board.address, board.code, "who checks")
    exercise = Exercise("01_create_the_queue", quiet=True)
    exercise.questions[0].check("http://127.0.0.1:9/no-queue")
    assert learner.send() == ""
    assert chapter_1(board, "who checks") == (0, 1)
    learner.leave()
    exercise.questions[0].check("http://127.0.0.1:9/no-queue-either")
    exercise.lab.close()
    assert chapter_1(board, "who checks") == (0, 1)


def test_a_check_waits_for_no_board_that_hangs_and_fails_for_no_disk_that_is_full(receiver, board, joined, monkeypatch):
    learner = joined("Bo")
    checked = Event()
    receiver.answer = lambda request: (checked.wait(), (200, {}, b"a login page"))[1]
    learner._file.write_text(json.dumps(learner.membership() | {"address": receiver.url.partition("//")[2]}))
    learner.tell("right", "01_create_the_queue", "q1")  # the receiver answers only after the next line
    checked.set()
    assert "does not answer" in learner.send()  # what says 200 to everything is no board
    learner._file.write_text(json.dumps(learner.membership() | {"address": board.address}))

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    learner.tell("right", "01_create_the_queue", "q2")
    assert learner.send() == ""
    assert chapter_1(board, "Bo") == (2, 0)


def test_a_hand_goes_up_and_down_and_who_leaves_has_none(board, tmp_path):
    assert said_by("hand", "up", folder=tmp_path)[0] == 1  # has not joined
    status, said = said_by(
        "join", f"http://{board.address}/", f" {board.code.lower()} ", "João", "Pedro", folder=tmp_path
    )
    assert status == 0, said
    for way, raised in [("up", True), ("up", True), ("down", False), ("up", True)]:
        assert said_by("hand", way, folder=tmp_path) == (0, f"Your hand is {way}.\n")
        assert (">hand</b>" in row_of(board, "João Pedro")) is raised
    assert said_by("leave", folder=tmp_path) == (0, "You have left the board.\n")
    assert ">hand</b>" not in row_of(board, "João Pedro")
    assert "left</small>" in row_of(board, "João Pedro")
    assert list(tmp_path.rglob("*.json")) == []


def test_a_name_is_what_somebody_typed_and_nothing_else(board, joined, tmp_path):
    joined("<script>alert(1)</script>").keep("up")
    Telling(tmp_path / "0").send()
    joined("Eve"), joined("eve")
    joined("=1+1").tell("right", "01_create_the_queue", "q1")
    Telling(tmp_path / "3").send()
    joined("\u202egnp.exe\n" + "x" * 60)
    page = get(board, board.page)[1]
    assert "<script>alert" not in page
    for name in ("&lt;script&gt;alert(1)&lt;/script&gt;", "Eve", "eve (2)", "=1+1", "gnp.exe " + "x" * 32):
        assert f"<bdi>{name}</bdi>" in page
    assert ("'=1+1", "right", "01_create_the_queue", "q1") in told(board, tmp_path)
    with pytest.raises(BoardError, match="name that can be read"):
        joined("\u200b \n")
    Telling(tmp_path / "1").join(board.address, board.code, "Eva")  # corrected: no second row
    assert get(board, board.page)[1].count("<bdi>Ev") == 1


def test_nobody_speaks_for_another_nor_sees_the_page_without_its_link(board, joined):
    message = {"what": "right", "chapter": "01_create_the_queue", "question": "q1"}
    one, other = joined("One"), joined("Other")
    assert post(board, "/events", "k" * 43, message, **{"Idempotency-Key": "1"})[0] == 401
    for learner in (one, one, other):  # the same id of two learners is two messages, of one learner is one
        status, said = post(board, "/events", learner.membership()["key"], message, **{"Idempotency-Key": "1"})
        assert status == 200, said
    assert chapter_1(board, "Other") == (1, 0)
    assert post(board, "/events", one.membership()["key"], message)[0] == 400
    bad = {"what": "right", "chapter": "../etc", "question": "q1"}
    assert post(board, "/events", one.membership()["key"], bad, **{"Idempotency-Key": "2"})[0] == 400
    assert get(board, board.page)[2]["Content-Security-Policy"].startswith("default-src 'none'")
    assert get(board, "/page/guessed/")[0] == 404
    assert not re.search(f"{board.page}|{board.code}", get(board, "/")[1])


def test_it_listens_on_the_network_only_after_a_yes(tmp_path):
    status, said = said_by("board", "--file", tmp_path / "board.sqlite3", "--host", "0.0.0.0", "--port", free_port())
    assert status == 1
    assert re.search("listen on the network.*--host 127.0.0.1", said, re.DOTALL)
    (tmp_path / "text.txt").write_text("a shopping list, and no board, of more than a hundred characters" * 2)
    assert said_by("board", "--file", tmp_path / "text.txt")[1].startswith("The board cannot be kept in ")


@pytest.mark.parametrize(("address", "word"), [("room", "192.168.1.20:8123"), ("127.0.0.1:9", "same network")])
def test_an_address_that_leads_to_no_board_is_a_sentence(tmp_path, address, word):
    with pytest.raises(BoardError, match=word):
        Telling(tmp_path).join(address, "ABCDEFGH", "Ana")


def test_a_code_has_eight_characters_and_who_tries_wrong_ones_must_wait_also_with_the_right_one(board, tmp_path):
    """The last test here: this machine must wait after it."""
    assert len(board.code.replace("-", "")) >= 8
    for _ in range(5):
        with pytest.raises(BoardError, match="another code"):
            Telling(tmp_path).join(board.address, "ABCD-EFGH", "Mallory")
    with pytest.raises(BoardError, match="Wait a minute"):
        Telling(tmp_path).join(board.address, board.code, "Mallory")
    assert Telling(tmp_path).membership() is None
