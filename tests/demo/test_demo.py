"""`python -m workshop demo`, as a person runs it: in a folder of their own, with real files, on a real local AWS."""

import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import psutil
import pytest
from PIL import Image

from workshop import Lab
from workshop.commands import main
from workshop.demo.show import THUMBNAILS, Run, keep, show, without_keys
from workshop.demo.terminal import Screen
from workshop.folders import RUNS_FOLDER
from workshop.foreseen import Foreseen
from workshop.lab.picture import picture_file

MODES = {"bad-key": "HTTP 401", "receiver-down": "HTTP 502", "poison": "its body is not a message"}
ROTATED = 0x0112  # the EXIF tag that says which way up the picture is
WINDOWS = os.name == "nt"


@pytest.fixture(scope="module")
def name():
    """A name that no other test's thumbnail has; its thumbnails are removed afterwards."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    for path in THUMBNAILS.glob(f"{name}*"):
        path.unlink()


def photo(path: Path) -> Path:
    """A JPEG as a phone writes it that was held upright: stored lying, with the turn in its EXIF data."""
    exif = Image.Exif()
    exif[ROTATED] = 6
    Image.effect_mandelbrot((600, 400), (-2, -1.5, 1, 1.5), 50).convert("RGB").save(path, exif=exif)
    return path


def start(*arguments, folder: Path, **options) -> subprocess.Popen:
    """The command, in a folder of its own."""
    environment = {**os.environ, "COLUMNS": "80", **options.pop("env", {})}
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(
        [sys.executable, "-m", "workshop", "demo", *arguments], cwd=folder, env=environment, **options
    )


# As it should be


@pytest.fixture(scope="module")
def finished(tmp_path_factory, name):
    """(status, standard output, standard error) of one photo among files that are refused, for two receivers, on a
    machine whose proxy answers nobody.
    """
    folder = tmp_path_factory.mktemp("whole")
    photo(folder / f"{name}.jpg")
    (folder / "notes.txt").write_text("no image")
    big = photo(folder / "big.jpg")
    big.write_bytes(big.read_bytes() + bytes(10 * 1024 * 1024))
    proxy = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    process = start("--apps", "2", "notes.txt", "big.jpg", f"{name}.jpg", folder=folder, env=proxy, text=True)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in out + err, err
    return process.returncode, out, err


def test_a_photo_arrives_at_each_receiver_the_right_way_up_though_other_files_are_refused(finished, name):
    status, out, err = finished
    assert status == 1
    refused = re.findall(r"refused (\S+): (.*)", err)
    assert [file for file, _ in refused] == ["notes.txt", "big.jpg"]
    assert "cannot be read as an image" in refused[0][1]
    assert "10.0 MB" in refused[1][1]
    thumbnails = [Path(path) for path in re.findall(r"(?m)^  (\S+\.webp)  ", out)]
    assert thumbnails == [THUMBNAILS / f"{name}-receiver-{number}.webp" for number in (1, 2)]
    with Image.open(thumbnails[1]) as image:
        assert (image.format, image.size) == ("WEBP", (171, 256))


def test_the_timeline_shows_each_step_in_order_after_what_is_in_use(finished):
    _, out, _ = finished
    assert out.startswith("AWS     local (moto)")
    rows = [row.split(None, 2) for row in out.splitlines() if re.match(r" +\d+ ", row)]
    steps = ("saved", "took", "got", "got", "got", "reported success", "deleted")
    assert [step in what for step, (*_, what) in zip(steps, rows, strict=True)] == [True] * len(steps)
    assert sorted(re.findall(r"Django receiver \d", out)[-2:]) == ["Django receiver 1", "Django receiver 2"]
    milliseconds = [int(row[0]) for row in rows]
    assert milliseconds[0] == 0
    assert milliseconds == sorted(milliseconds)


def test_piped_it_is_plain_text_of_at_most_80_columns(finished):
    _, out, _ = finished
    assert "\x1b" not in out
    lines = [line for line in out.splitlines() if ".webp" not in line]  # a path stays in one piece
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.skipif(WINDOWS, reason="Windows has no pty module")
def test_in_a_terminal_it_draws_a_picture_and_shows_its_thumbnail_in_colours(tmp_path):
    import pty

    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = start(folder=tmp_path, env=terminal, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:
        pass  # Linux's way to say that the other end was closed
    os.close(ours)
    assert process.wait(timeout=10) == 0
    text = shown.decode()
    assert "picture-1.jpg" in text
    assert len(re.findall("\x1b\\[38;2;[0-9;]+m\N{UPPER HALF BLOCK}", text)) > 300


# Broken on purpose


@pytest.fixture(scope="module")
def demonstration():
    """Of two receivers, in a lab of its own."""
    with pytest.MonkeyPatch.context() as patch, Lab(expose=True, quiet=True) as lab:
        patch.setenv("ENDPOINT_ALLOWLIST", "")  # put back afterwards
        from workshop.demo.demonstration import Demonstration

        with Demonstration(lab, apps=2) as demonstration:
            yield demonstration


@pytest.mark.parametrize("mode", MODES)
def test_each_break_mode_ends_in_the_dead_letter_queue_with_its_reason_and_harms_no_other_message(
    demonstration, capsys, name, mode
):
    for message in demonstration.dead_letters():  # of the mode before
        queue = {"QueueUrl": demonstration.lab.dead_letter_queue_url}
        demonstration._sqs.delete_message(**queue, ReceiptHandle=message["ReceiptHandle"])
    pictures = [(f"{name}-{mode}-{number}.jpg", lambda mode, n=number: picture_file(n)) for number in (1, 2)]
    run = Run(Screen(), demonstration)
    run.broken(mode, pictures)
    text = " ".join(capsys.readouterr().out.split())
    assert run.ok, text
    for number in (1, 2, 3):
        assert f"try {number} of 3 failed: {MODES[mode]}" in text
    assert f"3 deliveries, each in vain: {MODES[mode]}" in text
    for picture, _ in pictures:
        assert text.count(f"got {picture} and") == 2  # once each receiver
    broken_at_one_app_alone = text.count("got broken.jpg and") == 1 and "1 app got it 3 times" in text
    assert broken_at_one_app_alone or mode == "poison"


def test_a_message_that_was_harmed_is_named_and_the_status_says_so(demonstration, capsys, name):
    other = demonstration.save(f"{name}-harmed.jpg", picture_file(1), "bad-key")
    run = Run(Screen(), demonstration)
    with demonstration.function():
        run.show([other])
    run.blame([other])
    assert not run.ok
    said = " ".join(capsys.readouterr().out.split())
    assert f"{name}-harmed.jpg did not arrive as it should. The function reported: HTTP 401" in said


@pytest.mark.skipif(WINDOWS, reason="Windows sends Ctrl-C to a console, not to a process")
def test_ctrl_c_closes_everything(tmp_path):
    deaf = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}  # as a script's background jobs are
    process = start("--break", "poison", folder=tmp_path, text=True, **deaf)
    while "AWS Lambda" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2  # AWS, Django
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "\nStopped.\n")
    assert not [child for child in children if child.is_running()]
    assert list(RUNS_FOLDER.glob(f"{process.pid}-*")) == []


# What can be in the way, before anything is started


@pytest.mark.skipif(WINDOWS, reason="Windows has no named pipes in folders")
def test_files_that_are_no_images_are_refused_before_anything_is_started(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.jpg")
    Path("notes.txt").write_text("no image")
    Path("empty.png").touch()
    Path("folder").mkdir()
    Path("cut.jpg").write_bytes(photo(tmp_path / "whole.jpg").read_bytes()[:3000])
    Image.new("1", (20_000, 20_000)).save("bomb.png")
    reasons = {
        "pipe.jpg": "not a file with an image",
        "notes.txt": "cannot be read as an image",
        "empty.png": "cannot be read as an image",
        "folder": "a folder",
        "cut.jpg": "cannot be read as an image",
        "bomb.png": "25,000,000 pixels",
        "note.txt": "no such file. Did you mean notes.txt?",
    }
    with pytest.raises(Foreseen, match="nothing was started"):
        show(list(reasons))
    out, err = capsys.readouterr()
    assert out == ""
    said = " ".join(err.split())
    for name, reason in reasons.items():
        assert re.search(f"refused {re.escape(name)}: [^:]*{re.escape(reason)}", said), name


@pytest.mark.parametrize("number", ["0", "9", "-1", "many"])
def test_a_number_of_apps_that_cannot_be_run_is_refused(number, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["demo", "--apps", number])
    assert "--apps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ({"mode": "poison"}, {"WORKSHOP_AWS": "real"}, "no broken messages"),
        ({}, {"WORKSHOP_AWS": "real"}, "no NGROK_AUTHTOKEN"),
        ({"apps": 2}, {"WORKSHOP_AWS": "real", "NGROK_AUTHTOKEN": "x"}, "only the one receiver"),
        ({}, {"WORKSHOP_AWS": "maybe"}, "WORKSHOP_AWS is 'maybe'"),
        ({}, {"AWS_ENDPOINT_URL": "localhost:4566"}, "AWS_ENDPOINT_URL is 'localhost:4566'"),
    ],
)
def test_settings_that_the_demo_cannot_work_with_end_in_a_sentence(monkeypatch, arguments, environment, said):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Foreseen, match=said):
        show([], **arguments)


def test_a_thumbnail_that_was_kept_replaces_one_of_an_earlier_demo_but_none_of_the_same(tmp_path, name):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("first")
    second.write_text("second")
    kept = keep(first, name, "", taken=[])
    assert keep(second, name, "", taken=[]) == kept
    assert kept.read_text() == "second"
    assert keep(first, name, "", taken=[kept]).name == f"{name}-2.webp"


@pytest.mark.parametrize(
    "body",
    [
        '{"apps": [{"endpoint": "http://a", "key": "s3cret"}], "data": 1}',
        r'{"apps": [{"endpoint": "http://a", "key": "\"s3cret"}], "data": 1}',
        '{"apps": [{"endpoint": "http://a", "key": "s3cret',
    ],
)
def test_a_dead_letter_is_shown_without_its_keys(body):
    assert '"key": "***"' in without_keys(body)
    assert "s3cret" not in without_keys(body)
    assert without_keys("not JSON") == "not JSON"
