"""Who may post: whoever sends `Authorization: Token <key>` with a key that the settings name.

settings.APP_KEY is the key; settings.APP_KEY_FALLBACKS lists keys that are accepted, too. To replace a key with no
message lost: put the new one first and the old one in the fallbacks, let every sender change, then drop the old one.
"""

import hmac

from django.conf import settings
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed


class App:
    """A caller that has a valid key. It is no Django user."""

    is_authenticated = True


class AppKeyAuthentication(BaseAuthentication):
    """Compares in constant time, so that the answer's timing tells nothing about a key. No APP_KEY, no entry."""

    def authenticate(self, request):
        words = get_authorization_header(request).split()
        if not words:
            return None
        if len(words) != 2 or words[0].lower() != b"token":
            raise AuthenticationFailed("Write the header as: Authorization: Token <key>")
        keys = [key for key in [settings.APP_KEY, *settings.APP_KEY_FALLBACKS] if key]
        # Every key is compared, also after a match, and as bytes: compare_digest takes only ASCII as text.
        matches = [hmac.compare_digest(words[1], key.encode()) for key in keys] if settings.APP_KEY else []
        if not any(matches):
            raise AuthenticationFailed("The key is not valid.")
        return App(), None

    def authenticate_header(self, request):
        return "Token"
