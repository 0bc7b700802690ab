"""Addresses: the gallery at /, the receiver below /api/, and what operators need."""

from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.http import JsonResponse
from django.urls import include, path
from django.views.static import serve
from drf_spectacular.views import SpectacularAPIView


def health(request):
    """200 when the database answers, for load balancers and for whoever waits until the server is up."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})


urlpatterns = [
    path("", include("workshop_django.gallery.urls")),
    path("api/v1/", include("workshop_django.image_sync.urls")),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("healthz", health),
    path("admin/", admin.site.urls),
]
if settings.DEBUG:  # in production the web server or a bucket serves uploads
    urlpatterns.append(path("media/<path:path>", serve, {"document_root": settings.MEDIA_ROOT}))
