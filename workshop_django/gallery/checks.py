"""`manage.py check` tells what the sender's settings lack."""

from django.conf import settings
from django.core.checks import Warning, register


@register()
def announced_to_somebody(app_configs, **kwargs):
    if settings.SYNC_ENDPOINTS:
        return []
    return [
        Warning(
            "SYNC_ENDPOINTS is empty: a new image is announced to nobody.",
            hint="Write SYNC_ENDPOINTS=https://.../api/v1/image-processing-sync into the environment or .env.",
            id="gallery.W001",
        )
    ]
