"""`manage.py check` tells when the receiver's key is missing or weak."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from .authentication import AppKeyAuthentication

MIN_LENGTH = 24  # characters: about 140 random bits in the alphabet of secrets.token_urlsafe
PLACEHOLDERS = {"YOUR_SECURE_APP_KEY", "<APP_KEY>", "changeme"}
HINT = 'Make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'


@register()
def app_key(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    keys = AppKeyAuthentication.keys()
    if not keys:
        return [Warning("APP_KEY is not set: the receiver lets nobody in.", hint=HINT, id="inbox.W001")]
    found: list[CheckMessage] = [
        Warning(
            f"{name} is weak: a placeholder, short, of few different characters, or not fit for a header.",
            hint=HINT,
            id="inbox.W002",
        )
        for name, some in (("APP_KEY", keys[:1]), ("APP_KEY_FALLBACKS", keys[1:]))
        if any(_is_weak(key) for key in some)
    ]
    if isinstance(getattr(settings, "APP_KEY_FALLBACKS", []), str):
        found.append(Error("APP_KEY_FALLBACKS is one text.", hint="Write a list of keys.", id="inbox.E001"))
    return found


def _is_weak(key: str) -> bool:
    fits_a_header = key.isascii() and key.isprintable() and " " not in key
    return key in PLACEHOLDERS or len(key) < MIN_LENGTH or len(set(key)) < 8 or not fits_a_header
