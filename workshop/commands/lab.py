"""Open JupyterLab on the first chapter, in your browser. Ctrl-C in the terminal stops it.

The first start installs what the workshop needs into the folder .venv, once. Your own Jupyter settings are
neither used nor changed.
"""

import os
import sys

from workshop.folders import HOME

HELP = "opens the first chapter in JupyterLab, in your browser"

FIRST_CHAPTER = "notebooks/00_start_here.ipynb"


def add_arguments(parser):
    parser.add_argument("--no-browser", action="store_true", help="only say the address")
    parser.add_argument("--port", type=int, metavar="N", help="the port to listen on (default: a free one)")
    parser.add_argument(
        "--from", dest="wheelhouse", metavar="FOLDER", help="install from this wheelhouse, without a network"
    )
    parser.add_argument("--author", action="store_true", help="show chapters with the outputs that are in their files")


def run(args, notebook: str = FIRST_CHAPTER) -> None:
    running = _running_server(notebook)
    if running:
        print(f"JupyterLab is running already, at\n\n    {running}\n")
        print("To stop it, press Ctrl-C in the terminal where it was started.")
        _open_browser(running, args)
        return
    _start(args, notebook)


def _running_server(notebook: str) -> str | None:
    """The address of the JupyterLab that an earlier start of this checkout left running."""
    from jupyter_server.serverapp import list_running_servers

    from workshop.jupyter import configuration

    for server in list_running_servers(str(configuration.RUNTIME_FOLDER)):
        if _answers(server["port"]):
            return _address(server["port"], server["token"], notebook)
    return None


def _start(args, notebook: str) -> None:
    import secrets
    import time

    from workshop.jupyter import configuration, home
    from workshop.lab.processes import Child, free_port

    if args.port and not _is_free(args.port):
        args.parser.error(f"port {args.port} cannot be used: it is taken, or not a port. Leave --port out.")
    port = args.port or free_port()
    token = secrets.token_hex(24)
    for path in home.prepare():
        print(f"There is a newer {path.relative_to(HOME)}. Yours was left as it is; reset takes the new one.")
    configuration.write_defaults()
    configuration.trust_notebooks()
    server = Child(
        "jupyterlab",
        "jupyterlab",
        [
            "--no-browser",
            "--allow-root",  # in a container one is root; the server listens on this machine alone
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            *configuration.options(args.author),
        ],
        folder=configuration.FOLDER,
        env={**configuration.environment(), "JUPYTER_TOKEN": token},
    )
    server.log_path.unlink(missing_ok=True)
    print("Starting JupyterLab ...", file=sys.stderr, flush=True)
    try:
        server.start(ready=lambda: _answers(port))
        address = _address(port, token, notebook)
        print(f"JupyterLab runs at\n\n    {address}\n")
        print("Press Ctrl-C here to stop it, with everything that the notebooks started.", flush=True)
        _open_browser(address, args)
        while server.alive:
            time.sleep(0.5)
        print("JupyterLab was shut down.")
    except KeyboardInterrupt:
        print("\nStopping JupyterLab ...", file=sys.stderr, flush=True)
    finally:
        server.stop()


def _address(port: int, token: str, notebook: str) -> str:
    path = f"lab/tree/{notebook}" if (HOME / notebook).exists() else "lab"
    return f"http://127.0.0.1:{port}/{path}?token={token}"


def _answers(port: int) -> bool:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _is_free(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def _open_browser(address: str, args) -> None:
    import webbrowser

    # Without a display, Python would find a text browser and give it this terminal.
    no_display = sys.platform == "linux" and not (os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"})
    if args.no_browser or no_display or not webbrowser.open(address):
        print("Open this address in a browser on this machine.", flush=True)
