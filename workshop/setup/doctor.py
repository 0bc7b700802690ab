"""What `doctor` looks at. Nothing is changed, and the standard library is enough: no package need be there.

for finding in checkup.all_findings():
    print(finding.state, finding.subject, finding.words, finding.advice)
"""

import importlib.util
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

from workshop.folders import CHECKOUT, WORK_FOLDER
from workshop.jupyter import configuration
from workshop.names import PROGRAM
from workshop.run_folders import unused_run_folders, used_run_folders

from . import installation, virtual_environment

NEWEST_TRIED = (3, 13)  # of Python: requirements.txt is locked for 3.11 to 3.13
SPACE_TO_RUN = 100  # megabytes that a lab with some uploads may take
OLDEST_NODE = 20  # what the npm package fauxqs, in the tests, asks for
ANSWER_TIME = 20  # seconds that another program may take to say its version


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
    checks = (
        python,
        packages,
        write_access,
        disk,
        ports,
        env_file,
        aws,
        tunnel,
        jupyterlab,
        leftovers,
        aws_cli,
        node,
    )
    with ThreadPoolExecutor(len(checks)) as pool:  # most of them wait for another program
        return [finding for findings in pool.map(_carefully, checks) for finding in findings]


def _carefully(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except Exception as error:  # one check that fails must not hide what the others found
        subject = check.__name__.replace("_", " ").capitalize()
        return [Finding(subject, "note", f"could not be looked at: {type(error).__name__}: {error}")]


# This machine


def python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    words = f"{version}, {sys.executable}"
    if sys.version_info[:2] > NEWEST_TRIED:
        newest = ".".join(map(str, NEWEST_TRIED))
        yield Finding(
            "Python", "note", words, f"The workshop was tried on 3.11 to {newest}: use one of them if it fails."
        )
    else:
        yield Finding("Python", "ok", words)


def packages() -> Iterator[Finding]:
    if virtual_environment.ready_here():
        where = "in .venv" if virtual_environment.running_in_venv() else f"in {sys.prefix}"
        yield Finding("Packages", "ok", f"complete, {where}")
        return
    condition = virtual_environment.examine()
    if condition.state == "ready":
        yield Finding("Packages", "ok", "complete, in .venv")
        return
    if condition.state == "foreign":
        yield Finding(
            "Packages", "problem", condition.reason, "Move it away or delete it yourself; the workshop makes its own."
        )
        return
    try:
        installation.require_venv_module()
    except SystemExit as cannot:
        what, _, to_do = str(cannot).partition(". ")
        yield Finding("Packages", "problem", f"{what}.", to_do)
        return
    words = condition.reason or "not installed yet."
    yield Finding("Packages", "note", words, f"The first command that needs them installs them: {PROGRAM} lab")


def write_access() -> Iterator[Finding]:
    folder = WORK_FOLDER if WORK_FOLDER.is_dir() else CHECKOUT
    try:
        with tempfile.TemporaryFile(dir=folder):  # the only way to know on every system; it leaves nothing behind
            pass
    except OSError as error:
        what, _, to_do = installation.read_only(error.strerror or type(error).__name__).partition(". ")
        yield Finding("Folder", "problem", f"{what}.", to_do)
    else:
        yield Finding("Folder", "ok", f"{folder} can be written to")


def disk() -> Iterator[Finding]:
    free = shutil.disk_usage(CHECKOUT).free / 1e6
    ready = virtual_environment.ready_here() or virtual_environment.examine().state == "ready"
    needed = SPACE_TO_RUN if ready else installation.DISK_SPACE
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
        yield Finding(
            "Ports",
            "problem",
            f"127.0.0.1 cannot be listened on and reached: {error.strerror or error}.",
            "Let Python use the loopback address in your firewall or sandbox.",
        )


# Settings


def env_file() -> Iterator[Finding]:
    """Is `.env` text that can be read, and are the values usable, of it and of the environment?"""
    try:
        values, unread = _settings()
    except UnicodeDecodeError:
        yield Finding(
            "Settings", "problem", f"{CHECKOUT / '.env'} is not UTF-8 text.", "Save it again with the encoding UTF-8."
        )
        return
    except OSError as error:
        yield Finding("Settings", "problem", f".env cannot be read: {error.strerror}.", "Make it readable for you.")
        return
    for number in unread:
        yield Finding(
            "Settings", "note", f"Line {number} of .env is not understood, and ignored.", "Write it as NAME=value."
        )
    wrong = list(_malformed(values))
    yield from wrong
    if not wrong and not unread:
        where = (
            f"{CHECKOUT / '.env'}" if (CHECKOUT / ".env").exists() else "no .env, which is fine: nothing must be set"
        )
        yield Finding("Settings", "ok", where)


def _malformed(values: dict[str, str]) -> Iterator[Finding]:
    """A finding for each value that cannot be used. A problem if a lab would meet it, else a note."""
    real = values.get("WORKSHOP_AWS", "").lower() == "real"
    for name, is_good, stops_a_lab, to_write in (
        ("WORKSHOP_AWS", lambda value: value.lower() in ("local", "real"), True, "local (no account needed) or real"),
        ("AWS_ENDPOINT_URL", _is_url, True, "the address of an SQS server such as http://127.0.0.1:4566, or nothing"),
        ("AWS_REGION_NAME", _is_region, real, "a region such as us-east-1"),
        ("SQS_QUEUE_URL", _is_url, real, "the queue's URL, or nothing"),
        (
            "DJANGO_LOG_FILE",
            _is_in_a_folder,
            "DJANGO_LOG_FILE" in os.environ,
            "a file in a folder that exists, or nothing",
        ),
        ("MAX_CONCURRENCY", str.isdigit, "MAX_CONCURRENCY" in os.environ, "a number, or nothing"),
        ("DEBUG", lambda value: value.lower() in ("true", "false"), False, "true or false"),
        ("SYNC_ENDPOINTS", _are_endpoints, False, "addresses that begin with http:// or https://"),
        (
            "APP_KEY",
            lambda value: value.isascii() and value.isprintable() and " " not in value,
            False,
            "ASCII, no blanks",
        ),
        ("NGROK_AUTHTOKEN", lambda value: bool(re.fullmatch(r"\w{20,}", value)), False, "the authtoken, whole"),
    ):
        value = values.get(name, "")
        if value and not is_good(value):
            shown = "" if name in ("APP_KEY", "NGROK_AUTHTOKEN", "SYNC_ENDPOINTS") else f" is {value!r}, which"
            yield Finding(
                "Settings",
                "problem" if stops_a_lab else "note",
                f"{name}{shown} cannot be used.",
                f"In {_where(name)}, make it {to_write}.",
            )


def _where(name: str) -> str:
    """Where a person has set it: the environment wins over the file."""
    return "the environment" if os.environ.get(name) else str(CHECKOUT / ".env")


def aws() -> Iterator[Finding]:
    values = _settings_if_readable()
    chosen = values.get("WORKSHOP_AWS", "").lower() or "local"
    if chosen == "local" and (address := values.get("AWS_ENDPOINT_URL")):
        yield Finding("AWS", "ok", f"the server at {address}, which AWS_ENDPOINT_URL names; no account needed")
    elif chosen == "local":
        yield Finding("AWS", "ok", "local: no account needed, nothing leaves this machine")
    elif chosen == "real":
        yield from _real_aws(values)


def _real_aws(values: dict[str, str]) -> Iterator[Finding]:
    region = values.get("AWS_REGION_NAME") or values.get("AWS_DEFAULT_REGION")
    key, secret = values.get("AWS_ACCESS_KEY_ID"), values.get("AWS_SECRET_ACCESS_KEY")
    note = "What you do there is kept and may cost money; WORKSHOP_AWS=local goes back."
    if bool(key) != bool(secret):
        missing = "AWS_SECRET_ACCESS_KEY" if key else "AWS_ACCESS_KEY_ID"
        yield Finding(
            "AWS", "problem", f"REAL, but {missing} is not set, and its other half is.", f"Write {missing}=... in .env."
        )
    elif not key and not _finds_credentials(values):
        yield Finding(
            "AWS",
            "problem",
            "REAL, but there are no credentials.",
            "Write AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env, or run `aws configure`, or write "
            "WORKSHOP_AWS=local.",
        )
    elif not region:
        yield Finding("AWS", "note", "REAL: your own account, in your profile's region.", note)
    else:
        yield Finding("AWS", "note", f"REAL: your own account, region {region}.", note)


def _finds_credentials(values: dict[str, str]) -> bool:
    """Does boto3 find some? Without boto3: is there anything that it might find?"""
    if importlib.util.find_spec("boto3"):
        import boto3
        from botocore.exceptions import BotoCoreError

        try:
            return boto3.Session(profile_name=values.get("AWS_PROFILE") or None).get_credentials() is not None
        except BotoCoreError:
            return False
    home = Path.home() / ".aws"
    return bool(values.get("AWS_PROFILE")) or (home / "credentials").exists() or (home / "config").exists()


def tunnel() -> Iterator[Finding]:
    values = _settings_if_readable()
    if not values.get("NGROK_AUTHTOKEN"):
        yield from _offline_agent()
        return
    yield Finding(
        "Tunnel",
        "note",
        "REAL: NGROK_AUTHTOKEN is set, so ngrok.connect() makes this machine reachable from the internet.",
        "Remove NGROK_AUTHTOKEN to stay on this machine.",
    )
    if importlib.util.find_spec("pyngrok"):
        from pyngrok import conf

        if not Path(conf.get_default().ngrok_path).exists():
            yield Finding(
                "Tunnel", "note", "The ngrok agent is not installed.", "The first ngrok.connect() downloads it."
            )


def _offline_agent() -> Iterator[Finding]:
    if importlib.util.find_spec("pyngrok"):
        from workshop.lab import tunnel as agents

        try:
            agents.offline_agent()
        except agents.TunnelError as error:
            what, _, to_do = str(error).partition(". ")
            yield Finding("Tunnel", "problem", f"{what}.", to_do)
            return
    yield Finding("Tunnel", "ok", "the offline agent: no ngrok account needed, nothing leaves this machine")


def _settings() -> tuple[dict[str, str], list[int]]:
    """The values of `.env` and of the environment, which wins; and the numbers of the lines that are not understood."""
    path = CHECKOUT / ".env"
    if path.is_fifo():  # a password manager may offer it like that, and to read one that nobody writes to would hang
        return dict(os.environ), []
    text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    found, unread = _parsed(text)
    return {name: value.strip() for name, value in (found | dict(os.environ)).items()}, unread


def _parsed(text: str) -> tuple[dict[str, str], list[int]]:
    if importlib.util.find_spec("dotenv"):
        import io

        from dotenv.parser import parse_stream

        bindings = list(parse_stream(io.StringIO(text)))
        return (
            {binding.key: binding.value or "" for binding in bindings if binding.key},
            [binding.original.line for binding in bindings if binding.error],
        )
    found, unread = {}, []  # without python-dotenv: values of one line, which is all that the workshop's own are
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.match(r"""\s*(?:export\s+)?([^\s=#'"]+)\s*=\s*(?:'([^']*)'|"([^"]*)"|(.*?)(?:\s+#.*)?$)""", line)
        if match:
            found[match[1]] = match[2] or match[3] or match[4] or ""
        elif line.strip() and not line.lstrip().startswith("#"):
            unread.append(number)
    return found, unread


def _settings_if_readable() -> dict[str, str]:
    try:
        return _settings()[0]
    except (OSError, UnicodeDecodeError):  # env_file() says so
        return dict(os.environ)


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an unclosed bracket
        return False


def _are_endpoints(value: str) -> bool:
    return all(_is_url(entry.partition("|")[0].strip()) for entry in value.split(",") if entry.strip())


def _is_in_a_folder(value: str) -> bool:
    return Path(value).parent.is_dir()


def _is_region(value: str) -> bool:
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", value):
        return False
    if not importlib.util.find_spec("boto3"):
        return True
    import boto3

    session = boto3.Session(profile_name=None, region_name="us-east-1")
    return any(value in session.get_available_regions("sqs", name) for name in session.get_available_partitions())


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
        yield Finding(
            "JupyterLab",
            "note",
            f"one is running, at port {record['port']}, process {record.get('pid', '?')}.",
            f"`{PROGRAM} lab` opens it again; Ctrl-C in the terminal where it was started stops it.",
        )
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


# Other programs, each needed for one thing only


def aws_cli() -> Iterator[Finding]:
    """The first `aws` on the PATH that works; one that does not is passed over."""
    purpose = "Needed only where a chapter types `aws ...`"
    where = "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
    found, broken = [], []
    for path in _on_path("aws"):
        if version := re.search(r"aws-cli/(\d+)(\S*)", _says(path, "--version")):
            found.append((int(version[1]), f"{version[1]}{version[2]}", path))
            if int(version[1]) >= 2:
                break
        else:
            broken.append(path)
    if not found:
        words = f"{broken[0]} does not work." if broken else "not installed."
        yield Finding("AWS CLI", "note", words, f"{purpose}. Install version 2: {where}")
        return
    (major, version, path), newest = found[0], found[-1]
    if major >= 2:
        yield Finding("AWS CLI", "ok", f"{version}, {path}")
    elif newest[0] >= 2:
        words = f"{version}, {path}: an old version, found before {newest[1]}, {newest[2]}."
        yield Finding("AWS CLI", "note", words, f"{purpose}. There, type {newest[2]}, or put its folder first in PATH.")
    else:
        words = f"{version}, {path}: an old version."
        yield Finding("AWS CLI", "note", words, f"{purpose}. Install version 2: {where}")


def node() -> Iterator[Finding]:
    purpose = "Needed only for the tests that also run against the SQS server fauxqs; they are skipped without it"
    found = {name: next(_on_path(name), None) for name in ("node", "npm")}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        yield Finding(
            "Node.js", "note", f"{' and '.join(missing)} not installed.", f"{purpose}. From: https://nodejs.org"
        )
        return
    version, npm = _says(found["node"], "--version").strip(), _says(found["npm"], "--version").strip()
    number = re.match(r"v(\d+)\.", version)
    if not number or int(number[1]) < OLDEST_NODE or not npm:
        words = f"{version or 'node does not work'}, npm {npm or 'does not work'}."
        yield Finding("Node.js", "note", words, f"{purpose}. Version {OLDEST_NODE} or newer: https://nodejs.org")
    else:
        yield Finding("Node.js", "ok", f"{version}, npm {npm}")


def _on_path(name: str) -> Iterator[str]:
    """Each program of that name on the PATH, in the order in which a terminal looks for it."""
    for folder in os.get_exec_path():
        if folder and (path := shutil.which(name, path=folder)):
            yield path


def _says(*command: str) -> str:
    """What a program prints, or nothing if it does not work."""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=ANSWER_TIME, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
