"""The benchmarks run, and can tell. What they measure is no test: figures belong to a machine and a day."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from PIL import Image

import benchmarks.handler
from benchmarks import NAMES, report
from benchmarks.comparison import compare
from workshop.folders import CHECKOUT


@pytest.mark.parametrize("name", NAMES)
def test_each_benchmark_runs_and_says_on_which_machine(name):
    bench = [sys.executable, "-m", "workshop", "bench", name, "--tiny"]
    ran = subprocess.run(bench, cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    first, *_ = ran.stdout.splitlines()
    assert f"Python {sys.version.split()[0]}" in first
    rows = [line.split()[0] for line in ran.stdout.splitlines() if "±" in line]
    assert "kit" in rows
    assert len(rows) > 1


def test_a_contender_that_sleeps_is_slower_and_one_that_cannot_take_part_is_named(monkeypatch, tmp_path, capsys):
    def sleeping(event, context):
        time.sleep(0.1)
        return {"statusCode": 200}

    monkeypatch.setattr(benchmarks.handler, "CONTENDERS", ["kit", "sleeping", "absent"])
    monkeypatch.setitem(sys.modules, "benchmarks.handler.sleeping", SimpleNamespace(lambda_handler=sleeping))
    monkeypatch.setenv("ENDPOINT_ALLOWLIST", "")  # put back afterwards, as the others
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    said = []
    results = compare("handler", tiny=True, say=said.append)
    assert results[0].speed("sleeping", "kit") < 0.8
    assert len(said) == 1
    assert "absent" in said[0]

    monkeypatch.setattr(report, "FOLDER", tmp_path)
    file = report.keep(results, {"processor": "a machine"}, datetime.now(UTC))
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["machine"] == {"processor": "a machine"}
    assert kept["results"][0]["rounds"].keys() == {"kit", "sleeping"}
    assert Image.open(file.with_suffix(".png")).format == "PNG"


def test_a_benchmark_that_is_not_there_is_refused_with_the_names_of_those_that_are():
    ran = subprocess.run(
        [sys.executable, "-m", "workshop", "bench", "lambda"], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert "handler" in ran.stderr
