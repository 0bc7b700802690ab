"""The offline agent: it stands in for the ngrok agent when there is no authtoken, or no network.

It speaks the local interface that pyngrok expects of ngrok (the command line, the log lines, the agent API) and
forwards a loopback address, http://127.0.0.1:<free port>, to the address asked for. Nothing leaves the machine.

    workshop-offline-ngrok start --none --log stdout --config ngrok.yml     (what pyngrok runs)
    workshop-offline-ngrok --version
"""

import sys

VERSION = "3.0.0-workshop-offline"  # pyngrok works with the major version 3


def main() -> None:
    """Run one of ngrok's commands. Exits with 1 for those that need the real ngrok."""
    command = " ".join(sys.argv[1:2])
    if command == "start":
        _start()
    elif command == "--version":
        print(f"ngrok version {VERSION}")
    else:
        print(
            f"The workshop's offline agent does not know 'ngrok {command}'. "
            "Write NGROK_AUTHTOKEN=<your token> into .env to use the real ngrok.",
            file=sys.stderr,
        )
        raise SystemExit(1)


def _start() -> None:
    from workshop.lab.dies_with_parent import die_with_parent

    die_with_parent()  # pyngrok's process, also where a launcher stands between them, as on Windows
    import asyncio

    from .agent import serve

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        pass
