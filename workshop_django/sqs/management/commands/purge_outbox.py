"""manage.py purge_outbox [--days 28]: delete what was sent long ago, and never what waits."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone

from ...models import OutboxMessage

BATCH = 1_000  # rows a statement: no lock is held for long, so it is safe beside a relay


class Command(BaseCommand):
    help = "Delete the messages that were sent more than --days ago. What waits is never deleted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=float, default=28, help="how long what was sent is kept (28)")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="whose outbox (default)")

    def handle(self, *, days: float, database: str, **options: Any) -> None:
        if days < 0:
            raise CommandError("--days must not be negative.")
        if database not in connections:
            raise CommandError(f"--database {database}: settings.DATABASES has no such database.")
        old = OutboxMessage.objects.using(database).filter(sent_at__lt=timezone.now() - timedelta(days=days))
        deleted = last = 0
        while pks := list(old.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
            last = pks[-1]
            deleted += old.filter(pk__in=pks).delete()[0]
        self.stdout.write(f"deleted {deleted}")
