"""What a JupyterHub starts for each user, in place of `jupyterhub-singleuser`:

    WORKSHOP_HOME=/home/ana/workshop /srv/workshop/.venv/bin/python -m workshop.jupyter.hub

The user's folder is brought up to date, and the server has the workshop's settings. See hosting/jupyterhub.
"""

import os
import sys
from pathlib import Path

from . import configuration, home


def main() -> None:
    os.umask(0o077)  # other users of the machine read nothing of what this one makes
    for path in home.prepare():
        print(f"{path} was left as it is: its user has worked in it, and there is a newer one.", file=sys.stderr)
    configuration.write_defaults()
    configuration.trust_notebooks()
    folder = Path(sys.executable).parent
    os.environ.update(configuration.environment())
    os.environ["PATH"] = str(folder) + os.pathsep + os.environ.get("PATH", "")  # python3 and aws in its terminals
    command = [str(folder / "jupyterhub-singleuser"), *configuration.options(), *sys.argv[1:]]
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
