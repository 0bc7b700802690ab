"""manage.py purge_inbox [--days 28]: forget the keys of messages that cannot come again any more."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone

from ...models import ReceivedMessage

# A Standard queue keeps a message for at most 14 days from its first sending, the time in a dead-letter queue
# included; a redrive starts that anew, so one that was brought back in time lives for twice as long.
LEAST_DAYS, DAYS = 14, 28
BATCH = 1000  # rows in one transaction, so that nobody waits for long


class Command(BaseCommand):
    help = (
        f"Forget the keys of messages received more than --days ago. A dead letter that is older, and brought back, "
        f"counts as a new message: its effect comes again. {DAYS} days cover a dead letter that was brought back once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=DAYS, help=f"keep so many, at least {LEAST_DAYS} ({DAYS})")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="the database to work on (default)")

    def handle(self, *args: Any, days: int, database: str, **options: Any) -> None:
        if days < LEAST_DAYS:
            raise CommandError(f"--days is at least {LEAST_DAYS}: SQS may deliver a message for as long.")
        if database not in connections:
            raise CommandError(f"--database {database}: settings.DATABASES has no such database.")
        before = timezone.now() - timedelta(days=days)
        forgotten = 0
        # Rows are numbered in the order in which they came, so the oldest are found without an index on their time.
        while old := self._oldest(database, before):
            forgotten += ReceivedMessage.objects.using(database).filter(pk__in=old).delete()[0]
        self.stdout.write(
            f"Forgot {forgotten} keys. A message received more than {days} days ago counts as new if it comes again, "
            "for example as a dead letter that is brought back."
        )

    def _oldest(self, database: str, before: Any) -> list[int]:
        rows = ReceivedMessage.objects.using(database).order_by("pk").values_list("pk", "received_at")[:BATCH]
        return [pk for pk, received_at in rows if received_at < before]
