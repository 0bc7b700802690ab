"""Reads the settings' variables from the environment. A value that cannot be used names its variable."""

import os

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def flag(name: str, default: bool = False) -> bool:
    """true or false. Raises ImproperlyConfigured for anything else."""
    value = text(name).lower() or str(default).lower()
    if value not in ("true", "false"):
        raise ImproperlyConfigured(f"{name} is {value!r}. Write {name}=true or {name}=false.")
    return value == "true"


def words(name: str, default: str = "") -> list[str]:
    """Comma-separated words, without the empty ones."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def required(name: str, what: str) -> str:
    if value := text(name):
        return value
    raise ImproperlyConfigured(f"{name} is not set. Write {name}=... in the environment or in .env: {what}")
