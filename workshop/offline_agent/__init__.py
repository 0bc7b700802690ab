"""The offline agent: it stands in for the ngrok agent when there is no authtoken, or no network.

It speaks the local interface that pyngrok expects of ngrok (the command line, the log lines, the agent API) and
forwards a loopback address, http://127.0.0.1:<free port>, to the address asked for. Nothing leaves the machine.

    workshop-offline-ngrok start --none --log stdout       (what pyngrok runs)
    workshop-offline-ngrok --version
"""

import asyncio
import os
import sys

from ..guard import exit_with

VERSION = "3.0.0-workshop-offline"  # pyngrok asks for the major version 3

ANSWERS = {
    ("--version",): f"ngrok version {VERSION}",
    ("version",): f"ngrok version {VERSION}",
    ("update",): "No update available: this is the workshop's offline agent.",
    ("config", "check"): "Valid configuration file",
    ("config", "upgrade"): "Nothing to upgrade",
    ("config", "add-authtoken"): "Authtoken saved: the offline agent needs none and keeps none.",
    ("config", "add-api-key"): "API key saved: the offline agent needs none and keeps none.",
}


def main() -> None:
    """Run one of ngrok's commands. Exits with 1 for those that need the real ngrok."""
    words = sys.argv[1:]
    if words[:1] == ["start"]:
        watch = os.environ.get("WORKSHOP_PARENT_PID")  # on Windows a launcher stands between it and this process
        exit_with(int(watch) if watch else os.getppid())
        from .agent import serve

        try:
            asyncio.run(serve())
        except KeyboardInterrupt:
            pass
        return
    answer = ANSWERS.get(tuple(words[:1])) or ANSWERS.get(tuple(words[:2]))
    if answer is None:
        print(
            f"The workshop's offline agent does not know 'ngrok {' '.join(words)}'. "
            "Write NGROK_AUTHTOKEN=<your token> into .env to use the real ngrok.",
            file=sys.stderr,
        )
        raise SystemExit(1)
    print(answer)
