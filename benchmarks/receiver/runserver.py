"""The kit's inbox on Django's development server."""

from benchmarks.servers import listens
from workshop.lab.processes import Child, free_port
from workshop.run_folders import run_folder

PATH = "/kit"


def served():
    port = free_port()
    server = Child("runserver", "django", ["runserver", f"127.0.0.1:{port}", "--noreload"], folder=run_folder())
    server.start(ready=lambda: listens(port))
    server.port = port
    return server
