"""`manage.py check` tells what is wrong with the settings, before a message has to wait for it."""

from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error, register

from .conf import setting
from .manager import BACKENDS


@register()
def queue(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    if setting("SQS_BACKEND") not in BACKENDS:
        problems.append(
            Error(
                f"SQS_BACKEND is {setting('SQS_BACKEND')!r}, and there is no such backend.",
                hint=f"Set it to one of {', '.join(map(repr, BACKENDS))}.",
                id="sqs.E002",
            )
        )
    if setting("SQS_QUEUE_URL").endswith(".fifo"):
        problems.append(
            Error(
                "SQS_QUEUE_URL names a FIFO queue, which takes only messages with a group.",
                hint="Set it to the URL of a Standard queue.",
                id="sqs.E003",
            )
        )
    if bool(setting("AWS_ACCESS_KEY_ID")) != bool(setting("AWS_SECRET_ACCESS_KEY")):
        problems.append(
            Error(
                "Of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, one is set and its other half is not.",
                hint="Set both, with AWS_SESSION_TOKEN where they are temporary, or none: boto3 looks for them itself.",
                id="sqs.E004",
            )
        )
    return problems


@register()
def sync_endpoints(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f"SYNC_ENDPOINTS has an entry that is not an http or https URL: {entry.partition('|')[0]!r}",
            hint='Separate entries with commas; give one a key of its own as "url|key".',
            id="sqs.E001",
        )
        for entry in setting("SYNC_ENDPOINTS")
        if not _is_url(entry.partition("|")[0])
    ]


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an unclosed bracket
        return False
