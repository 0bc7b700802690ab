"""Run workshop_django/manage.py in the lab that is open: what comes after `manage` goes to it.

    python3 -m workshop manage relay_outbox
    python3 -m workshop manage shell

It works on the database, the queue and the keys of the notebook or exercise whose lab was opened last.
"""

import json
import os
import subprocess
import sys

from workshop.folders import CHECKOUT

HELP = "runs Django's manage.py in the lab that is open"
PASSES_ON = True


def add_arguments(parser):
    pass


def run(args) -> int:
    from workshop.cloud import aws_environment
    from workshop.foreseen import Foreseen
    from workshop.lab.lab import ENVIRONMENT_FILE
    from workshop.run_folders import used_run_folders

    labs = [file for folder in used_run_folders() if (file := folder / ENVIRONMENT_FILE).exists()]
    if not labs:
        raise Foreseen("No lab is open. Open a chapter, run its first code cell, and then this again.")
    newest = max(labs, key=lambda file: file.stat().st_mtime)
    environment = dict(os.environ)
    aws_environment.apply(json.loads(newest.read_text(encoding="utf-8")), environment)
    command = [sys.executable, CHECKOUT / "workshop_django" / "manage.py", *args.passed_on]
    return subprocess.run(command, env=environment, check=False).returncode
