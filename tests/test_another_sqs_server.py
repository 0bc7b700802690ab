"""A chapter holds on an SQS server that is not ours: the npm package fauxqs.

One chapter here, to save time. All of them: AWS_ENDPOINT_URL=http://127.0.0.1:PORT python -m pytest --nbval notebooks
"""

import os
import subprocess
import sys

import fauxqs
import pytest

from workshop.folders import CHECKOUT


@pytest.fixture
def another_server():
    with fauxqs.running() as url:
        yield url


def test_a_chapter_passes_on_another_sqs_server(another_server):
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-n", "0", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, "notebooks/02_send_with_sqsmanager.ipynb"],
        cwd=CHECKOUT,
        env={**os.environ, "AWS_ENDPOINT_URL": another_server},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout
    assert " failed" not in run.stdout
