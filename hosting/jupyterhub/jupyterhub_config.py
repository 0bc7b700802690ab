"""A JupyterHub for a workshop on one Linux machine: a system user for each participant, one checkout for all.

    cd /srv/workshop && WORKSHOP_PASSWORD=... .venv/bin/jupyterhub -f hosting/jupyterhub/jupyterhub_config.py

README.md beside this file says what to install first.
"""

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = CHECKOUT / ".venv" / "bin" / "python"

c = get_config()  # noqa: F821

c.JupyterHub.bind_url = os.environ.get("WORKSHOP_BIND", "http://127.0.0.1:8000")
c.JupyterHub.db_url = "sqlite:///" + str(Path.cwd() / "jupyterhub.sqlite")

# One password for the room, and whatever name somebody chooses. Whoever has the password can take another's name: for
# more than a workshop, choose an authenticator with accounts.
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["WORKSHOP_PASSWORD"]
c.Authenticator.allow_all = True
c.Authenticator.username_pattern = r"[a-z][a-z0-9-]{0,30}"


def make_system_user(spawner) -> None:
    """A user of the machine for each participant, so that what one has is closed to the others."""
    import pwd
    import subprocess

    name = spawner.user.name
    try:
        pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
        Path("~" + name).expanduser().chmod(0o700)


c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
c.Spawner.pre_spawn_hook = make_system_user
c.Spawner.cmd = [str(PYTHON), "-m", "workshop.jupyter.hub"]
c.Spawner.environment = {"WORKSHOP_HOME": lambda spawner: f"/home/{spawner.user.name}/workshop"}
c.Spawner.default_url = "/lab/tree/notebooks/00_start_here.ipynb"
c.Spawner.start_timeout = 120  # seconds: thirty people press Start together
c.Spawner.http_timeout = 120
c.JupyterHub.concurrent_spawn_limit = 4  # the others wait in line: a start is one or two seconds of one core
