"""The limit: wrk posts as much as the server takes, over as many connections as there are deliveries at once."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.comparison import Missing

REQUEST = """
wrk.method = "POST"
wrk.body = '{"image_id": 1}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Token kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
wrk.headers["Idempotency-Key"] = "id-1"
"""


def posts(url, connections):
    """A function that runs wrk for a second, the shortest it can, and returns how many requests it made."""
    wrk = shutil.which("wrk")
    if not wrk:
        raise Missing("wrk is not installed (Debian, Homebrew: the package wrk)")
    script = Path(tempfile.mkdtemp()) / "request.lua"
    script.write_text(REQUEST, encoding="utf-8")
    command = [wrk, "-t1", f"-c{min(connections, 50)}", "-d1s", "-s", script, f"{url}/api/v1/image-processing-sync"]

    def run():
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return int(re.search(r"(\d+) requests in", said)[1])

    return run
