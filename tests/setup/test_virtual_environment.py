"""`.venv`: made once, completed when it changed, rebuilt when it broke, and a sentence for each obstacle."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib
from pathlib import Path

import pytest
from copied_checkout import Copy, wheel

from workshop.setup import installation, virtual_environment
from workshop.setup.virtual_environment import examine

BASE = sys._base_executable  # the Python that this test's own environment was made from: it has no packages
WITHOUT_UV = os.pathsep.join(
    folder for folder in os.environ["PATH"].split(os.pathsep) if not shutil.which("uv", path=folder)
)


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A checkout that needs one small package, which lies beside it, and three commands that say where they run."""
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    (tmp_path / "wheels").mkdir()
    copy = Copy(tmp_path / "a checkout")
    copy.is_built_without_hatchling()
    (copy.folder / "requirements" / "learner.txt").write_text(wheel(tmp_path / "wheels", "first_package"))
    copy.replace_command("demo", "needed")
    copy.replace_command("doctor", "if installed")
    copy.replace_command("progress", "not needed")
    return copy


def modules(copy):
    [site_packages] = [path for path in copy.venv.rglob("site-packages") if path.is_dir()]
    return {path.stem for path in site_packages.glob("*_package.py")}


def ran_in(done):
    return Path(json.loads(done.stdout)["prefix"]).resolve()


# The whole way, with real environments. (One test of pip, which takes seconds to be put into each.)


