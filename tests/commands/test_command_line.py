"""`python3 -m workshop`: what a newcomer types, and what it answers."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from copied_checkout import Copy

import workshop
from workshop import __main__ as main_module
from workshop import commands
from workshop.commands import main
from workshop.folders import CHECKOUT
from workshop.lab.processes import free_port
from workshop.names import PROGRAM


def run(*arguments, python=sys.executable, flags=(), **variables):
    return subprocess.run(
        [python, *flags, "-m", "workshop", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


# Help


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"], ["help"]], ids=str)
def test_without_a_command_the_first_thing_to_type_stands_first_and_every_command_has_a_line(arguments, capsys):
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("Type this first.")
    assert lines[4] == f"    {PROGRAM} lab"
    for name in commands.available():
        [line] = [line for line in lines if line.startswith(f"    {name} ")]
        assert line.split(maxsplit=1)[1] == commands.load(name).HELP
    assert {"lab", "test", "demo", "doctor", "clean", "deploy", "progress"} <= set(commands.available())
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("name", commands.available())
def test_each_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: {PROGRAM} {name}")
    assert commands.load(name).__doc__.strip().splitlines()[0] in said


@pytest.mark.parametrize("name", commands.available())
def test_the_line_about_a_command_is_one_short_phrase(name):
    assert re.fullmatch(r"[a-z][^\n]{10,70}[^.\n]", commands.load(name).HELP)


@pytest.mark.parametrize(
    "arguments", [[], ["lab", "--help"], ["demo", "--help"], ["clean", "--help"], ["demoo"]], ids=str
)
def test_help_needs_nothing_but_the_standard_library(arguments):
    done = run(*arguments, flags=("-S",))  # without site-packages
    assert done.returncode == (2 if arguments == ["demoo"] else 0)
    assert "Traceback" not in done.stderr


def test_importing_the_package_imports_no_other():
    code = "import sys; before = set(sys.modules); import workshop; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.stdout == "['workshop']\n"


def test_its_names_load_when_they_are_used_and_others_are_refused():
    assert {"Lab", "EventSourceMapping", "invoke"} <= set(dir(workshop))
    assert workshop.EventSourceMapping.__name__ == "EventSourceMapping"
    with pytest.raises(AttributeError, match="module 'workshop' has no attribute 'Labb'"):
        workshop.Labb  # noqa: B018


# Mistakes


@pytest.mark.parametrize(
    ("typed", "meant"), [("demoo", "demo"), ("dmeo", "demo"), ("Lab", "lab"), ("tests", "test"), ("cleanup", "clean")]
)
def test_a_command_that_there_is_not_is_told_with_the_one_that_was_meant(typed, meant, capsys):
    assert main([typed]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    first, *rest = said.err.splitlines()
    assert first == f"There is no command '{typed}'. Did you mean: {PROGRAM} {meant}"
    assert f"    {PROGRAM} lab" in rest


def test_a_command_like_no_other_is_answered_with_all_of_them(capsys):
    assert main(["xyzzy"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("There is no command 'xyzzy'.\n\n")
    assert "All commands:" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lab", "--prot", "8888"], "This command has no argument '--prot'."),
        (["lab", "--no-brow"], "This command has no argument '--no-brow'."),
        (["lab", "somewhere"], "This command has no argument 'somewhere'."),
        (["lab", "--port", "many"], "Argument --port: invalid int value: 'many'."),
        (["lab", "--port"], "Argument --port: expected one argument."),
        (["clean", "everything"], "This command has no argument 'everything'."),
    ],
    ids=str,
)
def test_a_wrong_argument_is_a_sentence_and_where_to_read_more(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{sentence} {PROGRAM} {arguments[0]} --help explains each argument.\n" in said.err
    assert said.err.startswith(f"usage: {PROGRAM} {arguments[0]}")


def test_a_port_that_is_taken_is_a_sentence(receiver, monkeypatch, capsys):
    monkeypatch.setattr(commands.load("lab"), "_running_server", lambda *_: None)
    with pytest.raises(SystemExit, match="2"):
        main(["lab", "--no-browser", "--port", str(urlsplit(receiver.url).port)])
    assert "it is taken, or not a port. Leave --port out." in capsys.readouterr().err


def test_ctrl_c_ends_a_command_with_a_word_and_the_status_that_shells_know(monkeypatch, capsys):
    command = commands.load("progress")

    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    assert main(["progress"]) == 130
    assert capsys.readouterr().err == "\nStopped.\n"


def test_arguments_of_test_go_to_pytest():
    done = run("test", "--version", "-n", "0")
    assert done.returncode == 0
    assert done.stdout.startswith("pytest ")


# A Python that is too old


def other_pythons() -> dict[str, str]:
    """Version -> program, of the Pythons on PATH, and of pyenv's and uv's, that are older than the workshop needs."""
    home = Path.home()
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep) if folder]
    folders += (Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions").glob("*/bin")
    folders += (home / ".local" / "share" / "uv" / "python").glob("*/bin")
    found = {}
    for folder in folders:
        for name in ("python2", "python2.7", *(f"python3.{minor}" for minor in range(6, 11))):
            if program := shutil.which(name, path=str(folder)):
                code = "import sys; sys.stdout.write('.'.join(map(str, sys.version_info[:3])))"
                said = subprocess.run([program, "-c", code], capture_output=True, text=True)
                if said.returncode == 0 and said.stdout:
                    found.setdefault(said.stdout.rpartition(".")[0], program)
    return found


def test_a_python_that_is_too_old_says_so_in_one_sentence_and_what_to_run_instead(tmp_path):
    old = other_pythons()
    if not old:
        pytest.skip("there is no Python here that is older than 3.11")
    copy = Copy(tmp_path / "checkout")  # old Pythons leave their .pyc files beside the code
    for version, python in old.items():
        done = copy.run("demo", "photo.jpg", python=python)
        assert done.returncode == 1, version
        assert done.stdout == ""
        assert done.stderr.startswith(f"This workshop needs Python 3.11 or newer; this is {version}.")
        assert done.stderr.endswith("python3.12 -m workshop demo photo.jpg\n")
        assert len(done.stderr.splitlines()) == 1
    print("too old:", *old)


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 8, 1), (3, 10, 99)])
def test_every_version_before_3_11_is_too_old(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(sys, "argv", ["workshop", "lab"])
    this = ".".join(map(str, version))
    assert main_module.too_old().startswith(
        f"This workshop needs Python 3.11 or newer; this is {this} ({sys.executable})"
    )


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 13, 1), (4, 0, 0)])
def test_3_11_and_later_are_not(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    assert main_module.too_old() is None


# lab


@pytest.fixture
def copy(tmp_path):
    copy = Copy(tmp_path / "a checkout")
    copy.pretend_it_is_installed()
    (copy.folder / "notebooks").mkdir()
    shutil.copy(CHECKOUT / "notebooks" / "00_start_here.ipynb", copy.folder / "notebooks")
    yield copy
    for record in copy.work.rglob("*.pid"):  # only where a test failed half-way
        copy.run("clean", "--force")
        record.unlink(missing_ok=True)


def status(address, path, token=None):
    """HTTP status of a GET on the server of `address`."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    try:
        connection.request("GET", path, headers={"Authorization": f"token {token}"} if token else {})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.skipif(os.name == "nt", reason="the test presses Ctrl-C as POSIX terminals do")
