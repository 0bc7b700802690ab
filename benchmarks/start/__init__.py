"""A fresh Python, from its start until it is ready."""

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
    def start():
        subprocess.run([sys.executable, "-c", contender.PROGRAM], check=True, stdout=subprocess.DEVNULL)
        return 1

    return start
