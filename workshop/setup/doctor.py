"""What `doctor` looks at. Nothing is changed, and the standard library is enough: no package need be there.

for finding in doctor.all_findings():
    print(finding.state, finding.subject, finding.words, finding.advice)
"""

import importlib.util
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from workshop.folders import CHECKOUT, ENV_FILE, WORK_FOLDER
from workshop.jupyter import configuration
from workshop.names import PROGRAM
from workshop.run_folders import unused_run_folders, used_run_folders

from . import installation, virtual_environment

NEWEST_TRIED = (3, 14)  # of Python
SPACE_TO_RUN = 100  # megabytes that a lab with some uploads may take
ANSWER_TIME = 20  # seconds that another program may take to say its version
AWS_CLI_WITH_ENDPOINT_URL = {1: 29, 2: 13}  # since these minor versions `aws` reads AWS_ENDPOINT_URL
AWS_CLI_PAGE = "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"


@dataclass(frozen=True)
class Finding:
    """ok: as it should be. note: something optional is not there, or worth knowing. problem: the workshop cannot work.

    `words` say what was found, `advice` what to do, in a sentence.
    """

    subject: str
    state: Literal["ok", "note", "problem"]
    words: str
    advice: str = ""


def all_findings() -> list[Finding]:
    """Every check's findings, in the order in which people should read them."""
    checks = (python, packages, folder, disk, ports, settings, aws, tunnel, jupyterlab, leftovers, aws_cli)
    with ThreadPoolExecutor(len(checks)) as pool:  # some of them wait for another program
        return [finding for findings in pool.map(_carefully, checks) for finding in findings]


def _carefully(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except Exception as error:  # one check that fails must not hide what the others found
        subject = check.__name__.replace("_", " ").capitalize()
        return [Finding(subject, "note", f"could not be looked at: {type(error).__name__}: {error}")]


def _problem(subject: str, said: str) -> Finding:
    """From an error's text: its first sentence says what is wrong, the rest what to do."""
    what, _, to_do = said.partition(". ")
    return Finding(subject, "problem", f"{what}.", to_do)


# This machine


def python() -> Iterator[Finding]:
    words = f"{'.'.join(map(str, sys.version_info[:3]))}, {sys.executable}"
    if sys.version_info[:2] > NEWEST_TRIED:
        newest = ".".join(map(str, NEWEST_TRIED))
        tried = f"The workshop was tried on 3.11 to {newest}: use one of them if it fails."
        yield Finding("Python", "note", words, tried)
    else:
        yield Finding("Python", "ok", words)


def packages() -> Iterator[Finding]:
    if virtual_environment.ready_here():
        where = "in .venv" if virtual_environment.running_in_venv() else f"in {sys.prefix}"
        yield Finding("Packages", "ok", f"complete, {where}")
        return
    state, reason = virtual_environment.examine()
    if state == "foreign":
        yield Finding("Packages", "problem", reason, "Move it away or delete it yourself; the workshop makes its own.")
        return
    try:
        installation.require_venv_module()
    except SystemExit as cannot:
        yield _problem("Packages", str(cannot))
        return
    words = reason or "not installed yet."
    yield Finding("Packages", "note", words, f"The first command that needs them installs them: {PROGRAM} lab")


def folder() -> Iterator[Finding]:
    where = WORK_FOLDER if WORK_FOLDER.is_dir() else CHECKOUT
    try:
        with tempfile.TemporaryFile(dir=where):  # the only way to know on every system; it leaves nothing behind
            yield Finding("Folder", "ok", f"{where} can be written to")
    except OSError as error:
        yield _problem("Folder", installation.read_only(error.strerror or type(error).__name__))


def disk() -> Iterator[Finding]:
    free = shutil.disk_usage(CHECKOUT).free / 1e6
    needed = SPACE_TO_RUN if virtual_environment.ready_here() else installation.DISK_SPACE
    words = f"{free / 1000:,.1f} GB free" if free >= 1000 else f"{free:.0f} MB free"
    if free < needed:
        yield Finding("Disk", "problem", words, f"Free some space: the workshop needs {needed} MB.")
    else:
        yield Finding("Disk", "ok", words)


def ports() -> Iterator[Finding]:
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), timeout=5),
        ):
            yield Finding("Ports", "ok", "free ports on 127.0.0.1, and they can be reached")
    except OSError as error:
        words = f"127.0.0.1 cannot be listened on and reached: {error.strerror or error}."
        yield Finding("Ports", "problem", words, "Let Python use the loopback address in your firewall or sandbox.")


# Settings


