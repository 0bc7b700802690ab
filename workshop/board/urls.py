from django.urls import path

from .views import EventApiView, JoinApiView, page, welcome

urlpatterns = [
    path("", welcome),
    path("page/<str:link>/", page),
    path("join", JoinApiView.as_view()),
    path("events", EventApiView.as_view()),
]
