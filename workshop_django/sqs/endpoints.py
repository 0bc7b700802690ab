"""To whom a message goes, and with which key: what it does not say itself is filled in when it is sent.

So the outbox holds no keys, and a key that was changed reaches the messages that waited meanwhile.
"""

from typing import Any

from .conf import setting
from .errors import EndpointsNotConfigured
from .message import Message


def addressed(msg: Message) -> Message:
    """The message as it leaves.

    Where it names no apps, they are all endpoints of SYNC_ENDPOINTS. An app that has no key is given the one that
    SYNC_ENDPOINTS has for its endpoint, or else APP_KEY. Raises EndpointsNotConfigured.
    """
    entries = [entry.partition("|")[::2] for entry in setting("SYNC_ENDPOINTS")]
    apps = msg.get("apps") or [{"endpoint": endpoint, "key": key} for endpoint, key in entries]
    if not apps:
        raise EndpointsNotConfigured(
            "SYNC_ENDPOINTS is empty, and the message names no apps itself. Write "
            "SYNC_ENDPOINTS=https://.../api/v1/image-processing-sync into the environment or .env."
        )
    return {**msg, "apps": [_with_key(app, dict(entries)) for app in apps] if isinstance(apps, list) else apps}


def _with_key(app: Any, keys: dict[str, str]) -> Any:
    if not isinstance(app, dict) or not isinstance(app.get("endpoint"), str) or app.get("key"):
        return app  # complete, or something that the function refuses with its reason
    key = keys.get(app["endpoint"]) or setting("APP_KEY")
    if not key:
        raise EndpointsNotConfigured(
            "APP_KEY is not set, and an app of the message has no key. Set APP_KEY to the receiver's key, or give the "
            'endpoint one of its own in SYNC_ENDPOINTS, as "url|key".'
        )
    return {**app, "key": key}
