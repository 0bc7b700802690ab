"""Who may post: whoever sends `Authorization: Token <key>` with a key that the settings name.

settings.APP_KEY is the key; settings.APP_KEY_FALLBACKS lists keys that are accepted, too. To replace a key with no
message lost: put the new one first and the old one in the fallbacks, let every sender change, then drop the old one.
"""

import hmac
from collections.abc import Iterable

from django.conf import settings
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


class App:
    """A caller that has a valid key. It is no Django user, and has none of a user's permissions.

    DRF's throttles count by `pk`, so that all callers with a key share one rate.
    """

    pk = id = "app"
    is_authenticated = is_active = True
    is_anonymous = is_staff = is_superuser = False

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return False

    def has_perms(self, perm_list: Iterable[str], obj: object = None) -> bool:
        return False

    def __str__(self) -> str:
        return "an app with a valid key"


class AppKeyAuthentication(BaseAuthentication):
    """Compares in constant time, so that the answer's timing tells nothing about a key. No APP_KEY, no entry."""

    def authenticate(self, request: Request) -> tuple[App, None] | None:
        words = get_authorization_header(request).split()
        if not words:
            return None
        if len(words) != 2 or words[0].lower() != b"token":
            raise AuthenticationFailed("Write the header as: Authorization: Token <key>")
        # Every key is compared, also after a match, and as bytes: compare_digest takes only ASCII as text.
        matches = [hmac.compare_digest(words[1], key.encode()) for key in self.keys()]
        if not any(matches):
            raise AuthenticationFailed("The key is not valid.")
        return App(), None

    def authenticate_header(self, request: Request) -> str:
        return "Token"

    @staticmethod
    def keys() -> list[str]:
        """APP_KEY and the fallbacks; none while APP_KEY is not set."""
        key, fallbacks = getattr(settings, "APP_KEY", ""), getattr(settings, "APP_KEY_FALLBACKS", [])
        if isinstance(fallbacks, str):  # one text is one key: each of its letters must not become one
            fallbacks = [fallbacks]
        return [key, *filter(None, fallbacks)] if key else []
