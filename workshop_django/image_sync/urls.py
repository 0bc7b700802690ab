from django.urls import path

from .views import ImageProcessingSyncApiView

urlpatterns = [path("image-processing-sync", ImageProcessingSyncApiView.as_view(), name="image-processing-sync")]
