"""manage.py relay_outbox [--watch]: send what waits in the outbox. With --status, tell what waits."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.utils import timezone

from ...errors import SqsError
from ...outbox import by_reason, end_rests, relay, relay_by_chunks, unsent

LONGEST_PAUSE = 60  # seconds between two tries in an outage
DATABASE_IS_AWAY = (DatabaseError, InterfaceError)  # not migrated yet, or read-only after a failover, too


class Command(BaseCommand):
    help = "Send what waits in the outbox, oldest first. Safe to run twice at once, or from cron."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--watch", action="store_true", help="stay, and look again and again")
        parser.add_argument("--interval", type=float, default=2, help="seconds between two looks (2)")
        parser.add_argument("--now", action="store_true", help="try at once what rests after SQS refused it")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="whose outbox (default)")
        parser.add_argument("--status", action="store_true", help="send nothing; tell what waits, how long, and why")
        parser.add_argument("--older-than", type=float, help="seconds; with --status, fail when something waits longer")

    def handle(self, **options: Any) -> None:
        self.using: str = options["database"]
        if self.using not in connections:
            raise CommandError(f"--database {self.using}: settings.DATABASES has no such database.")
        if options["interval"] <= 0:
            raise CommandError("--interval must be more than 0 seconds.")
        if options["older_than"] is not None and not options["status"]:
            raise CommandError("--older-than goes with --status.")
        try:
            if options["status"]:
                self.tell_status(options["older_than"])
                return
            if options["now"]:
                end_rests(using=self.using)
            if not options["watch"]:
                self.send_once()
                return
        except DATABASE_IS_AWAY as error:
            raise CommandError(database_is_away(error)) from error
        self.watch(options["interval"])

    def send_once(self) -> None:
        relayed = relay(using=self.using)
        self.stdout.write(f"sent {relayed.sent}")
        for complaint in sorted(complaints(relayed.errors)):
            self.stderr.write(complaint)
        if resting := unsent(self.using).filter(not_before__gt=timezone.now()).count():
            self.stdout.write(f"{resting} rests after a failure, or is being sent by another relay_outbox")
        if relayed.errors:
            raise CommandError(f"{len(relayed.errors)} could not be sent and wait for the next time.")

    def watch(self, interval: float) -> None:
        stop = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stop.set())  # the rows in hand are finished first
        self.stdout.write(f"Watching the outbox, every {interval:g} s. Ctrl-C ends it.")
        pause = interval
        self.said: set[str] = set()  # what the last look complained of: an outage is reported once
        while not stop.is_set():
            pause = interval if self.look(stop) else max(interval, min(2 * pause, LONGEST_PAUSE))
            stop.wait(pause)
        self.stdout.write("Stopped.")

    def look(self, stop: threading.Event) -> bool:
        """Send what is due, until told to stop. Returns whether nothing was away."""
        sent, outage = 0, None
        errors: dict[int, SqsError] = {}
        try:
            for chunk in relay_by_chunks(using=self.using):
                sent, errors, outage = sent + chunk.sent, errors | chunk.errors, chunk.outage
                if stop.is_set():
                    break
        except DATABASE_IS_AWAY as error:
            connections[self.using].close()  # the next look opens another one
            self.complain_once({database_is_away(error)})
            return False
        finally:
            if sent:
                self.stdout.write(f"sent {sent}")
        if outage:
            self.complain_once({f"not sent: {outage} This is tried again, at least every {LONGEST_PAUSE} s."})
        else:
            self.complain_once(complaints(errors))
        return outage is None

    def complain_once(self, complaints: set[str]) -> None:
        for complaint in sorted(complaints - self.said):
            self.stderr.write(complaint)
        self.said = complaints

    def tell_status(self, older_than: float | None) -> None:
        now = timezone.now()
        waiting = unsent(self.using).count()
        oldest = unsent(self.using).order_by("created_at").values_list("created_at", flat=True).first()
        failed = unsent(self.using).exclude(last_error="").order_by("-not_before")
        age = (now - oldest).total_seconds() if oldest else 0
        self.stdout.write(f"waiting {waiting}, the oldest for {age:.0f} s" if waiting else "waiting 0")
        if resting := failed.filter(not_before__gt=now).count():
            self.stdout.write(f"resting {resting} of them, after SQS refused them")
        if last := failed.first():
            self.stdout.write(f"last error: {last.last_error}")
        if older_than is not None and age > older_than:
            raise CommandError(f"The oldest message has waited for {age:.0f} s, more than {older_than:g} s.")


def database_is_away(error: Exception) -> str:
    reason = " ".join(str(error).split())  # in one line
    return f"The database does not answer as it should: {reason}. Is it there, and migrated?"


def complaints(errors: Any) -> set[str]:
    """A line for each reason, with the rows that it is of."""
    return {f"not sent: outbox message {rows(pks)}: {reason}" for reason, pks in by_reason(errors).items()}


def rows(pks: list[int]) -> str:
    return str(pks[0]) if len(pks) == 1 else f"{pks[0]} and {len(pks) - 1} more"
