"""What a DEBUG page, or a mail to the admins, tells of an error: all that Django tells, and no key.

Django hides settings that are named like secrets. The same keys stand in the frames, too: in messages, in SQL
parameters, in headers. So they are taken out of the finished report, wherever they are.
"""

import re

from django.conf import settings
from django.utils.html import escape
from django.views.debug import ExceptionReporter

HIDDEN = "********************"
QUOTE = r"""(?:&quot;|&#x27;|\\?["'])"""
APPS_KEY = re.compile(rf"({QUOTE}key{QUOTE}: ?{QUOTE})(?!{QUOTE}).+?({QUOTE})")  # of a message that names its own


class KeysHidden(ExceptionReporter):
    def get_traceback_html(self):
        return _without_keys(super().get_traceback_html())

    def get_traceback_text(self):
        return _without_keys(super().get_traceback_text())


def _without_keys(report: str) -> str:
    of_endpoints = [entry.partition("|")[2] for entry in settings.SYNC_ENDPOINTS]
    ours = [settings.APP_KEY, settings.SECRET_KEY, settings.AWS_SECRET_ACCESS_KEY, *settings.APP_KEY_FALLBACKS]
    for key in sorted(filter(None, [*ours, *of_endpoints]), key=len, reverse=True):
        for written in {key, escape(key)}:
            report = report.replace(written, HIDDEN)
    return APPS_KEY.sub(rf"\1{HIDDEN}\2", report)
