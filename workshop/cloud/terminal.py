"""The lines that lead the AWS CLI, other SDKs and Django to a local AWS, ready to be copied into terminals.

    print(for_the_aws_cli(endpoint_url))                                            # what a lab shows
    print(for_a_deployment(endpoint_url, queue_url, "func_sqs_sync", values))       # what `deploy` prints

They are in the language of the shell that one finds on the system: sh, or PowerShell on Windows.
"""

import os
import secrets
import shlex
import sys

from workshop.folders import CHECKOUT, WORK_FOLDER, sqlite_url
from workshop.names import RECEIVER_PATH

from .aws_environment import LOCAL

DJANGO_URL = "http://127.0.0.1:8000"
DJANGO_FOLDER = WORK_FOLDER / "deployed"  # of the Django that one starts beside a local deploy; `clean` removes it
PLACEHOLDER = "YOUR_SECURE_APP_KEY"  # the source guide's


def for_the_aws_cli(endpoint_url: str) -> str:
    """For boto3 and other SDKs the variables, and for `aws` an alias: before 2.13 it reads no AWS_ENDPOINT_URL."""
    if _windows():
        alias = f"function aws {{ aws.exe --endpoint-url {endpoint_url} @args }}"
    else:
        alias = f"alias aws='aws --endpoint-url {endpoint_url}'"
    variables = {"AWS_ENDPOINT_URL": endpoint_url, **LOCAL}
    return "\n".join([*(_set(name, value) for name, value in variables.items()), alias])


def for_a_deployment(endpoint_url: str, queue_url: str, function_name: str, values: dict[str, str]) -> str:
    """`values` are the person's settings: a SECRET_KEY or APP_KEY among them is used and not shown."""
    keys = {name: secrets.token_urlsafe(24) for name in ("SECRET_KEY", "APP_KEY") if not values.get(name)}
    endpoint, log = DJANGO_URL + RECEIVER_PATH, DJANGO_FOLDER / "django.log"
    django = {
        "AWS_ENDPOINT_URL": endpoint_url,
        **LOCAL,
        "SQS_QUEUE_URL": queue_url,
        "SYNC_ENDPOINTS": endpoint,
        "DATABASE_URL": sqlite_url(DJANGO_FOLDER / "db.sqlite3"),
        "MEDIA_ROOT": str(DJANGO_FOLDER / "media"),
        "DJANGO_LOG_FILE": str(log),
        "DEBUG": "true",
        **keys,
    }
    key = keys.get("APP_KEY", PLACEHOLDER)
    body = f'{{"apps": [{{"endpoint": "{endpoint}", "key": "{key}"}}], "data": {{"image_id": 1}}}}'
    aws = f"aws --endpoint-url {endpoint_url}"  # said in each command: copied alone, it must not reach the real AWS
    lines = [
        f"The local AWS listens at {endpoint_url} and runs the function. Leave this terminal open.",
        "",
        f"Django, in another terminal. Then upload a picture at {DJANGO_URL}: it is image 1.",
        f"  cd {_quoted(CHECKOUT)}",
        *(f"  {_set(name, value)}" for name, value in django.items()),
        f"  {_program(sys.executable)} workshop_django/manage.py migrate",
        f"  {_program(sys.executable)} workshop_django/manage.py runserver 8000",
        "",
        "The guide's commands, each in a terminal of its own. First, in each, what leads `aws` here:",
        *(f"  {line}" for line in for_the_aws_cli(endpoint_url).splitlines()),
        "Then one of these:",
        f"  {aws} logs tail /aws/lambda/{function_name} --follow",
        f"  {_follow(log)}",
        f"  {aws} sqs send-message --queue-url {queue_url} --message-body '{body}'",
    ]
    if key == PLACEHOLDER:
        lines.append(f"  (with the APP_KEY of your .env in place of {PLACEHOLDER})")
    if _windows():
        lines.append("  (if that loses its quotation marks, write the body to a file: --message-body file://body.json)")
    return "\n".join(lines)


# sh and PowerShell


def _windows() -> bool:
    return os.name == "nt"


def _quoted(text: object) -> str:
    return f'"{text}"' if _windows() else shlex.quote(str(text))


def _set(name: str, value: str) -> str:
    return f'$env:{name} = "{value}"' if _windows() else f"export {name}={shlex.quote(value)}"


def _program(path: str) -> str:
    return f"& {_quoted(path)}" if _windows() else _quoted(path)


def _follow(log: object) -> str:
    return f"Get-Content -Wait {_quoted(log)}" if _windows() else f"tail -f {_quoted(log)}"
