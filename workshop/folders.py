"""Where things lie. Standard library only."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
WORK_FOLDER = CHECKOUT / ".workshop"  # everything that the kit creates besides .venv; git ignores it
LAMBDA_WHEELS = WORK_FOLDER / "wheels"  # what the deployment package is made of, kept for a time without a network
RUNS_FOLDER = WORK_FOLDER / "runs"  # a folder for each process that opens a lab
