"""`manage.py check` tells when the receiver's key is missing or weak."""

from django.conf import settings
from django.core.checks import Warning, register

MIN_LENGTH = 24  # characters: about 140 random bits in the alphabet of secrets.token_urlsafe
PLACEHOLDERS = {"YOUR_SECURE_APP_KEY", "<APP_KEY>", "changeme"}
HINT = 'Make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'


@register()
def app_key(app_configs, **kwargs):
    if not settings.APP_KEY:
        return [Warning("APP_KEY is not set: the receiver lets nobody in.", hint=HINT, id="image_sync.W001")]
    return [
        Warning(
            f"{name} is weak: a placeholder, short, of few different characters, or not fit for a header.",
            hint=HINT,
            id="image_sync.W002",
        )
        for name, keys in (("APP_KEY", [settings.APP_KEY]), ("APP_KEY_FALLBACKS", settings.APP_KEY_FALLBACKS))
        if any(_is_weak(key) for key in keys)
    ]


def _is_weak(key: str) -> bool:
    fits_a_header = key.isascii() and key.isprintable() and " " not in key
    return key in PLACEHOLDERS or len(key) < MIN_LENGTH or len(set(key)) < 8 or not fits_a_header
