"""Run a module in a process that dies with the process that asked for it.

    python -m workshop.lab.guard PARENT_PID PARENT_CREATE_TIME MODULE [ARGUMENT ...]

The operating systems differ in what becomes of a child whose parent is killed; this works on all of them:
a thread waits for the parent to end, then kills this process and everything it started.
"""

import os
import runpy
import sys
import threading
import time

import psutil

from workshop.lab.processes import has_ended

LOOK_EVERY = 0.2  # seconds


def exit_with(parent_pid: int, parent_create_time: float | None = None) -> None:
    """Kill this process and its children as soon as the process `parent_pid` has ended.

    `parent_create_time` (seconds since the epoch, as psutil gives it) guards against a reused pid.
    """

    def watch() -> None:
        try:
            parent = psutil.Process(parent_pid)
            if parent_create_time is None or abs(parent.create_time() - parent_create_time) < 1:
                while not has_ended(parent):
                    time.sleep(LOOK_EVERY)
        except psutil.NoSuchProcess:
            pass
        for child in psutil.Process().children(recursive=True):
            try:
                child.kill()
            except psutil.NoSuchProcess:
                pass
        os._exit(1)

    threading.Thread(target=watch, name="guard", daemon=True).start()


if __name__ == "__main__":
    exit_with(int(sys.argv[1]), float(sys.argv[2]))
    module = sys.argv[3]
    sys.argv[:] = sys.argv[3:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
