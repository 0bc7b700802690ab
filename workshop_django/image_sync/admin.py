from django.contrib import admin

from .models import ReceivedMessage


@admin.register(ReceivedMessage)
class ReceivedMessageAdmin(admin.ModelAdmin):
    list_display = ["id", "image", "idempotency_key", "received_at"]
    search_fields = ["idempotency_key"]
    list_select_related = ["image"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False
