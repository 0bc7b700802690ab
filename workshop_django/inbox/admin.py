"""What was received, to look at. It stays quick however many rows there are: nothing here counts them all."""

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property

from .models import ReceivedMessage

NEWEST = 10_000  # rows that the pages lead through; a search by the whole key finds every other


class NewestPaginator(Paginator):
    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:NEWEST].count())


@admin.register(ReceivedMessage)
class ReceivedMessageAdmin(admin.ModelAdmin):
    list_display = ["id", "idempotency_key", "scope", "received_at"]
    search_fields = ["idempotency_key__exact"]
    search_help_text = "The whole Idempotency-Key."
    paginator = NewestPaginator
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ReceivedMessage | None = None) -> bool:
        return False
