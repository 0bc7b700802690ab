"""The offline agent: it stands in for the ngrok agent when there is no authtoken, or no network.

It speaks the local interface that pyngrok expects of ngrok (the command line, the log lines, the agent API) and
forwards a loopback address, http://127.0.0.1:<free port>, to the address asked for. Nothing leaves the machine.

    workshop-offline-ngrok start --none --log stdout       (what pyngrok runs)
    workshop-offline-ngrok --version
"""

import argparse
import os
import sys

VERSION = "3.0.0-workshop-offline"  # pyngrok works with the major version 3

ANSWERS = {
    "version": f"ngrok version {VERSION}",
    "update": "No update available: this is the workshop's offline agent.",
    "config check": "Valid configuration file",
    "config upgrade": "Nothing to upgrade",
    "config add-authtoken": "Authtoken saved nowhere: the offline agent needs none and keeps none.",
    "config add-api-key": "API key saved nowhere: the offline agent needs none and keeps none.",
}


def main() -> None:
    """Run one of ngrok's commands. Exits with 1 for those that need the real ngrok."""
    options, _ = _parser().parse_known_args()
    command = " ".join(options.command[: 2 if options.command[:1] == ["config"] else 1])
    if options.version:
        command = "version"
    if command == "start":
        _start()
    elif command in ANSWERS:
        print(ANSWERS[command])
    else:
        print(
            f"The workshop's offline agent does not know 'ngrok {command}'. "
            "Write NGROK_AUTHTOKEN=<your token> into .env to use the real ngrok.",
            file=sys.stderr,
        )
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    """The options of ngrok that pyngrok passes. What has no meaning offline is read and left alone."""
    parser = argparse.ArgumentParser(prog="workshop-offline-ngrok", description=__doc__, add_help=False)
    parser.add_argument("command", nargs="*")
    parser.add_argument("-v", "--version", action="store_true")
    for name in ("--config", "--log", "--authtoken", "--api-key", "--region"):
        parser.add_argument(name)
    return parser


def _start() -> None:
    from workshop.lab.guard import exit_with

    exit_with(os.getppid())  # pyngrok's process; on Windows the launcher that pip made, which pyngrok kills
    if watched := os.environ.get("WORKSHOP_PARENT_PID"):
        exit_with(int(watched), float(os.environ["WORKSHOP_PARENT_CREATE_TIME"]))
    import asyncio

    from .agent import serve

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        pass
