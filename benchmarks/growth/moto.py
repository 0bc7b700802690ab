"""moto's own server, as it is. moto_sqs.patch, one folder up, would mend it there."""

from benchmarks.servers import listens
from workshop.lab.processes import Child, free_port
from workshop.run_folders import run_folder


def served():
    port = free_port()
    server = Child("moto", "moto.server", ["-H", "127.0.0.1", "-p", port], folder=run_folder())
    server.start(ready=lambda: listens(port))
    return f"http://127.0.0.1:{port}", server.stop
