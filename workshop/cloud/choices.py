"""What the person chose: local AWS or a real account, the offline agent or a real ngrok tunnel.

The choices come from the environment, then from `.env` in the checkout. Nothing real is used unless it is
named there: `WORKSHOP_AWS=real` for AWS, `NGROK_AUTHTOKEN` for ngrok.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from workshop.folders import ENV_FILE
from workshop.foreseen import Foreseen

from . import env_file as env_files


class SettingsError(Foreseen):
    """A setting has a value that cannot be used. The message names the variable and what to write."""


@dataclass(frozen=True)
class Settings:
    """`real_aws`: use the account of boto3's own credentials. `endpoint_url`: another SQS server to use.

    `ngrok_authtoken`: open real tunnels. `values`: every variable of `.env`, the environment's winning.
    """

    real_aws: bool
    endpoint_url: str | None
    ngrok_authtoken: str | None
    values: dict[str, str]


def load(env_file: Path = ENV_FILE) -> Settings:
    """Read `.env` and the environment. Raises SettingsError that names the file or the variable to correct."""
    try:
        in_file = env_files.parse(env_files.read(env_file))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{env_file} is not UTF-8 text. Save it again with the encoding UTF-8.") from error
    except OSError as error:
        raise SettingsError(f"{env_file} cannot be read: {error.strerror}.") from error
    values = in_file | dict(os.environ)
    aws = values.get("WORKSHOP_AWS", "").strip().lower() or "local"
    if aws not in ("local", "real"):
        raise SettingsError(
            f"WORKSHOP_AWS is {values['WORKSHOP_AWS']!r}. Write WORKSHOP_AWS=local (no account needed) "
            f"or WORKSHOP_AWS=real (your own AWS account) in {env_file}."
        )
    endpoint_url = values.get("AWS_ENDPOINT_URL", "").strip()
    if endpoint_url and not _is_url(endpoint_url):
        raise SettingsError(
            f"AWS_ENDPOINT_URL is {endpoint_url!r}, which is no URL. Write AWS_ENDPOINT_URL=http://127.0.0.1:4566, "
            f"or the address of your own SQS server, or remove it from the environment and from {env_file}."
        )
    return Settings(
        real_aws=aws == "real",
        endpoint_url=endpoint_url or None,
        ngrok_authtoken=values.get("NGROK_AUTHTOKEN", "").strip() or None,
        values=values,
    )


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an unclosed bracket
        return False
