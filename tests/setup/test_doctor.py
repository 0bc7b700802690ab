"""`python -m workshop doctor`, as a person runs it: here, and in a copy of the checkout where nothing is installed."""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from workshop.folders import CHECKOUT


@dataclass
class Doctor:
    """A finished doctor. `findings` maps a subject to [(state, all that was said)]."""

    status: int
    findings: dict[str, list[tuple[str, str]]]
    closing: str


def doctor(folder: Path = CHECKOUT, python: tuple[str, ...] = (sys.executable,), **environment: str) -> Doctor:
    finished = subprocess.run(
        [*python, "-m", "workshop", "doctor"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    assert finished.stderr == ""
    *lines, blank, closing = finished.stdout.splitlines()
    assert blank == ""
    assert not [line for line in lines if len(line) > 80 and max(map(len, line.split())) < 50]  # paths stay whole
    findings: dict[str, list[tuple[str, str]]] = {}
    for line in lines:
        if not line.startswith(" "):
            state, subject, words = line[:8].strip(), line[9:20].strip(), line[21:]
            findings.setdefault(subject, []).append((state, words))
        else:
            state, words = findings[subject][-1]
            findings[subject][-1] = (state, f"{words} {line.strip()}")
    assert {state for several in findings.values() for state, _ in several} <= {"ok", "note", "problem"}
    return Doctor(finished.returncode, findings, closing)


WITHOUT_PACKAGES = (sys._base_executable, "-S")  # -S: the standard library alone


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """What doctor needs of a checkout, and no .venv."""
    folder = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "workshop", folder / "workshop", ignore=ignored)
    shutil.copytree(CHECKOUT / "requirements", folder / "requirements")
    for name in ("pyproject.toml", "requirements.txt"):
        shutil.copy(CHECKOUT / name, folder)
    (folder / "no programs").mkdir()
    return folder


@pytest.fixture
def checkout(copied, tmp_path_factory):
    """The copy, without a .env and a .workshop."""
    yield copied
    (copied / ".env").unlink(missing_ok=True)
    shutil.rmtree(copied / ".workshop", ignore_errors=True)


def bare(checkout: Path, **environment: str) -> Doctor:
    """Without packages, and, as that is quicker, without other programs."""
    return doctor(checkout, WITHOUT_PACKAGES, **{"PATH": str(checkout / "no programs"), **environment})


def test_where_the_workshop_works_there_is_no_problem():
    found = doctor()
    assert (found.status, found.closing) == (0, "Nothing keeps the workshop from working.")
    for subject in ("Python", "Packages", "Folder", "Disk", "Ports", "AWS", "Tunnel"):
        assert [state for state, _ in found.findings[subject]] == ["ok"], subject
    assert found.findings["AWS"] == [("ok", "local: no account needed, nothing leaves this machine")]


def test_before_anything_is_installed_it_works_and_changes_nothing(checkout):
    def contents():
        return {path: path.stat().st_mtime_ns for path in [checkout, *checkout.rglob("*")]}

    before = contents()
    found = bare(checkout)
    assert contents() == before or sys.platform != "linux"  # elsewhere a file is made and removed, which dates folders
    assert found.status == 0
    [(state, words)] = found.findings["Packages"]
    assert (state, words.startswith("not installed yet.")) == ("note", True)


def test_what_is_optional_and_missing_is_a_note_and_no_problem(checkout):
    found = bare(checkout)
    assert found.status == 0
    assert found.findings["AWS CLI"][0][0] == "note"
    assert found.findings["AWS CLI"][0][1].startswith("not installed.")


def test_a_malformed_workshop_aws_in_the_environment_is_a_problem_that_names_it():
    found = doctor(WORKSHOP_AWS="rael")
    assert (found.status, found.closing) == (1, "1 problem keeps the workshop from working.")
    assert found.findings["Settings"] == [
        (
            "problem",
            "WORKSHOP_AWS is 'rael', which cannot be used. In the environment, make it local (no account needed) or "
            "real.",
        )
    ]


def test_each_malformed_value_in_env_is_named_and_each_line_that_is_not_understood(checkout):
    (checkout / ".env").write_text(
        "\ufeffWORKSHOP_AWS=rael # local or real\n"
        "export AWS_ENDPOINT_URL='127.0.0.1:4566'\n"
        "these are words\n"
        'DJANGO_LOG_FILE="/no such folder/log"\n'
        "DEBUG=maybe\n"
        "SYNC_ENDPOINTS=one.example|s3cret\n"
        "NGROK_AUTHTOKEN=<s3cret token>\n"
        "UNKNOWN=1\n",
        encoding="utf-8",
    )
    unset = dict.fromkeys(("WORKSHOP_AWS", "AWS_ENDPOINT_URL", "NGROK_AUTHTOKEN"))
    with pytest.MonkeyPatch.context() as patch:
        for name in unset:
            patch.delenv(name, raising=False)
        found = doctor(checkout, PATH=str(checkout / "no programs"))
    said = {words.split(" ")[0]: state for state, words in found.findings["Settings"]}
    assert said == {
        "Line": "note",
        "WORKSHOP_AWS": "problem",
        "AWS_ENDPOINT_URL": "problem",
        "DJANGO_LOG_FILE": "note",
        "DEBUG": "note",
        "SYNC_ENDPOINTS": "note",
        "NGROK_AUTHTOKEN": "note",
    }
    assert found.status == 1
    assert "Line 3 of .env" in str(found.findings)
    assert "s3cret" not in str(found.findings)


def test_a_file_that_is_not_text_is_a_problem_also_before_there_are_packages(checkout):
    (checkout / ".env").write_bytes(b"APP_KEY=\xff\xfe")
    found = bare(checkout)
    assert found.findings["Settings"][0][0] == "problem"
    assert "not UTF-8" in found.findings["Settings"][0][1]


@pytest.mark.parametrize(
    ("environment", "state", "said"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": ""}, "problem", "AWS_SECRET_ACCESS_KEY is not set"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "problem", "there are no credentials"),
        ({"AWS_PROFILE": "nobody"}, "problem", "nobody"),
        ({"AWS_REGION_NAME": "us-esat-1"}, "problem", "us-esat-1"),
        ({}, "note", "REAL: your own account, region us-east-1."),
    ],
)
def test_a_real_account_is_said_so_and_needs_credentials_and_a_region_that_there_is(tmp_path, environment, state, said):
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PATH": ""}
    found = doctor(WORKSHOP_AWS="real", **home, **environment)
    assert found.findings["AWS"][0][0] == state
    assert said in found.findings["AWS"][0][1]
    assert found.status == (1 if state == "problem" else 0)


def test_a_malformed_value_that_a_lab_inherits_is_a_problem_in_the_environment_alone(checkout):
    (checkout / ".env").write_text("MAX_CONCURRENCY=many\n")
    without = {"PATH": str(checkout / "no programs")}
    assert [state for state, _ in doctor(checkout, **without).findings["Settings"]] == ["note"]
    assert [state for state, _ in bare(checkout, MAX_CONCURRENCY="many").findings["Settings"]] == ["problem"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_an_env_that_is_a_named_pipe_does_not_hang_it(checkout):
    os.mkfifo(checkout / ".env")
    assert bare(checkout).status == 0


@pytest.mark.skipif(os.name == "nt", reason="the program is a shell script")
@pytest.mark.parametrize(
    ("script", "state", "said"),
    [
        ("echo aws-cli/2.31.0 Python/3.13", "ok", "2.31.0"),
        ("echo aws-cli/2.12.9 Python/3.11", "note", "--endpoint-url"),
        ("echo aws-cli/1.44.8 Python/3.11", "ok", "1.44.8"),
        ("echo aws-cli/1.28.0 Python/3.11", "note", "--endpoint-url"),
        ("exit 1", "note", "does not work"),
    ],
)
def test_an_aws_cli_that_would_ask_the_real_aws_is_named(checkout, tmp_path, script, state, said):
    (tmp_path / "aws").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "aws").chmod(0o755)
    [(found, words)] = bare(checkout, PATH=str(tmp_path)).findings["AWS CLI"]
    assert found == state
    assert said in words


def test_a_jupyterlab_that_runs_is_named_and_one_that_has_ended_is_not(checkout):
    runtime = checkout / ".workshop" / "jupyter" / "runtime"
    runtime.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (runtime / "jpserver-1.json").write_text(json.dumps({"port": port, "pid": 1}))
        assert f"one is running, at port {port}" in bare(checkout).findings["JupyterLab"][0][1]
    assert bare(checkout).findings["JupyterLab"] == [("ok", "none is running")]


def test_what_an_earlier_run_left_is_a_note_that_says_how_to_remove_it(checkout):
    run = checkout / ".workshop" / "runs" / "999999999-deadbeef"
    run.mkdir(parents=True)
    [(state, words)] = doctor(checkout, PATH=str(checkout / "no programs")).findings["Leftovers"]
    assert state == "note"
    assert words.startswith("1 folder of a run that was cut short.")
    assert words.endswith("-m workshop clean")


def test_a_venv_that_is_not_ours_and_does_not_work_is_a_problem(checkout):
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "something").touch()
    try:
        found = bare(checkout)
        assert found.findings["Packages"][0][0] == "problem"
        assert "its Python does not run" in found.findings["Packages"][0][1]
        assert found.status == 1
    finally:
        shutil.rmtree(checkout / ".venv")
