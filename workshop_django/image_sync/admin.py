from django.contrib import admin

from workshop_django.inbox.admin import NewestPaginator

from .models import Thumbnail


@admin.register(Thumbnail)
class ThumbnailAdmin(admin.ModelAdmin):
    list_display = ["id", "image", "made_at"]
    list_select_related = ["image"]
    paginator = NewestPaginator
    show_full_result_count = False

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False
