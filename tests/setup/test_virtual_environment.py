"""`.venv`: made once, completed when it changed, rebuilt when it broke, and a sentence for each obstacle."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import pytest
from copied_checkout import Copy

from workshop.setup import installation, virtual_environment

BASE = sys._base_executable  # the Python that this test's own environment was made from: it has no packages
WITHOUT_UV = os.pathsep.join(
    folder for folder in os.environ["PATH"].split(os.pathsep) if not shutil.which("uv", path=folder)
)
UNREACHABLE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1", "UV_INDEX_URL": "http://127.0.0.1:9"}


def wheel(folder: Path, name: str) -> str:
    """A package of one empty module; returns its line for requirements.txt."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return f"{name} @ {path.as_uri()}\n"


@pytest.fixture
def copy(tmp_path):
    """A checkout that needs one small package, and three commands that say where they run."""
    copy = Copy(tmp_path / "a checkout")
    (copy.folder / "requirements.txt").write_text(wheel(copy.folder, "first_package"))
    copy.replace_command("demo", "needed")
    copy.replace_command("doctor", "if installed")
    copy.replace_command("progress", "not needed")
    return copy


def modules(copy):
    [site_packages] = [path for path in copy.venv.rglob("site-packages") if path.is_dir()]
    return {path.stem for path in site_packages.glob("*_package.py")}


# The whole way, with real environments. (One test, because each makes a .venv, which takes seconds.)


