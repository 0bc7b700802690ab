from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from .models import OutboxMessage

MOST_ROWS = 10_000  # that are counted and paged through; beyond them, search


class BoundedPaginator(Paginator):
    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:MOST_ROWS].count())


@admin.register(OutboxMessage)
class OutboxMessageAdmin(admin.ModelAdmin):
    """To look at, not to edit, and quick with millions of rows. The body is left out: it may hold somebody's key."""

    list_display = ["id", "state", "idempotency_key", "created_at", "sent_at", "attempts", "last_error"]
    list_filter = [("not_before", admin.EmptyFieldListFilter)]
    search_fields = ["idempotency_key__exact"]
    exclude = ["body"]
    ordering = ["-id"]
    paginator = BoundedPaginator
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("body")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
