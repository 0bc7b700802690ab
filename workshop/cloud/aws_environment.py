"""The environment variables that lead a process, and whatever it starts, to the AWS that was chosen.

    os.environ.update(...)  with  local(endpoint_url)  or  real(values)        # None: the variable must go

A lab and the commands take them from here. Beside the way to AWS they keep the person's own settings away: of a
deployment, of another project, or of the `.env` that an editor has loaded into a notebook's kernel.
"""

import os
from collections.abc import Mapping

from workshop.names import REGION

LOCAL = {
    "AWS_ACCESS_KEY_ID": "local",  # moto accepts any, and no account has such a key
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": REGION,  # what boto3 and the AWS CLI read
    "AWS_REGION": REGION,  # what the other SDKs read
}

# What the product and pyngrok read: a lab gives Django and the function all that they need.
SETTINGS = (
    "ALLOWED_HOSTS",
    "APP_KEY",
    "APP_KEY_FALLBACKS",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_URL",
    "DEBUG",
    "DELIVERY_TIMEOUT",
    "ENDPOINT_ALLOWLIST",
    "FORCE_SCRIPT_NAME",
    "MAX_CONCURRENCY",
    "MEDIA_ROOT",
    "OUTAGE_PAUSE",
    "PYNGROK_NGROK_PATH",
    "SECRET_KEY",
    "SECURE_PROXY_SSL_HEADER",
    "STATIC_ROOT",
    "SYNC_ENDPOINTS",
)
PREFIXES = ("DJANGO_", "SQS_")


def local(endpoint_url: str) -> dict[str, str | None]:
    """To the local AWS at `endpoint_url`, past whatever profile, role, keys or other endpoint a person has set."""
    return {
        **dict.fromkeys(name for name in os.environ if name.startswith("AWS_")),
        **sheltered(),
        **LOCAL,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION_NAME": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def real(values: Mapping[str, str]) -> dict[str, str | None]:
    """To the account that `values`, of `.env` and the environment, and boto3's own credential chain give."""
    chosen = {name: value for name, value in values.items() if name.startswith("AWS_") and value}
    if region := chosen.get("AWS_REGION_NAME"):
        chosen |= {"AWS_DEFAULT_REGION": region, "AWS_REGION": region}
    return {**sheltered(), **chosen}


def sheltered() -> dict[str, str | None]:
    """Without the person's settings for Django, its server and the function, in the environment or in `.env`."""
    persons = [name for name in os.environ if name in SETTINGS or name.startswith(PREFIXES)]
    return {**dict.fromkeys(persons), "DJANGO_ENV_FILE": os.devnull}


def apply(variables: Mapping[str, str | None], environment=os.environ) -> None:
    for name, value in variables.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
