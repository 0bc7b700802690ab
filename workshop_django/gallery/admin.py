from django.contrib import admin

from .forms import ImageForm
from .models import Image


@admin.register(Image)
class ImageAdmin(admin.ModelAdmin):
    form = ImageForm
    list_display = ["id", "title", "file", "created_at"]
    search_fields = ["title"]
