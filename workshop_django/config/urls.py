"""Addresses: the gallery at /, the live view at /live/, the receiver below /api/, and what operators need."""

import logging

from django.conf import settings
from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.db import DatabaseError, connection
from django.http import JsonResponse
from django.urls import include, path
from django.views.static import serve

from workshop_django.gallery.views import login_in_production

logger = logging.getLogger(__name__)


def health(request):
    """200 when the database answers, else 503: for load balancers, and for whoever waits until the server is up."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        logger.exception("The database does not answer")
        return JsonResponse({"status": "the database does not answer"}, status=503)
    return JsonResponse({"status": "ok"})


def schema(request):
    from drf_spectacular.views import SpectacularAPIView  # it takes long to import, and few ask

    return SpectacularAPIView.as_view()(request)


@login_in_production
def media(request, path):
    return serve(request, path, document_root=settings.MEDIA_ROOT)


urlpatterns = [
    path("", include("workshop_django.gallery.urls")),
    path("live/", include("workshop_django.live.urls")),
    path("api/v1/", include("workshop_django.image_sync.urls")),
    path("api/schema", schema, name="schema"),
    path("healthz", health, name="health"),
    path("admin/", admin.site.urls),
    path("media/<path:path>", media),
]
if settings.DEBUG:
    # In production, the proxy in front serves the styles, from STATIC_ROOT, where `manage.py collectstatic` put them.
    # Not so media: those are for who is logged in, and need the header that keeps a browser from taking an upload for
    # a page.
    urlpatterns += staticfiles_urlpatterns("static/")  # not STATIC_URL, which has FORCE_SCRIPT_NAME in it
