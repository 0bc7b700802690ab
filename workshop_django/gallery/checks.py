"""`manage.py check` tells what the sender's settings lack."""

from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error, Warning, register


@register()
def sync_endpoints(app_configs, **kwargs):
    if not settings.SYNC_ENDPOINTS:
        return [
            Warning(
                "SYNC_ENDPOINTS is empty: a new image is announced to nobody.",
                hint="Write SYNC_ENDPOINTS=https://.../api/v1/image-processing-sync into the environment or .env.",
                id="gallery.W001",
            )
        ]
    return [
        Error(
            f"SYNC_ENDPOINTS has an entry that is not an http or https URL: {entry.partition('|')[0]!r}",
            hint='Separate entries with commas; give one a key of its own as "url|key".',
            id="gallery.E001",
        )
        for entry in settings.SYNC_ENDPOINTS
        if not _is_url(entry.partition("|")[0])
    ]


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an unclosed bracket
        return False