def test_made_by_one_of_two_starts_then_used_completed_and_rebuilt(copy):
    both = [copy.start("demo", "--status", "7", python=BASE, PATH=WITHOUT_UV, PYTHONHOME="") for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [7, 7], said
    ran = [json.loads(out) for out, _ in said]
    assert ran[0] == ran[1]
    assert Path(ran[0]["prefix"]).resolve() == copy.venv.resolve()
    assert ran[0]["virtual_env"] == str(copy.venv)
    assert Path(ran[0]["path"]).parent == copy.venv
    progress = "".join(err for _, err in said)
    assert progress.count("Making .venv with Python") == 1
    assert progress.count("Installing the packages with pip. The full log is") == 1
    assert progress.count("Ready: ") == 1
    assert modules(copy) == {"first_package"}

    again = copy.run("demo", python=BASE, PATH=WITHOUT_UV)
    assert (again.returncode, again.stderr) == (0, "")
    assert Path(json.loads(again.stdout)["prefix"]).resolve() == copy.venv.resolve()

    with (copy.folder / "requirements.txt").open("a") as requirements:
        requirements.write("second_package==1.0\n")
    offline = copy.run("demo", python=BASE, PATH=WITHOUT_UV, **UNREACHABLE)
    assert offline.returncode == 1
    assert "requirements.txt has changed." in offline.stderr
    assert "The package index could not be reached. Connect to the internet" in offline.stderr
    assert f"The full log is {copy.work / 'install.log'}" in offline.stderr
    assert "Traceback" not in offline.stderr
    assert offline.stdout == ""

    wheel(copy.folder, "second_package")
    rebuilt = copy.run("demo", python=BASE, PATH=WITHOUT_UV, PIP_FIND_LINKS=copy.folder.as_uri(), PIP_NO_INDEX="1")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "An earlier installation was not finished." in rebuilt.stderr
    assert "Rebuilding .venv." in rebuilt.stderr
    assert modules(copy) == {"first_package", "second_package"}

    inside = copy.run("demo", python=environment_python(copy))  # as with an activated .venv
    assert (inside.returncode, inside.stderr) == (0, "")
    doctor = copy.run("doctor", python=BASE)
    assert Path(json.loads(doctor.stdout)["prefix"]).resolve() == copy.venv.resolve()


def environment_python(copy):
    return copy.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_uv_installs_where_it_is_there(copy):
    done = copy.run("demo", python=BASE)
    assert done.returncode == 0, done.stderr
    assert "Installing the packages with uv." in done.stderr
    assert modules(copy) == {"first_package"}


@pytest.mark.parametrize("command", ["doctor", "progress"])
def test_a_command_that_can_do_without_the_packages_runs_here_and_makes_nothing(copy, command):
    done = copy.run(command, python=BASE)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(json.loads(done.stdout)["prefix"]).resolve() == Path(sys.base_prefix).resolve()
    assert not copy.venv.exists()
    assert not copy.work.exists()


def test_where_the_packages_are_installed_already_no_environment_is_made(copy):
    copy.pretend_it_is_installed()
    done = copy.run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(json.loads(done.stdout)["prefix"]).resolve() == Path(sys.prefix).resolve()
    assert not copy.venv.exists()


def test_an_installation_of_another_checkout_is_not_this_one(copy):
    copy.pretend_it_is_installed()
    origin = copy.folder / "django_sqs_lambda_workshop-1.0.0.dist-info" / "direct_url.json"
    origin.write_text(json.dumps({"url": copy.folder.parent.as_uri(), "dir_info": {"editable": True}}))
    copy.venv.write_text("in the way, so that nothing is made here")
    done = copy.run("demo")
    assert done.returncode == 1
    assert "is there, but it is not a virtual environment. The workshop installs its packages there" in done.stderr
    assert copy.venv.read_text() == "in the way, so that nothing is made here"


# How .venv is found to be


@pytest.fixture
def venv(tmp_path, monkeypatch):
    """The folder where virtual_environment.py now believes .venv to be; not made yet."""
    folder = tmp_path / ".venv"
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    shutil.copy(installation.CHECKOUT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(virtual_environment, "VENV", folder)
    monkeypatch.setattr(virtual_environment, "STAMP", folder / "made-by-workshop.json")
    monkeypatch.setattr(virtual_environment, "CHECKOUT", tmp_path)
    monkeypatch.setattr(virtual_environment, "REQUIREMENTS", requirements)
    return folder


def make_venv(folder, python=None):
    subprocess.run([python or BASE, "-m", "venv", "--without-pip", folder], check=True)


def stamp(**changed):
    stamp = virtual_environment._complete_stamp(virtual_environment._version()) | changed
    virtual_environment.STAMP.write_text(json.dumps(stamp))


def test_no_folder_and_an_empty_folder_are_absent(venv):
    assert virtual_environment.examine().state == "absent"
    venv.mkdir()
    assert virtual_environment.examine().state == "absent"


def test_one_that_was_made_here_and_is_complete_is_ready(venv):
    make_venv(venv)
    stamp()
    assert virtual_environment.examine() == virtual_environment.Condition("ready")


@pytest.mark.parametrize(
    ("changed", "state", "reason"),
    [
        ({"complete": False}, "broken", "An earlier installation was not finished."),
        ({"checkout": "/elsewhere"}, "broken", "This folder was moved or copied: .venv belongs to /elsewhere."),
        ({"python": "3.9"}, "broken", f"The Python of .venv was 3.9 and is {virtual_environment._version()} now."),
        ({"requirements": "other"}, "outdated", "requirements.txt has changed."),
    ],
)
def test_one_that_was_made_here_and_does_not_fit_any_more_says_why(venv, changed, state, reason):
    make_venv(venv)
    stamp(**changed)
    assert virtual_environment.examine() == virtual_environment.Condition(state, reason)


@pytest.mark.parametrize("damage", ["removed", "a dangling link", "not a program", "killed by what it loads"])
def test_one_whose_python_does_not_run_is_broken(venv, damage):
    make_venv(venv)
    stamp()
    python = virtual_environment.venv_python()
    python.unlink()
    if damage == "a dangling link":
        python.symlink_to("/no/such/python3.11")
    elif damage == "not a program":
        python.write_text("")
        python.chmod(0o755)
    elif damage == "killed by what it loads":
        python.write_text("#!/bin/sh\nexit 3\n")
        python.chmod(0o755)
    assert virtual_environment.examine() == virtual_environment.Condition(
        "broken", "The Python that .venv was made with is gone."
    )


def test_a_stamp_that_was_cut_off_counts_as_not_finished(venv):
    make_venv(venv)
    virtual_environment.STAMP.write_text('{"checkout": "/')
    assert virtual_environment.examine().state == "broken"


def test_one_that_a_person_made_is_never_deleted(venv):
    venv.mkdir()
    (venv / "mine.txt").write_text("")
    assert virtual_environment.examine() == virtual_environment.Condition(
        "foreign", f"{venv} is there, but it is not a virtual environment."
    )
    (venv / "pyvenv.cfg").write_text("")
    assert virtual_environment.examine() == virtual_environment.Condition(
        "foreign", f"{venv} does not work, and it was not made by the workshop."
    )


def test_one_that_a_person_made_is_completed(venv, monkeypatch):
    make_venv(venv)
    monkeypatch.setattr(virtual_environment, "_direct_dependencies", lambda: {"no-such-package": None})
    condition = virtual_environment.examine()
    assert condition.state == "outdated"
    assert condition.reason == f"{venv} is not complete: no-such-package is missing."


def test_a_link_to_an_environment_elsewhere_is_a_persons_own_also_with_a_stamp(venv, tmp_path):
    make_venv(tmp_path / "elsewhere")
    venv.symlink_to(tmp_path / "elsewhere")
    stamp()
    assert virtual_environment.examine().reason.startswith(f"{venv} is not complete")  # as of a person's own


def test_what_is_installed_in_another_version_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(virtual_environment, "_direct_dependencies", lambda: {"pytest": "1.2.3"})
    assert [text for text in virtual_environment.differences() if "pytest" in text][0].endswith(", not 1.2.3")


# Obstacles


def test_a_python_without_its_venv_module_is_a_sentence_with_the_package_to_install(copy):
    script = (
        "import sys, runpy\nsys.modules['ensurepip'] = None\nsys.argv = ['workshop', 'demo']\n"
        "runpy.run_module('workshop', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run(
        [BASE, "-c", script], cwd=copy.folder, env={**os.environ, "PATH": WITHOUT_UV}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout == ""
    version = ".".join(map(str, sys.version_info[:2]))
    assert "cannot make a virtual environment: a part of its venv module is missing." in done.stderr
    assert f"sudo apt install python{version}-venv (or python3-venv)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not copy.venv.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows gives folders no such mode")
def test_a_folder_that_may_not_be_written_to_is_a_sentence():
    python, user = BASE, None
    if os.geteuid() == 0:  # nothing is closed to root: be somebody else, whom the system's Python lets in
        python, user = shutil.which("python3", path="/usr/bin"), 65534
        if not python or not at_least_3_11(python):
            pytest.skip("running as root, and the system has no Python 3.11 that others may use")
    with tempfile.TemporaryDirectory() as parent:  # pytest's own temporary folders are closed to others
        Path(parent).chmod(0o755)
        copy = Copy(Path(parent) / "a checkout")
        copy.folder.chmod(0o555)
        done = subprocess.run(
            [python, "-m", "workshop", "lab"], cwd=copy.folder, user=user, capture_output=True, text=True
        )
        copy.folder.chmod(0o755)
    assert done.returncode == 1
    assert f"The workshop cannot write to {copy.folder}" in done.stderr
    assert "Permission denied" in done.stderr
    assert "Move the folder to a place that you may write to" in done.stderr
    assert "Traceback" not in done.stderr


def at_least_3_11(python):
    code = "import sys; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([python, "-c", code]).returncode == 0


def test_a_file_where_the_work_folder_belongs_is_a_sentence(copy):
    copy.work.write_text("")
    done = copy.run("demo", python=BASE)
    assert done.returncode == 1
    assert ".workshop is in the way: it should be a folder. Move it away, then run this again." in done.stderr


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), "The disk is full. Free about"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "The workshop cannot write to"),
        (OSError(errno.EACCES, "Permission denied", "x"), "The workshop cannot write to"),
        (OSError(errno.EEXIST, "File exists", "x"), "x is in the way: it should be a folder."),
        (OSError(errno.EIO, "Input/output error", "x"), "Input/output error: x. Mend that, then run this again."),
    ],
)
def test_an_error_of_the_file_system_says_what_to_do(error, sentence):
    assert installation.explain(error).startswith(sentence)


