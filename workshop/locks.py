"""Locks on files, between processes. The operating system gives one back however its holder ends, `kill -9` included.

with path.open("a+b") as file:
    lock(file)                              # waits; closing the file gives the lock back
    lock(file, wait=False)                  # -> False where another holds it

Standard library only.
"""

import errno
import os
from typing import IO

HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)  # what the systems say where another holds it


def lock(file: IO, *, shared: bool = False, wait: bool = True) -> bool:
    """Take the lock of a file that is open for writing. True if it is ours now.

    `shared`: several may have it like that together (on Windows, one after the other).
    """
    while True:
        try:
            if os.name == "nt":
                import msvcrt

                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
            return True
        except OSError as error:
            if error.errno not in HELD:
                raise
            if not wait:
                return False  # and where Windows has waited, it gives up after ten seconds: again
