"""python workshop_django/manage.py relay_outbox [--watch]: send what waits in the outbox."""

import signal
import threading

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ...models import OutboxMessage
from ...outbox import Relayed, relay


class Command(BaseCommand):
    help = "Send what waits in the outbox, oldest first. Safe to run twice at once, or from cron."

    def add_arguments(self, parser):
        parser.add_argument("--watch", action="store_true", help="stay, and look again and again")
        parser.add_argument("--interval", type=float, default=2, help="seconds between two looks (2)")

    def handle(self, *, watch: bool, interval: float, **options):
        if interval <= 0:
            raise CommandError("--interval must be more than 0 seconds.")
        if not watch:
            relayed = relay()
            self.report(relayed)
            if resting := OutboxMessage.objects.filter(sent_at=None, not_before__gt=timezone.now()).count():
                self.stdout.write(f"{resting} rests after a failure, or is being sent by another relay_outbox")
            if relayed.errors:
                raise CommandError(f"{len(relayed.errors)} could not be sent and wait for the next time.")
            return
        stop = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stop.set())  # the batch in hand is finished first
        self.stdout.write(f"Watching the outbox, every {interval:g} s. Ctrl-C ends it.")
        last_error = ""
        while not stop.is_set():
            relayed = relay()
            error = next((str(error) for error in relayed.errors.values()), "")
            if relayed.sent or error != last_error:  # an outage is reported once, not at every look
                self.report(relayed)
            last_error = error
            stop.wait(interval)
        self.stdout.write("Stopped.")

    def report(self, relayed: Relayed) -> None:
        self.stdout.write(f"sent {relayed.sent}")
        for pk, error in relayed.errors.items():
            self.stderr.write(f"not sent: outbox message {pk}: {error}")
