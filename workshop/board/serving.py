"""The board's file, opened in this process, and where a server can be reached that shows it.

room = open_file(file, {"01_create_the_queue": ["q1", "q2"]})
DjangoServer(folder, host=address_on_the_network(), port=8123).start()    # of workshop.lab
"""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path


def open_file(file: Path, chapters: dict[str, list[str]]):
    """Set Django up for this file, with the environment that the server inherits; returns the Room.

    Raises django.db.DatabaseError where the file cannot be used.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "workshop.board.settings"
    os.environ["BOARD_FILE"] = str(file)
    os.environ["BOARD_CHAPTERS"] = json.dumps(chapters)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    from .models import Room

    return Room.objects.get_or_create()[0]


def told() -> Iterator[tuple[str, ...]]:
    """A row for each event, after one of headings."""
    from .models import Event
    from .overview import names

    shown = names()
    yield "told_at", "name", "what", "chapter", "question"
    for event in Event.objects.order_by("pk"):
        yield event.told_at.isoformat(), shown[event.member_id], event.what, event.chapter, event.question


def address_on_the_network() -> str:
    """The address under which others on the network reach this machine; 127.0.0.1 where it is on none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation (RFC 5737); with UDP nothing is sent
            return probe.getsockname()[0]
        except OSError:
            pass  # no way out of the room, as on a wifi without internet
    import psutil

    found = [each.address for card in psutil.net_if_addrs().values() for each in card if each.family == socket.AF_INET]
    return next((one for one in found if not one.startswith(("127.", "169.254."))), "127.0.0.1")
