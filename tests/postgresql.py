"""A PostgreSQL server of the tests' own; `pytest_plugins = ["postgresql"]` gives them its URL as `postgres`."""

import getpass
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from workshop.lab.processes import free_port


def program(name: str) -> str | None:
    """One of PostgreSQL's programs; Debian keeps them off the PATH."""
    debian = [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *debian]))


@pytest.fixture(scope="module")
def postgres():
    """A PostgreSQL server of these tests' own: its URL. Skips the test, saying why, where none is installed."""
    if not program("initdb"):
        pytest.skip("PostgreSQL's server is not installed here")
    port = free_port()
    account = {}
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:  # pytest's own folders are closed to other users
        if getpass.getuser() == "root":  # PostgreSQL refuses to run as root
            account = {"user": "postgres"}
            shutil.chown(folder, "postgres")
        data = Path(folder) / "data"

        def run(*command):
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, **account)

        run(program("initdb"), "-D", data, "-U", "workshop", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        run(program("pg_ctl"), "-D", data, "-o", options, "-l", Path(folder) / "log", "-w", "start")
        with psycopg.connect(f"postgres://workshop@127.0.0.1:{port}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE gallery")
        yield f"postgres://workshop@127.0.0.1:{port}/gallery"
        run(program("pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
