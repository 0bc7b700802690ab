"""A copy of the checkout for tests of the command line, where .venv, .workshop and the commands are the test's own."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from workshop.folders import CHECKOUT

# A command for tests, in place of one that has the same name: it says where it runs.
STUB = '''"""A command for tests."""
import json, os, sys
HELP = "a command for tests"
PACKAGES = "{packages}"

def add_arguments(parser):
    parser.add_argument("--status", type=int, default=0)

def run(args):
    print(json.dumps({{
        "prefix": sys.prefix,
        "virtual_env": os.environ.get("VIRTUAL_ENV"),
        "path": os.environ["PATH"].split(os.pathsep)[0],
        "pythonhome": os.environ.get("PYTHONHOME"),
        "modules": sorted({{"django", "boto3", "psutil"}} & set(sys.modules)),
    }}))
    return args.status
'''


def wheel(folder: Path, name: str) -> str:
    """A package of one empty module; returns its entry for a list with hashes."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


# What builds the checkout itself, where hatchling is not installed: it hands out a wheel that is there.
BACKEND = """
import pathlib, shutil

def build_editable(folder, *_):
    wheel = pathlib.Path(__file__).with_name("django_sqs_lambda_workshop-1.0-py3-none-any.whl")
    return pathlib.Path(shutil.copy(wheel, folder)).name
"""


class Copy:
    """`run(*arguments)` is `python -m workshop ARGUMENTS` in the copy."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.venv = folder / ".venv"
        self.work = folder / ".workshop"
        folder.mkdir(parents=True)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / "workshop", folder / "workshop", ignore=ignore)
        shutil.copytree(CHECKOUT / "requirements", folder / "requirements")
        for name in ("pyproject.toml", "requirements.txt"):
            shutil.copy(CHECKOUT / name, folder)

    def pretend_it_is_installed(self) -> None:
        """What an editable installation leaves, found in the copy first: no .venv is made for it."""
        installed = self.folder / "django_sqs_lambda_workshop-1.0.0.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: django-sqs-lambda-workshop\nVersion: 1.0.0\n")
        origin = {"url": self.folder.resolve().as_uri(), "dir_info": {"editable": True}}
        (installed / "direct_url.json").write_text(json.dumps(origin))

    def is_built_without_hatchling(self) -> None:
        wheel(self.folder, "django_sqs_lambda_workshop")
        (self.folder / "backend.py").write_text(BACKEND)
        project = '[project]\nname = "django-sqs-lambda-workshop"\nversion = "1.0"\n'
        system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        (self.folder / "pyproject.toml").write_text(project + system)

    def replace_command(self, name: str, packages: str) -> None:
        command = self.folder / "workshop" / "commands" / f"{name}.py"
        command.write_text(STUB.format(packages=packages))

    def start(self, *arguments, python=sys.executable, **variables: str) -> subprocess.Popen:
        kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        return subprocess.Popen(
            [python, "-m", "workshop", *arguments],
            cwd=self.folder,
            env={**kept, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, python=sys.executable, **variables: str) -> subprocess.CompletedProcess:
        process = self.start(*arguments, python=python, **variables)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)