def settings() -> Iterator[Finding]:
    """Is `.env` text that can be read, and are the values usable, of it and of the environment?"""
    env_file = ENV_FILE
    try:
        values, unread = _values()
    except UnicodeDecodeError:
        yield Finding("Settings", "problem", f"{env_file} is not UTF-8 text.", "Save it again with the encoding UTF-8.")
        return
    except OSError as error:
        yield Finding("Settings", "problem", f".env cannot be read: {error.strerror}.", "Make it readable for you.")
        return
    wrong = [
        Finding("Settings", "note", f"Line {number} of .env is not understood, and ignored.", "Write it as NAME=value.")
        for number in unread
    ]
    wrong += _malformed(values)
    yield from wrong
    if not wrong and not env_file.exists():
        yield Finding("Settings", "ok", "no .env, which is fine: nothing must be set")
    elif not wrong and not importlib.util.find_spec("dotenv"):
        yield Finding("Settings", "ok", f"{env_file}; its values can be looked at once the packages are installed")
    elif not wrong:
        yield Finding("Settings", "ok", str(env_file))


def _values() -> tuple[dict[str, str], list[int]]:
    """The values of `.env` and of the environment, which wins; and the numbers of the lines that are not understood."""
    path = ENV_FILE
    if path.is_fifo():  # a password manager may offer it like that, and to read one that nobody writes to would hang
        return dict(os.environ), []
    text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    bindings = []
    if importlib.util.find_spec("dotenv"):
        from dotenv.parser import parse_stream

        bindings = list(parse_stream(io.StringIO(text)))
    found = {binding.key: binding.value or "" for binding in bindings if binding.key} | dict(os.environ)
    return {name: value.strip() for name, value in found.items()}, [b.original.line for b in bindings if b.error]


def _readable_values() -> dict[str, str]:
    try:
        return _values()[0]
    except (OSError, UnicodeDecodeError):  # settings() says so
        return dict(os.environ)


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an unclosed bracket
        return False


def _are_endpoints(value: str) -> bool:
    return all(_is_url(entry.partition("|")[0].strip()) for entry in value.split(",") if entry.strip())


