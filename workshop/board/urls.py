from pathlib import Path

from django.urls import path
from django.views.static import serve

from .views import EventApiView, JoinApiView, page, welcome

urlpatterns = [
    path("", welcome),
    path("healthz", welcome),
    path("page/<str:link>/", page),
    path("join", JoinApiView.as_view()),
    path("events", EventApiView.as_view()),
    path("static/<path:path>", serve, {"document_root": Path(__file__).parent / "static"}),
]
