"""The live view: a page that shows where the messages are, and the data that keeps it up to date.

The page asks for the data about once a second. Polling suits a WSGI server: a request holds one of its few threads
for a few milliseconds, where an event stream would hold it for as long as the page is open.
"""

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .snapshot import snapshot

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
POLICY += "base-uri 'none'; form-action 'none'; frame-ancestors "
# JupyterLab, which shows the page in a frame, is another port of this machine, and so another origin.
NOTEBOOKS = "'self' http://127.0.0.1:* http://localhost:*"


def may_see(request) -> bool:
    """While DEBUG is on, everybody, as with the gallery. In production staff alone: counts tell how a business does."""
    return settings.DEBUG or (request.user.is_active and request.user.is_staff)


@never_cache
@require_safe
def live(request):
    """The page. It shows a snapshot by itself; with JavaScript it stays up to date."""
    if not may_see(request):
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    response = render(request, "live/live.html", {"now": snapshot()})
    response["Content-Security-Policy"] = POLICY + (NOTEBOOKS if settings.DEBUG else "'none'")
    # X-Frame-Options knows no list of origins: where it stands, no notebook could show the page.
    response.xframe_options_exempt = settings.DEBUG
    return response


@never_cache
@require_safe
def data(request):
    """The same snapshot as JSON."""
    if not may_see(request):
        return JsonResponse({"problem": "Log in as staff to see the live view."}, status=403)
    return JsonResponse(snapshot())