def _is_key(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value


SECRET = {"APP_KEY", "NGROK_AUTHTOKEN", "SYNC_ENDPOINTS"}
# Name, is the value usable, would a lab meet it from `.env` too (it makes most settings itself), what to write.
EXPECTED = [
    ("WORKSHOP_AWS", lambda value: value.lower() in ("local", "real"), True, "local (no account needed) or real"),
    ("AWS_ENDPOINT_URL", _is_url, True, "the address of an SQS server such as http://127.0.0.1:4566, or nothing"),
    ("SQS_QUEUE_URL", _is_url, False, "the queue's URL, or nothing"),
    ("DJANGO_LOG_FILE", lambda value: Path(value).parent.is_dir(), False, "a file in a folder that exists, or nothing"),
    ("MAX_CONCURRENCY", str.isdigit, False, "a number, or nothing"),
    ("DEBUG", lambda value: value.lower() in ("true", "false"), False, "true or false"),
    ("SYNC_ENDPOINTS", _are_endpoints, False, "addresses that begin with http:// or https://"),
    ("APP_KEY", _is_key, False, "ASCII, no blanks"),
    ("NGROK_AUTHTOKEN", lambda value: bool(re.fullmatch(r"\w{20,}", value)), False, "the authtoken, whole"),
]


def _malformed(values: dict[str, str]) -> list[Finding]:
    """A finding for each value that cannot be used. A problem if a lab would meet it, else a note."""
    found = []
    for name, is_good, met_by_a_lab, to_write in EXPECTED:
        value, inherited = values.get(name, ""), bool(os.environ.get(name))
        if value and not is_good(value):
            words = f"{name} cannot be used." if name in SECRET else f"{name} is {value!r}, which cannot be used."
            state = "problem" if met_by_a_lab or inherited else "note"
            where = "the environment" if inherited else ENV_FILE
            found.append(Finding("Settings", state, words, f"In {where}, make it {to_write}."))
    return found


def aws() -> Iterator[Finding]:
    values = _readable_values()
    chosen = values.get("WORKSHOP_AWS", "").lower() or "local"
    if chosen == "local" and (address := values.get("AWS_ENDPOINT_URL")):
        yield Finding("AWS", "ok", f"the server at {address}, which AWS_ENDPOINT_URL names; no account needed")
    elif chosen == "local":
        yield Finding("AWS", "ok", "local: no account needed, nothing leaves this machine")
    elif chosen == "real":
        yield _real_aws(values)


def _real_aws(values: dict[str, str]) -> Finding:
    pair = {name: values.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    missing = [name for name, value in pair.items() if not value]
    region = values.get("AWS_REGION_NAME") or values.get("AWS_DEFAULT_REGION")
    if len(missing) == 1:
        words = f"REAL, but {missing[0]} is not set, and its other half is."
        return Finding("AWS", "problem", words, f"Write {missing[0]}=... in .env.")
    if importlib.util.find_spec("boto3"):
        import boto3
        from botocore.exceptions import BotoCoreError

        try:
            session = boto3.Session(profile_name=values.get("AWS_PROFILE") or None, region_name=region)
            credentials = session.get_credentials()
        except BotoCoreError as error:
            return Finding("AWS", "problem", f"REAL, but {error}.", "Look at AWS_PROFILE and at the files in ~/.aws.")
        if missing and not credentials:
            to_do = "Write AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env, or run `aws configure`, or write "
            return Finding("AWS", "problem", "REAL, but there are no credentials.", f"{to_do}WORKSHOP_AWS=local.")
        places = [session.get_available_regions("sqs", name) for name in session.get_available_partitions()]
        if region and not any(region in regions for regions in places):
            words = f"REAL, but the region is {region!r}, and AWS has none of that name."
            return Finding("AWS", "problem", words, "Write AWS_REGION_NAME=us-east-1, or another one.")
    where = f"region {region}" if region else "in your profile's region"
    to_do = "What you do there is kept and may cost money; WORKSHOP_AWS=local goes back."
    return Finding("AWS", "note", f"REAL: your own account, {where}.", to_do)


def tunnel() -> Iterator[Finding]:
    if _readable_values().get("NGROK_AUTHTOKEN"):
        words = "REAL: NGROK_AUTHTOKEN is set, so ngrok.connect() makes this machine reachable from the internet."
        yield Finding("Tunnel", "note", words, "Remove NGROK_AUTHTOKEN to stay on this machine.")
        return
    if importlib.util.find_spec("pyngrok"):
        from workshop.lab.tunnel import TunnelError, offline_agent

        try:
            offline_agent()
        except TunnelError as error:
            yield _problem("Tunnel", str(error))
            return
    yield Finding("Tunnel", "ok", "the offline agent: no ngrok account needed, nothing leaves this machine")


# What runs, and what was left


def jupyterlab() -> Iterator[Finding]:
    """Servers of this checkout: `lab` gives each a file that says where it listens."""
    for record_file in sorted(configuration.RUNTIME_FOLDER.glob("jpserver-*.json")):
        try:
            record = json.loads(record_file.read_text(encoding="utf-8"))
            with socket.create_connection(("127.0.0.1", record["port"]), timeout=2):
                pass
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it has ended without removing its file
        words = f"one is running, at port {record['port']}, process {record.get('pid', '?')}."
        to_do = f"`{PROGRAM} lab` opens it again; Ctrl-C in the terminal where it was started stops it."
        yield Finding("JupyterLab", "note", words, to_do)
        return
    yield Finding("JupyterLab", "ok", "none is running")


def leftovers() -> Iterator[Finding]:
    used, unused = used_run_folders(), unused_run_folders()
    if unused:
        many = "1 folder of a run that was" if len(unused) == 1 else f"{len(unused)} folders of runs that were"
        yield Finding("Leftovers", "note", f"{many} cut short.", f"Harmless. To remove what was left: {PROGRAM} clean")
    elif used:
        yield Finding("Leftovers", "ok", f"none; running notebooks and commands: {len(used)}")
    else:
        yield Finding("Leftovers", "ok", "none")


def aws_cli() -> Iterator[Finding]:
    """The `aws` that a terminal would find."""
    purpose = "Needed only where a chapter types `aws ...`"
    path = shutil.which("aws")
    version = re.search(r"aws-cli/(\d+)\.(\d+)\S*", _says(path, "--version")) if path else None
    if not version:
        words = f"{path} does not work." if path else "not installed."
        yield Finding("AWS CLI", "note", words, f"{purpose}. Install version 2: {AWS_CLI_PAGE}")
    elif int(version[2]) < AWS_CLI_WITH_ENDPOINT_URL.get(int(version[1]), 0):
        words = f"{version[0]}, {path}, ignores AWS_ENDPOINT_URL: without --endpoint-url it asks the real AWS."
        yield Finding("AWS CLI", "note", words, f"{purpose}, with --endpoint-url. A newer one: {AWS_CLI_PAGE}")
    else:
        yield Finding("AWS CLI", "ok", f"{version[0]}, {path}")


def _says(*command: str) -> str:
    """What a program prints, or nothing if it does not work."""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=ANSWER_TIME, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
