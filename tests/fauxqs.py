"""A second SQS server, not written by us and not moto: the npm package fauxqs, for tests that must hold on any."""

import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from workshop.folders import WORK_FOLDER
from workshop.lab.processes import free_port

VERSION = "1.9.2"  # the last that runs on Node 20


def installed() -> Path:
    """The folder of the package, installed once for all runs. Skips the test, saying why, where that cannot be."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("Node.js is not installed, which the SQS server fauxqs needs")
    folder = WORK_FOLDER / "cache" / f"fauxqs-{VERSION}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent))
    npm = subprocess.run(
        [shutil.which("npm"), "install", "--no-audit", "--no-fund", "--prefix", part, f"fauxqs@{VERSION}"],
        capture_output=True,
        text=True,
    )
    if npm.returncode:
        shutil.rmtree(part)
        pytest.skip(f"npm could not install fauxqs: {npm.stderr.strip()[-300:]}")
    try:
        part.rename(folder)
    except OSError:  # another test worker was faster
        shutil.rmtree(part)
    return folder


@contextmanager
def running():
    """Yields the endpoint URL of a fresh fauxqs server on a free port."""
    script = installed() / "node_modules" / "fauxqs" / "dist" / "cli.js"
    port = free_port()
    server = subprocess.Popen(
        [shutil.which("node"), script],
        env={**os.environ, "FAUXQS_PORT": str(port), "FAUXQS_LOGGER": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(url + "/health", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, "fauxqs ended while it was starting"
                assert time.monotonic() < deadline, "fauxqs does not answer"
                time.sleep(0.05)
        yield url
    finally:
        server.kill()
        server.wait()
