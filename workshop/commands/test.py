"""Run every test and every notebook, in one pytest run.

Arguments that this command does not know go to pytest: a path, -k NAME, -x, -n 0.
"""

import os
import subprocess
import sys

from workshop.folders import CHECKOUT
from workshop.jupyter import configuration

HELP = "runs every test and every notebook"
PACKAGES = "needed for tests"
PASSES_ON = True

MOST_WORKERS = 4  # each runs a kernel with its own AWS and Django: more would crowd a laptop


def add_arguments(parser):
    pass


def run(args) -> int:
    from workshop.run_folders import remove_unused_run_folders

    workers = min((os.cpu_count() or 1) + 1, MOST_WORKERS)  # one more than cores: they often wait for a timeout
    command = [sys.executable, "-m", "pytest", "--nbval", "-n", str(workers)]
    configuration.FOLDER.mkdir(parents=True, exist_ok=True)
    variables = os.environ | configuration.environment()  # a person's own kernels named python3 are not this one
    try:
        return subprocess.run([*command, *args.passed_on], cwd=CHECKOUT, env=variables, check=False).returncode
    finally:
        remove_unused_run_folders()  # nbval kills its kernels