def test_lab_starts_jupyterlab_on_the_first_chapter_kept_to_itself_and_ctrl_c_stops_it(copy, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    port = free_port()
    lab = copy.start("lab", "--no-browser", "--port", str(port), HOME=str(home))
    said = ""
    while "Press Ctrl-C" not in said:
        line = lab.stdout.readline()
        assert line, lab.stderr.read()
        said += line
    [address] = re.findall(r"http://\S+", said)
    token = parse_qs(urlsplit(address).query)["token"][0]
    assert address == f"http://127.0.0.1:{port}/lab/tree/notebooks/00_start_here.ipynb?token={token}"
    assert status(address, "/api/contents/notebooks/00_start_here.ipynb", token) == 200
    assert status(address, "/api/contents/notebooks/00_start_here.ipynb") == 403
    assert status(address, "/lab/tree/notebooks/00_start_here.ipynb", token) == 200

    again = copy.run("lab", "--no-browser", HOME=str(home))
    assert again.returncode == 0
    assert "JupyterLab is running already, at" in again.stdout
    assert address in again.stdout

    processes = psutil.Process(lab.pid).children(recursive=True)
    assert processes
    lab.send_signal(signal.SIGINT)
    out, err = lab.communicate(timeout=30)
    assert lab.returncode == 0
    assert "Stopping JupyterLab ..." in err
    assert "Traceback" not in out + err
    _, alive = psutil.wait_procs(processes, timeout=15)
    assert alive == []
    assert list(home.iterdir()) == []  # nothing of Jupyter's in the person's own folders
