"""The message that tells the world of a new image, addressed to every endpoint in settings.SYNC_ENDPOINTS."""

from django.conf import settings


def announcement(image) -> dict:
    """{"apps": [{"endpoint": ..., "key": ...}, ...], "data": {"image_id": ...}}"""
    return {"apps": apps(), "data": {"image_id": image.pk}}


def apps() -> list[dict[str, str]]:
    """Each entry of SYNC_ENDPOINTS, "url" or "url|key", as an app; without a key of its own it has APP_KEY."""
    entries = (entry.partition("|") for entry in settings.SYNC_ENDPOINTS)
    return [{"endpoint": endpoint, "key": key or settings.APP_KEY} for endpoint, _, key in entries]
