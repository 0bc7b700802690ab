"""The lines that lead Django and the source guide's commands to a local AWS, ready to be copied into terminals.

    print(what_to_type(endpoint_url, queue_url, "func_sqs_sync", settings.load().values))

They are in the language of the shell that one finds on the system: sh, or PowerShell on Windows.
"""

import os
import secrets
import shlex
import sys

from workshop.folders import CHECKOUT, WORK_FOLDER
from workshop.names import RECEIVER_PATH, REGION

DJANGO_URL = "http://127.0.0.1:8000"
DJANGO_LOG = WORK_FOLDER / "django.log"
PLACEHOLDER = "YOUR_SECURE_APP_KEY"  # the source guide's


def what_to_type(endpoint_url: str, queue_url: str, function_name: str, values: dict[str, str]) -> str:
    """`values` are the person's settings: a SECRET_KEY or APP_KEY among them is used and not shown."""
    aws = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": REGION}
    keys = {name: secrets.token_urlsafe(24) for name in ("SECRET_KEY", "APP_KEY") if not values.get(name)}
    endpoint = DJANGO_URL + RECEIVER_PATH
    django = {
        "AWS_ENDPOINT_URL": endpoint_url,
        **aws,
        "SQS_QUEUE_URL": queue_url,
        "SYNC_ENDPOINTS": endpoint,
        "DJANGO_LOG_FILE": str(DJANGO_LOG),
        "DEBUG": "true",
        **keys,
    }
    key = keys.get("APP_KEY", PLACEHOLDER)
    body = f'{{"apps": [{{"endpoint": "{endpoint}", "key": "{key}"}}], "data": {{"image_id": 1}}}}'
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
        *(f"  {_set(name, value)}" for name, value in aws.items()),
        f"  {_lead_aws_to(endpoint_url)}",
        "Then one of these:",
        f"  aws logs tail /aws/lambda/{function_name} --follow",
        f"  {_follow(DJANGO_LOG)}",
        f"  aws sqs send-message --queue-url {queue_url} --message-body '{body}'",
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


def _lead_aws_to(endpoint_url: str) -> str:
    # AWS_ENDPOINT_URL would do, but the AWS CLI reads it from 2.13 on, and Debian 12 has 2.9.
    if _windows():
        return f"function aws {{ aws.exe --endpoint-url {endpoint_url} @args }}"
    return f"alias aws='aws --endpoint-url {endpoint_url}'"


def _follow(log: object) -> str:
    return f"Get-Content -Wait {_quoted(log)}" if _windows() else f"tail -f {_quoted(log)}"
