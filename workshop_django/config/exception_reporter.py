import re

from django.views.debug import SafeExceptionReporterFilter


class HideEndpointKeys(SafeExceptionReporterFilter):
    """What Django hides in error reports, and SYNC_ENDPOINTS."""

    hidden_settings = re.compile(SafeExceptionReporterFilter.hidden_settings.pattern + "|SYNC_ENDPOINTS", re.I)
