"""Run a module in a process that dies with the process that asked for it, and with it all that it started.

    python -m workshop.lab.dies_with_parent MODULE [ARGUMENT ...]

The operating systems differ in what becomes of a child whose parent is killed. Each frees a dead process's locks:
a thread waits for the lock on the parent's run folder, which the environment names.
"""

import os
import runpy
import sys
import threading
from contextlib import suppress

from workshop.run_folders import wait_for_owner


def die_with_parent() -> None:
    """Kill this process and its children as soon as the owner of the run folder in the environment has ended."""

    def watch() -> None:
        wait_for_owner()
        import psutil  # not sooner: most processes are stopped in an orderly way, and need not load it

        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
        os._exit(1)

    threading.Thread(target=watch, name="dies-with-parent", daemon=True).start()


if __name__ == "__main__":
    die_with_parent()
    module = sys.argv[1]
    sys.argv[:] = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
