"""The settings of this app, each with its default. README.md says what they mean."""

from typing import Any

from django.conf import settings

DEFAULTS: dict[str, Any] = {
    "SQS_BACKEND": "aws",
    "SQS_QUEUE_URL": "",
    "SQS_SEND_ON_COMMIT": True,
    "OUTAGE_PAUSE": 10,  # seconds
    "SYNC_ENDPOINTS": (),
    "APP_KEY": "",
    "AWS_REGION_NAME": "",
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SESSION_TOKEN": "",
}


def setting(name: str) -> Any:
    return getattr(settings, name, DEFAULTS[name])
