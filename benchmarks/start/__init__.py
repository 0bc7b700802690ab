"""A fresh Python, from its start until it is ready."""

import os
import subprocess
import sys
from contextlib import contextmanager

UNIT = "ms"
CASES = {"to ready": 15}
CONTENDERS = ["kit", "moto", "django", "python"]


@contextmanager
def opened(case, tiny):
    yield None


def once(contender, setting):
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def start():
        command = [sys.executable, "-c", contender.PROGRAM]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=compiled)
        return 1

    return start
