from django.urls import path

from .views import data, live

urlpatterns = [
    path("", live, name="live"),
    path("data", data, name="live-data"),
]
