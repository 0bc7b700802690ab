"""`python -m workshop demo`, as a person runs it: in a folder of their own, with real files, on a real local AWS."""

import os
import re
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import pytest
from PIL import Image

from workshop.cloud.choices import SettingsError, load
from workshop.commands import main
from workshop.demo.show import THUMBNAILS, keep, show
from workshop.folders import RUNS_FOLDER

pytest_plugins = ["django_site_fixtures"]

MODES = {"bad-key": "HTTP 401", "receiver-down": "HTTP 502", "poison": "its body is not a message: Expecting value"}
ROTATED = 0x0112  # the EXIF tag that says which way up the picture is


@dataclass
class Demo:
    """A finished demo. `text` is both of its streams with every run of white space made one blank."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return " ".join((self.out + self.err).split())

    @property
    def thumbnails(self) -> list[Path]:
        return [Path(path) for path in re.findall(r"(?m)^  (\S+\.webp)  ", self.out)]


def start(*arguments, folder: Path, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "workshop", "demo", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen) -> Demo:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in out + err, err
    return Demo(process.returncode, out, err)


def demo(*arguments, folder: Path, **environment: str) -> Demo:
    return finish(start(*arguments, folder=folder, **environment))


@pytest.fixture
def name():
    """A name that no other test's thumbnail has; its thumbnails are removed afterwards."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    for path in THUMBNAILS.glob(f"{name}*"):
        path.unlink()


def photo(path: Path, size=(600, 400)) -> Path:
    """A JPEG as a phone writes it that was held upright: stored lying, with the turn in its EXIF data."""
    exif = Image.Exif()
    exif[ROTATED] = 6
    Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 50).convert("RGB").save(path, exif=exif)
    return path


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """mode -> its finished demo. All three run at the same time, as each mostly waits for the next delivery."""
    processes = {mode: start("--break", mode, folder=tmp_path_factory.mktemp(mode)) for mode in MODES}
    yield cache(lambda mode: finish(processes[mode]))
    for process in processes.values():
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished demo of one photo, on a machine whose proxy answers nobody."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    folder = tmp_path_factory.mktemp("whole")
    proxy = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    yield demo(photo(folder / f"{name}.jpg").name, folder=folder, **proxy)
    for path in THUMBNAILS.glob(f"{name}*"):
        path.unlink()


def test_a_proxy_in_the_environment_is_not_asked_for_servers_on_this_machine(whole):
    assert whole.status == 0, whole.text


def test_demo_on_a_real_jpeg_ends_with_its_thumbnail_the_right_way_up(whole):
    assert whole.status == 0, whole.text
    assert whole.err == ""
    [thumbnail] = whole.thumbnails
    assert thumbnail.parent == THUMBNAILS
    with Image.open(thumbnail) as image:
        assert (image.format, image.size) == ("WEBP", (171, 256))


def test_the_timeline_shows_each_step_in_order_and_says_first_what_is_in_use(whole):
    assert whole.out.startswith("AWS     local (moto)")
    steps = (
        "Tunnel  the offline agent",
        "saved the image",
        "took the message",
        "got it from the queue",
        "got it through the tunnel",
        "had the thumbnail ready",
        "reported success",
        "deleted the message",
    )
    positions = [whole.out.index(step) for step in steps]
    assert positions == sorted(positions)
    milliseconds = [int(row.split()[0]) for row in whole.out.splitlines() if re.match(r" +\d+ ", row)]
    assert milliseconds[0] == 0
    assert milliseconds == sorted(milliseconds)


def test_piped_it_is_plain_text_of_at_most_80_columns(whole):
    assert "\x1b" not in whole.out
    lines = [line for line in whole.out.splitlines() if ".webp" not in line]  # a path stays in one piece
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pty module")
def test_in_a_terminal_it_draws_a_picture_and_shows_its_thumbnail_in_colours(tmp_path):
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "workshop", "demo"],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "80", "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
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


@pytest.mark.parametrize("mode", MODES)
def test_each_break_mode_ends_in_the_dead_letter_queue_with_its_reason_and_no_other_message_harmed(broken, mode):
    finished = broken(mode)
    assert finished.status == 0, finished.text
    for number in (1, 2, 3):
        assert f"try {number} of 3 failed: {MODES[mode]}" in finished.text
    assert "In the dead-letter queue: 1 message" in finished.text
    assert f"3 deliveries, each in vain: {MODES[mode]}" in finished.text
    for name in ("picture-2.jpg", "picture-3.jpg"):
        assert finished.text.count(f"got {name}") == 1
    assert "The other 2 arrived, once each." in finished.text
    assert len(finished.thumbnails) == 2
    assert not [path for path in finished.thumbnails if not path.exists()]


