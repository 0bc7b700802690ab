"""What runs inside the function's process: AWS's runtime for Python, awslambdaric, and nothing else of this machine.

    python -I -S lambda_bootstrap.py CONNECTION PACKAGES TASK_ROOT HANDLER

`-I -S` keeps the environment's packages out, as Lambda does: what the zip lacks cannot be imported. On AWS the runtime
asks an HTTP server for events and gives it the results; here it asks the parent, over a connection that ends when the
parent does, and so does this process.
"""

import json
import os
import queue
import sys
import threading
from multiprocessing.connection import Connection
from types import SimpleNamespace


class Parent:
    """What awslambdaric calls the runtime client. All that it says is a pair: what, and text."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._events: queue.SimpleQueue[dict] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                self._events.put(self._connection.recv())
        except (EOFError, OSError):
            os._exit(1)

    def wait_next_invocation(self) -> SimpleNamespace:
        self._connection.send(("ready", ""))
        return SimpleNamespace(**self._events.get())

    def post_invocation_result(self, invoke_id, result_data, *rest) -> None:
        self._connection.send(("response", result_data))

    def post_invocation_error(self, invoke_id, error_response_data, *rest) -> None:
        self._connection.send(("error", error_response_data))

    def post_init_error(self, error_response_data, *rest) -> None:
        self._connection.send(("error", json.dumps(error_response_data)))


if __name__ == "__main__":
    handle, packages, task_root, handler = sys.argv[1:]
    sys.path.append(packages)
    from awslambdaric import bootstrap
    from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

    sys.path[:] = [task_root, *sys.path[:-1]]
    parent = Parent(Connection(int(handle)))
    parent.marshaller = LambdaMarshaller()  # what makes an event of JSON, and JSON of a result
    bootstrap.run(handler, parent)
