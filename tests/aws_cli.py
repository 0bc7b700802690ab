"""The AWS CLI that works: the first on PATH may be another version, or broken."""

import os
import shutil
import subprocess


def find_aws_cli() -> str | None:
    """The path of the first `aws` on PATH that says it is version 2; None where there is none."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if aws := shutil.which("aws", path=folder):
            said = subprocess.run([aws, "--version"], capture_output=True, text=True)
            if said.returncode == 0 and said.stdout.startswith("aws-cli/2"):
                return aws
    return None