SAID = {
    "pip, no name server": (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NameResolutionError(\"Failed to resolve "
        "'pypi.org'\")': /simple/django/\nERROR: Could not find a version that satisfies the requirement django==5.2\n"
        "ERROR: No matching distribution found for django==5.2",
        "The package index could not be reached.",
    ),
    "pip, nothing listens": (
        "WARNING: Retrying after connection broken by 'NewConnectionError: Failed to establish a new connection'\n"
        "ERROR: No matching distribution found for django",
        "The package index could not be reached.",
    ),
    "pip, a proxy that refuses": ("WARNING: ... ProxyError('Cannot connect to proxy.')", "The package index could not"),
    "uv, no name server": (
        "error: Failed to fetch: `https://pypi.org/simple/django/`\n  Caused by: error sending request for url\n"
        "  Caused by: client error (Connect)\n  Caused by: dns error",
        "The package index could not be reached.",
    ),
    "pip, a company's certificate": (
        "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed'))",
        "The package index's certificate was not accepted.",
    ),
    "uv, a company's certificate": ("Caused by: invalid peer certificate: UnknownIssuer", "The package index's cert"),
    "pip, a full disk": (
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left",
        "The disk is",
    ),
    "uv, a full disk": ("Caused by: No space left on device (os error 28)", "The disk is full."),
    "pip, read-only": ("OSError: [Errno 30] Read-only file system: '/x'", "The workshop cannot write to"),
    "Windows, in use": ("ERROR: ... [WinError 5] Access is denied: 'x.pyd'", "The workshop cannot write to"),
    "no version for this Python": (
        "ERROR: Could not find a version that satisfies the requirement django==5.2 (from versions: 4.2)\n"
        "ERROR: No matching distribution found for django==5.2",
        "A package has no version for this Python and system",
    ),
    "what nobody foresaw": (
        "Collecting x\nERROR: something odd\nmore text",
        "pip ended with status 2: ERROR: something odd",
    ),
    "silence": ("", "pip ended with status 2: (it said nothing)"),
}


@pytest.mark.parametrize(("output", "sentence"), SAID.values(), ids=SAID)
def test_an_installers_wall_of_text_becomes_a_sentence_and_the_logs_name(output, sentence):
    diagnosis = installation.diagnose(output, "pip", 2)
    assert diagnosis.startswith(sentence)
    assert diagnosis.endswith(f"The full log is {installation.LOG}.")


def test_the_lock_lets_one_in_at_a_time_and_says_that_it_waits(tmp_path, capsys):
    order = []
    inside, leave = threading.Event(), threading.Event()

    def first():
        with installation.lock(tmp_path / "lock"):
            inside.set()
            leave.wait(20)
            order.append("first")

    def second():
        with installation.lock(tmp_path / "lock", "Waiting."):
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(20)
    threads[1].start()
    while "Waiting." not in capsys.readouterr().err:
        assert threads[1].is_alive()
    leave.set()
    for thread in threads:
        thread.join(20)
    assert order == ["first", "second"]