def test_each_refused_file_is_named_with_its_reason_and_the_others_arrive_at_each_of_three_receivers(tmp_path, name):
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty.png").touch()
    big = photo(tmp_path / "big.jpg")
    big.write_bytes(big.read_bytes() + bytes(10 * 1024 * 1024))
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    (tmp_path / "folder").mkdir()
    good = photo(tmp_path / f"{name}.jpg")
    arguments = ["notes.txt", "empty.png", "big.jpg", "bomb.png", "folder", "note.txt", good.name]
    finished = demo("--apps", 3, *arguments, folder=tmp_path)
    assert finished.status == 1
    for refusal in (
        "refused notes.txt: This file cannot be read as an image.",
        "refused empty.png: This file cannot be read as an image.",
        "refused big.jpg: The file has 10.0 MB. At most 10 MB are taken",
        "refused bomb.png: The image has more than the 25,000,000 pixels",
        "refused folder: This is a folder.",
        "refused note.txt: There is no such file. Did you mean notes.txt?",
    ):
        assert refusal in finished.text
    for number in (1, 2, 3):
        assert finished.text.count(f"Django receiver {number} got it through the tunnel; the key was right") == 1
        assert finished.text.count(f"Django receiver {number} had the thumbnail ready") == 1
    assert finished.text.count("saved the image") == 1
    assert finished.text.count("took the message") == 1
    assert [path.name for path in finished.thumbnails] == [f"{name}-receiver-{number}.webp" for number in (1, 2, 3)]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_where_no_file_is_left_nothing_is_started(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "notes.txt").write_text("no image")
    finished = demo("pipe.jpg", "nowhere.jpg", "notes.txt", folder=tmp_path)
    assert (finished.status, finished.out) == (1, "")
    assert "refused pipe.jpg: This is not a file with an image in it." in finished.text
    assert "refused notes.txt" in finished.text
    assert "nothing was started" in finished.text


@pytest.mark.parametrize("number", ["0", "9", "-1", "many"])
def test_a_number_of_apps_that_cannot_be_run_is_refused(number, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["demo", "--apps", number])
    assert "--apps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ({"mode": "poison"}, {"WORKSHOP_AWS": "real"}, "sends no broken messages through your own account"),
        ({}, {"WORKSHOP_AWS": "real"}, "there is no NGROK_AUTHTOKEN: the function on AWS cannot reach this machine"),
        ({"apps": 2}, {"WORKSHOP_AWS": "real", "NGROK_AUTHTOKEN": "x"}, "can reach only the one receiver"),
        ({}, {"WORKSHOP_AWS": "maybe"}, "WORKSHOP_AWS is 'maybe'"),
        ({}, {"AWS_ENDPOINT_URL": "localhost:4566"}, "AWS_ENDPOINT_URL is 'localhost:4566'"),
    ],
)
def test_settings_that_the_demo_cannot_work_with_end_in_a_sentence(monkeypatch, arguments, environment, said):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=said):
        show([], **arguments)


def test_an_aws_that_does_not_answer_ends_in_a_sentence(tmp_path):
    finished = demo(folder=tmp_path, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert finished.status == 1
    assert "saved" not in finished.out
    assert "AWS_ENDPOINT_URL" in finished.err


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a console, not to a process")
def test_ctrl_c_closes_everything(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "workshop", "demo", "--break", "poison"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where pytest is in the background
    )
    while "got 3 messages" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2  # AWS, Django
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode in (130, -signal.SIGINT)
    assert err == "\nStopped.\n"
    assert not [child for child in children if child.is_running()]
    assert list(RUNS_FOLDER.glob(f"{process.pid}-*")) == []


def test_a_thumbnail_that_was_kept_replaces_one_of_an_earlier_demo_but_none_of_the_same(tmp_path, name):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("first")
    second.write_text("second")
    kept = keep(first, name, "", taken=[])
    assert keep(second, name, "", taken=[]) == kept
    assert kept.read_text() == "second"
    assert keep(first, name, "", taken=[kept]).name == f"{name}-2.webp"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"apps": [{"endpoint": "http://a", "key": "s3cret"}], "data": 1}', '"key": "***"'),
        ('{"apps": [{"endpoint": "http://a", "key": "s3cret"}', '"key": "***"'),
        ("not JSON", "not JSON"),
    ],
)
def test_a_dead_letter_is_shown_without_its_keys(django_site, body, shown):
    from workshop.demo.breakage import without_keys

    assert shown in without_keys(body)
    assert "s3cret" not in without_keys(body)


def test_an_env_file_from_windows_is_read_and_one_that_is_not_text_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKSHOP_AWS")
    env_file = tmp_path / ".env"
    env_file.write_bytes("WORKSHOP_AWS=real\r\n".encode("utf-8-sig"))
    assert load(env_file).real_aws
    env_file.write_bytes(b"WORKSHOP_AWS=\xff\n")
    with pytest.raises(SettingsError, match=r"\.env is not UTF-8 text"):
        load(env_file)
