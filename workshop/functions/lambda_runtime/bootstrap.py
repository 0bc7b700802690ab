"""What runs inside the function's process: AWS's runtime client, and nothing else of this machine.

    python -I -S bootstrap.py PARENT_PIPE RUNTIME_FOLDER TASK_ROOT HANDLER

`-I -S` keeps the environment's packages out, as Lambda does: what the zip lacks cannot be imported. The pipe
is never written to. It ends when the parent does, and so does this process.
"""

import os
import sys
import threading


def exit_with_parent(pipe: int) -> None:
    os.read(pipe, 1)
    os._exit(1)


if __name__ == "__main__":
    parent_pipe, runtime_folder, task_root, handler = sys.argv[1:]
    threading.Thread(target=exit_with_parent, args=(int(parent_pipe),), daemon=True).start()
    sys.path[:0] = [task_root, runtime_folder]

    from awslambdaric.__main__ import main

    main(["bootstrap", handler])
