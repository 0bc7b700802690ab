"""Before any test or notebook runs: nothing here can reach a real account or open a real tunnel.

`AWS_ENDPOINT_URL` may name another SQS server on this machine; the notebooks then run against that one.
"""

import os
import signal
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest_plugins = ["django_site_fixtures"]


def pytest_configure(config):
    """Set the environment that kernels and servers inherit. Python-dotenv leaves alone what is set here."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # pytest was started in the background, as by some CIs:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C must reach what the tests start, all the same
    if getattr(config.option, "dist", "") == "load":  # with -n a notebook's cells would go to different kernels
        config.option.dist = "loadfile"
    if not config.getoption("nbval_sanitize_with", None):
        config.option.nbval_sanitize_with = str(config.rootpath / "tests" / "nbval_sanitize.cfg")
    endpoint_url = os.environ.get("AWS_ENDPOINT_URL", "")
    for name in [name for name in os.environ if name.startswith(("AWS_", "WORKSHOP_"))]:
        del os.environ[name]
    if urlsplit(endpoint_url).hostname in ("127.0.0.1", "localhost", "::1"):
        os.environ["AWS_ENDPOINT_URL"] = endpoint_url
    os.environ.update(
        WORKSHOP_AWS="local",
        WORKSHOP_PROGRESS_FILE=str(Path(tempfile.gettempdir()) / f"workshop-progress-{os.getpid()}.json"),
        WORKSHOP_BOARD_FOLDER=str(Path(tempfile.gettempdir()) / f"workshop-board-{os.getpid()}"),  # no test joins by it
        NGROK_AUTHTOKEN="",
        AWS_ACCESS_KEY_ID="testing",  # no account has such a key; moto accepts any
        AWS_SECRET_ACCESS_KEY="testing",  # noqa: S106
        AWS_DEFAULT_REGION="us-east-1",
        AWS_REGION_NAME="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )


def pytest_collection_modifyitems(items):
    """On another SQS server, a few cells of the notebooks cannot hold: each says so, and why, in its metadata."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        return
    for item in items:
        why = getattr(item, "cell", {}).get("metadata", {}).get("another_sqs_server", "")
        if why.startswith("left out"):
            item.add_marker(pytest.mark.skip(reason=why))
        elif why.startswith("not compared"):
            item.options["check"] = False
