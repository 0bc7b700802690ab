"""What the person chose: local AWS or a real account, the offline agent or a real ngrok tunnel.

The choices come from the environment, then from `.env` in the checkout. Nothing real is used unless it is
named there: `WORKSHOP_AWS=real` for AWS, `NGROK_AUTHTOKEN` for ngrok.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

CHECKOUT = Path(__file__).resolve().parent.parent
WORK_FOLDER = CHECKOUT / ".workshop"  # everything the kit creates; git ignores it
RUNS_FOLDER = WORK_FOLDER / "runs"


class SettingsError(ValueError):
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


def load(env_file: Path = CHECKOUT / ".env") -> Settings:
    """Read `.env` and the environment. Raises SettingsError where WORKSHOP_AWS is neither local nor real."""
    values = {name: value or "" for name, value in dotenv_values(env_file).items()} | dict(os.environ)
    aws = values.get("WORKSHOP_AWS", "").strip().lower() or "local"
    if aws not in ("local", "real"):
        raise SettingsError(
            f"WORKSHOP_AWS is {values['WORKSHOP_AWS']!r}. Write WORKSHOP_AWS=local (no account needed) "
            f"or WORKSHOP_AWS=real (your own AWS account) in {env_file}."
        )
    return Settings(
        real_aws=aws == "real",
        endpoint_url=values.get("AWS_ENDPOINT_URL", "").strip() or None,
        ngrok_authtoken=values.get("NGROK_AUTHTOKEN", "").strip() or None,
        values=values,
    )