def test_made_by_one_of_two_starts_then_used_and_completed(copy):
    both = [copy.start("demo", "--status", "7", python=BASE, PATH=WITHOUT_UV, PYTHONHOME="") for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [7, 7], said
    ran = [json.loads(out) for out, _ in said]
    assert ran[0] == ran[1]
    assert Path(ran[0]["prefix"]).resolve() == copy.venv.resolve()
    assert ran[0]["virtual_env"] == str(copy.venv)
    assert Path(ran[0]["path"]).parent == copy.venv
    progress = "".join(err for _, err in said)
    assert [progress.count(word) for word in ("Making .venv", "Installing the packages with pip", "Ready: ")] == [1] * 3
    assert modules(copy) == {"first_package"}

    again = copy.run("demo", python=BASE, PATH=WITHOUT_UV)
    assert (again.returncode, again.stderr) == (0, "")
    assert ran_in(again) == copy.venv.resolve()

    packages = copy.folder / "requirements" / "learner.txt"
    first, wheels = packages.read_text(), copy.folder.parent / "wheels"
    both_packages = first + wheel(wheels, "second_package")
    packages.write_text(both_packages)
    wheel_of_another = wheels / "second_package-1.0-py3-none-any.whl"
    right = wheel_of_another.read_bytes()
    wheel_of_another.write_bytes(right + b"changed on the way")
    changed = copy.run("demo", python=BASE, PATH=WITHOUT_UV)
    assert changed.returncode == 1
    assert "has not the packages that are needed now" in changed.stderr
    assert "not the one that this workshop was tested with" in changed.stderr
    assert f"The full log is {copy.work / 'install.log'}" in changed.stderr
    assert "Traceback" not in changed.stderr
    assert modules(copy) == {"first_package"}

    packages.write_text(first)  # as after going back to the commit before: what was there is there still
    assert copy.run("demo", python=BASE).stderr == ""

    packages.write_text(both_packages)
    wheel_of_another.write_bytes(right)
    completed = copy.run("demo", python=BASE, PATH=WITHOUT_UV)
    assert completed.returncode == 0, completed.stderr
    assert "Making" not in completed.stderr
    assert modules(copy) == {"first_package", "second_package"}


def environment_python(copy):
    return copy.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_uv_installs_where_it_is_there_also_into_an_environment_that_a_person_made(copy):
    make_venv(copy.venv)
    (copy.venv / "mine.txt").write_text("")
    done = copy.run("demo", python=BASE)
    assert done.returncode == 0, done.stderr
    assert "Installing the packages with uv." in done.stderr
    assert modules(copy) == {"first_package"}
    assert (copy.venv / "mine.txt").exists()
    assert copy.run("demo", python=BASE).stderr == ""
    assert f"{copy.venv} was not made by the workshop" in copy.run("clean", "--all", "--yes").stdout


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_one_that_was_not_finished_is_made_anew_also_from_within(copy):
    make_venv(copy.venv)
    (copy.venv / "half.txt").write_text("")
    (copy.venv / "made-by-workshop.json").write_text(json.dumps({"made_by_workshop": True}))
    done = copy.run("demo", python=environment_python(copy))  # as with an activated .venv
    assert done.returncode == 0, done.stderr
    assert "an earlier installation was not finished" in done.stderr
    assert "Rebuilding .venv." in done.stderr
    assert modules(copy) == {"first_package"}
    assert not (copy.venv / "half.txt").exists()
    assert ran_in(copy.run("doctor", python=BASE)) == copy.venv.resolve()


@pytest.mark.parametrize("command", ["doctor", "progress"])
def test_a_command_that_can_do_without_the_packages_runs_here_and_makes_nothing(copy, command):
    done = copy.run(command, python=BASE)
    assert (done.returncode, done.stderr) == (0, "")
    assert ran_in(done) == Path(sys.base_prefix).resolve()
    assert not copy.venv.exists()
    assert not copy.work.exists()


@pytest.fixture
def installed(tmp_path):
    """A checkout whose packages are where this test runs."""
    copy = Copy(tmp_path / "checkout")
    copy.replace_command("demo", "needed for tests")
    copy.pretend_it_is_installed()
    return copy


def test_where_the_packages_are_installed_already_no_environment_is_made(installed):
    done = installed.run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert ran_in(done) == Path(sys.prefix).resolve()
    assert not installed.venv.exists()


@pytest.mark.parametrize("other", ["another checkout", "another version of Django"])
def test_an_installation_of_something_else_is_not_this_one(installed, other):
    if other == "another checkout":
        origin = installed.folder / "django_sqs_lambda_workshop-1.0.0.dist-info" / "direct_url.json"
        origin.write_text(json.dumps({"url": installed.folder.parent.as_uri(), "dir_info": {"editable": True}}))
    else:
        packages = installed.folder / "requirements" / "tests.txt"
        packages.write_text(re.sub(r"(?m)^django==\S+", "django==1.2.3", packages.read_text()))
    installed.venv.write_text("in the way, so that nothing is made here")
    done = installed.run("demo")
    assert done.returncode == 1
    assert f"{installed.venv} cannot be used: its Python does not run. The workshop deletes nothing" in done.stderr
    assert installed.venv.read_text() == "in the way, so that nothing is made here"


# How .venv is found to be


@pytest.fixture
def venv(tmp_path, monkeypatch):
    """The folder where virtual_environment.py now believes .venv to be; not made yet."""
    folder = tmp_path / ".venv"
    monkeypatch.setattr(virtual_environment, "VENV", folder)
    monkeypatch.setattr(virtual_environment, "STAMP", folder / "made-by-workshop.json")
    return folder


def make_venv(folder):
    subprocess.run([BASE, "-m", "venv", "--without-pip", folder], check=True)


def stamp(purpose="learner", **changed):
    complete = virtual_environment._complete_stamp(virtual_environment._version(), purpose)
    virtual_environment.STAMP.write_text(json.dumps(complete | {"made_by_workshop": True} | changed))


def test_no_folder_and_an_empty_folder_are_made_without_a_word(venv):
    assert examine() == ("unusable", "")
    venv.mkdir()
    assert examine() == ("unusable", "")


@pytest.mark.parametrize(
    ("changed", "state", "reason"),
    [
        ({}, "ready", ""),
        ({"packages": ""}, "unusable", "not finished"),
        ({"checkout": "/elsewhere"}, "unusable", "moved or copied from /elsewhere"),
        ({"python": "3.9"}, "unusable", f"was 3.9 and is {virtual_environment._version()} now"),
        ({"packages": "other"}, "incomplete", "not the packages"),
        ({"packages": "other", "made_by_workshop": False}, "incomplete", "not the packages"),
        ({"checkout": "/elsewhere", "made_by_workshop": False}, "incomplete", "not the packages"),
    ],
)
def test_a_stamp_is_equal_or_says_what_has_changed(venv, changed, state, reason):
    make_venv(venv)
    stamp(**changed)
    found, why = examine()
    assert found == state
    assert reason in why


def test_what_the_tests_need_is_enough_for_a_learner_and_not_the_other_way_round(venv):
    make_venv(venv)
    stamp("tests")
    assert [examine("learner")[0], examine("tests")[0]] == ["ready", "ready"]
    stamp("learner")
    assert [examine("learner")[0], examine("tests")[0]] == ["ready", "incomplete"]


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("damage", ["removed", "a dangling link", "not a program", "killed by what it loads"])
def test_one_whose_python_does_not_run_is_made_anew_only_if_it_is_ours(venv, damage, ours):
    python = virtual_environment.venv_python()
    python.parent.mkdir(parents=True)
    if damage == "a dangling link":
        python.symlink_to("/no/such/python3.11")
    elif damage != "removed":
        python.write_text("#!/bin/sh\nexit 3\n" if damage == "killed by what it loads" else "")
        python.chmod(0o755)
    if ours:
        stamp()
    state, reason = examine()
    assert state == ("unusable" if ours else "foreign")
    assert "its Python does not run" in reason


@pytest.mark.skipif(os.name == "nt", reason="Windows lets not everybody make links")
def test_a_link_to_an_environment_elsewhere_is_a_persons_own_also_with_a_stamp(venv, tmp_path):
    make_venv(tmp_path / "elsewhere")
    venv.symlink_to(tmp_path / "elsewhere")
    stamp(packages="")
    assert examine()[0] == "incomplete"  # installed into, and not deleted


# The lists


PIN = re.compile(r"(?m)^([\w.-]+==\S+(?: ; [^\\\n]+)?)")


def pins(path):
    return {pin.rstrip(" \\") for pin in PIN.findall((installation.CHECKOUT / path).read_text())}


def test_the_three_lists_have_the_same_versions_and_the_learners_is_a_part_of_the_tests():
    assert pins("requirements.txt") == pins("requirements/tests.txt")
    assert pins("requirements/learner.txt") < pins("requirements/tests.txt")
    text = (installation.CHECKOUT / "requirements" / "tests.txt").read_text()
    assert not [entry for entry in re.split(r"(?m)^(?=\w)", text) if entry.strip() and "--hash=sha256:" not in entry]


def test_every_direct_dependency_is_locked_and_what_cfn_lint_brings_is_not_the_learners():
    project = tomllib.loads((installation.CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = {re.match(r"[\w.-]+", line)[0] for line in project["dependencies"]}
    learner = {pin.partition("==")[0] for pin in pins("requirements/learner.txt")}
    assert wanted <= learner
    assert not learner & {"cfn-lint", "sympy", "networkx", "docker", "pytest", "ruff"}


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
    assert "WORKSHOP_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_somebody_elses_checkout_is_a_sentence_also_where_all_is_installed(monkeypatch):
    assert virtual_environment.ready_here()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # nothing is closed to root, who may be running this
    with pytest.raises(SystemExit, match="WORKSHOP_HOME"):
        virtual_environment.enter("needed", ["lab"])


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
    "pip, a package that was changed": (
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
        "A downloaded package is not the one",
    ),
    "uv, a package that was changed": ("Hash mismatch for `django==5.2`", "A downloaded package is not the one"),
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
