"""Where things lie. Standard library only.

Where many people share one checkout, each has a folder of their own, and `WORKSHOP_HOME` names it: chapters, exercises,
`.env` and all that the kit creates are there then (see workshop/jupyter/home.py).
"""

import os
from pathlib import Path
from urllib.parse import quote

CHECKOUT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("WORKSHOP_HOME") or CHECKOUT).expanduser().resolve()  # what a learner works in
ENV_FILE = HOME / ".env"
WORK_FOLDER = HOME / ".workshop"  # everything that the kit creates besides .venv; git ignores it
LAMBDA_WHEELS = WORK_FOLDER / "wheels"  # what the deployment package is made of, kept for a time without a network
RUNS_FOLDER = WORK_FOLDER / "runs"  # a folder for each process that opens a lab


def sqlite_url(file: Path) -> str:
    """DATABASE_URL for a file, whatever its folder is called: a % in it is not the beginning of an escape."""
    return "sqlite:///" + quote(file.as_posix(), safe="/:")
