"""The kit's inbox, and a view with nothing around it."""

from django.urls import path

from workshop_django.config.urls import health

from .bare import bare
from .kit import Receive

urlpatterns = [path("kit", Receive.as_view()), path("bare", bare), path("healthz", health)]
