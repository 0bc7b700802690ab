"""Reads the settings' variables from the environment. A value that cannot be used names its variable."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from dotenv import load_dotenv


def load(env_file: Path) -> None:
    """Add the variables of `env_file`, if there is one; what the environment has already is left alone."""
    try:
        load_dotenv(env_file, encoding="utf-8-sig")  # Windows editors like to put a byte order mark in front
    except UnicodeDecodeError as error:
        raise ImproperlyConfigured(f"{env_file} is not UTF-8 text. Save it again with the encoding UTF-8.") from error


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool = False) -> bool:
    """true or false. Raises ImproperlyConfigured for anything else."""
    value = text(name, str(default)).lower()
    if value not in ("true", "false"):
        raise ImproperlyConfigured(f"{name} is {value!r}. Write {name}=true or {name}=false.")
    return value == "true"


def words(name: str, default: str = "") -> list[str]:
    """Comma-separated words, without the empty ones."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def url(name: str) -> str:
    """An http or https URL, or nothing. Raises ImproperlyConfigured for anything else."""
    value = text(name)
    if value and not value.startswith(("http://", "https://")):
        raise ImproperlyConfigured(f"{name} is {value!r}, which is no URL. Write {name}=https://...")
    return value


def required(name: str, what: str) -> str:
    if value := text(name):
        return value
    raise ImproperlyConfigured(f"{name} is not set. Write {name}=... in the environment or in .env: {what}")
