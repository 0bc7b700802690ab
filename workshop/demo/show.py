"""`python3 -m workshop demo`: opens the lab, sends images through the pipeline, and shows what happened.

show(["photo.jpg"], apps=3)      # -> the exit status
show([], mode="bad-key")
"""

import difflib
import errno
import os
import shutil
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from PIL import Image as Pillow
from PIL import UnidentifiedImageError
from pyngrok.exception import PyngrokError

from workshop.cloud import aws_account, choices
from workshop.folders import WORK_FOLDER
from workshop.lab import tunnel
from workshop.lab.lab import MAX_RECEIVE_COUNT, VISIBILITY_TIMEOUT, Lab, LabError
from workshop.lab.picture import picture_file
from workshop.lab.processes import ProcessFailed
from workshop.names import RECEIVER_PATH
from workshop.setup import installation

from .terminal import Screen

if TYPE_CHECKING:
    from .demonstration import Demonstration, Travel

THUMBNAILS = WORK_FOLDER / "thumbnails"
RETRY_SECONDS = 2  # the visibility timeout where a message is broken on purpose, so that nobody waits long
OTHERS = 2  # pictures that are drawn beside the broken message, if no images are given
LONGEST_NAME = 120  # bytes of a thumbnail's name: file systems take 255
DISK_FULL = "The disk is full. Free some space, 50 MB are enough, then run this again."


class DemoError(RuntimeError):
    """The demo cannot show what was asked for. The message says why and what to do."""


def show(images: list[str], *, apps: int = 1, mode: str | None = None) -> int:
    """Run the demo. Returns 0 if all went as it should, 1 if a file was refused or something failed.

    Raises SystemExit with a sentence for every obstacle that is foreseen.
    """
    screen = Screen()
    with explained():
        files = [file for file in map(File, images) if _usable(file, screen)]
        if images and not files:
            raise DemoError("No image is left to show, so nothing was started.")
        _look_before(choices.load(), apps, mode)
        drawn = [] if files else [Drawing(number) for number in (range(2, 2 + OTHERS) if mode else [1])]
        run = _Run(screen, files or drawn, apps)
        if mode:
            run.broken(mode)
        else:
            run.whole()
        return 0 if run.ok and len(files) == len(images) else 1


def _look_before(chosen: choices.Settings, apps: int, mode: str | None) -> None:
    """Nothing is sent through a real account unless the demo can end there as it says."""
    if not chosen.real_aws:
        return
    local = "Write WORKSHOP_AWS=local in .env to see it on the local AWS."
    if mode:
        raise DemoError(
            "WORKSHOP_AWS=real: the demo sends no broken messages through your own account, where others may read "
            f"the queue. {local}"
        )
    if not chosen.ngrok_authtoken:
        raise DemoError(
            "WORKSHOP_AWS=real, but there is no NGROK_AUTHTOKEN: the function on AWS cannot reach this machine. "
            f"Write NGROK_AUTHTOKEN=... in .env, too. {local}"
        )
    if apps > 1:
        raise DemoError(
            "WORKSHOP_AWS=real: the function on AWS can reach only the one receiver that has the tunnel. Leave --apps "
            f"out. {local}"
        )


# What goes in


class File:
    """An image file that a person named."""

    def __init__(self, argument: str):
        self.path = Path(argument)
        self.name = printable(self.path.name or argument)

    def open(self):
        return self.path.open("rb")

    def obstacle(self) -> str | None:
        """Why it cannot be read at all, in a sentence."""
        try:
            mode = self.path.stat().st_mode
            if stat.S_ISDIR(mode):
                return "This is a folder. Name the image files in it."
            if not stat.S_ISREG(mode):
                return "This is not a file with an image in it."  # to open a pipe would wait for ever
            with self.open() as file, warnings.catch_warnings(action="ignore"), Pillow.open(file):
                return None
        except UnidentifiedImageError:
            return "This file cannot be read as an image. Choose a JPEG, PNG, GIF or WebP file."
        except Pillow.DecompressionBombError:
            return None  # the gallery's form says how many pixels are taken
        except FileNotFoundError:
            return f"There is no such file.{self._meant()}"
        except OSError as error:
            return f"It cannot be read: {error.strerror}."

    def _meant(self) -> str:
        try:
            beside = [path.name for path in self.path.parent.iterdir()]
        except OSError:
            return ""
        near = difflib.get_close_matches(self.path.name, beside, n=1, cutoff=0.7)
        return f" Did you mean {printable(str(self.path.with_name(near[0])))}?" if near else ""


class Drawing:
    """A picture that the demo draws."""

    def __init__(self, number: int, name: str = ""):
        self._file = picture_file(number)
        self.name = name or self._file.name

    @contextmanager
    def open(self):
        yield self._file


def _usable(file: File, screen: Screen) -> bool:
    obstacle = file.obstacle()
    if obstacle:
        screen.refuse(f"{printable(str(file.path))}: {obstacle}")
    return not obstacle


def printable(name: str) -> str:
    """A file's name as a terminal may show it: no control characters, no bytes that are not UTF-8."""
    text = os.fsencode(name).decode("utf-8", errors="replace")
    return "".join(character if character.isprintable() else "?" for character in text)


# What is shown


class _Run:
    """One run, in a lab of its own. `ok` is false once a file was refused or something went wrong."""

    def __init__(self, screen: Screen, images: list[File] | list[Drawing], apps: int):
        self.screen = screen
        self.images = images
        self.apps = apps
        self.ok = True

    def whole(self) -> None:
        """The pipeline as it should be."""
        with self._demonstration() as demonstration, demonstration.function():
            travels = list(self._save(demonstration))
            for travel in travels:
                self._show_travel(demonstration, travel)
            self._summarise(demonstration, travels)

    def broken(self, mode: str) -> None:
        """A failure on purpose, and what it does not harm."""
        screen = self.screen
        with self._demonstration(visibility_timeout=RETRY_SECONDS) as demonstration:
            from .breakage import Breakage

            breakage = Breakage(demonstration, mode)
            screen.heading(f"Broken on purpose: {mode}")
            screen.say(breakage.story)
            screen.say(
                f"SQS delivers it {MAX_RECEIVE_COUNT} times, a second apart. The other messages must not notice."
            )
            screen.heading("What happens")
            screen.restart()
            broken = Drawing(1, "broken.jpg")
            with broken.open() as file:
                screen.timeline([breakage.send(broken.name, file)])
            others = []
            for travel in self._save(demonstration):
                others.append(travel)
                screen.timeline([breakage.saved(travel)])
            with screen.waiting("The function works ..."):
                for event in breakage.run(others):
                    screen.timeline([event])
            self._show_dead_letters(breakage)
            self._give_verdict(breakage, others)
            self._keep_thumbnails(demonstration, others)

    @contextmanager
    def _demonstration(self, visibility_timeout: int = VISIBILITY_TIMEOUT) -> Iterator["Demonstration"]:
        """The lab with its receivers; each part is named as it starts."""
        with self.screen.waiting("Starting AWS, Django and the tunnel ..."):
            lab = Lab(expose=True, visibility_timeout=visibility_timeout, say=self.screen.fact)
        with lab:
            from .demonstration import Demonstration  # its models need Django, which the lab has set up

            with self.screen.waiting("Starting the receivers ..."):
                demonstration = Demonstration(lab, apps=self.apps, on_aws=lab.settings.real_aws)
            with demonstration:
                self.screen.make_room_for([receiver.name for receiver in demonstration.receivers])
                for receiver in demonstration.receivers[1:]:
                    url = receiver.url.removesuffix(RECEIVER_PATH)
                    way = "through the tunnel " if receiver.tunnel else ""
                    self.screen.fact(f"{'':8}{receiver.name}, {way}{url}")
                yield demonstration

    def _save(self, demonstration) -> Iterator["Travel"]:
        """Save each image. Those that the gallery's form refuses are named; the others go on."""
        from .demonstration import Refused

        for image in self.images:
            try:
                with image.open() as file:
                    travel = demonstration.save(image.name, file)
            except Refused as error:
                self.ok = False
                self.screen.refuse(f"{image.name}: {error}")
            else:
                yield travel

    def _show_travel(self, demonstration, travel) -> None:
        """The timeline of one image."""
        with self.screen.waiting(f"Waiting for {travel.name} ..."):
            demonstration.wait_for([travel])
        file = travel.image.file
        self.screen.heading(f"{travel.name}, {file.width:,} x {file.height:,} pixels, {size(file.size)}")
        self.screen.restart()
        self.screen.timeline(demonstration.events(travel))
        if not demonstration.arrived(travel):
            self.ok = False
            self.screen.problem(f"{travel.name} did not arrive. {demonstration.reason(travel)}")

    def _summarise(self, demonstration, travels: list) -> None:
        arrived = [travel for travel in travels if demonstration.arrived(travel)]
        if not arrived:
            return
        times = [
            round(1000 * (arrival.thumbnail_at - travel.row.created_at.timestamp()))
            for travel in arrived
            for arrival in demonstration.arrivals(travel)
        ]
        receivers = len(demonstration.receivers)
        where = f" at each of {receivers} receivers" if receivers > 1 else ""
        took = f"{times[0]} ms" if len(times) == 1 else f"{min(times)} to {max(times)} ms"
        images = "The image" if len(travels) == 1 else f"{len(arrived)} of {len(travels)} images"
        self.screen.heading(f"{images} arrived{where}. From save to thumbnail: {took}.")
        self._keep_thumbnails(demonstration, arrived)

    def _show_dead_letters(self, breakage) -> None:
        screen = self.screen
        dead = breakage.dead_letters()
        screen.heading(f"In the dead-letter queue: {count(len(dead), 'message')}")
        for message in dead:
            screen.fact(f"{'body':8}{message.body}")
            if message.reasons:
                tries = count(len(message.reasons), "delivery", "deliveries")
                screen.fact(f"{'why':8}{tries}, each in vain: {'; '.join(dict.fromkeys(message.reasons))}")
        screen.fact(f"{'repair':8}{breakage.about.remedy}")

    def _give_verdict(self, breakage, others: list) -> None:
        wrong = breakage.verdict(others)
        for sentence in wrong:
            self.ok = False
            self.screen.problem(sentence)
        if not wrong:
            self.screen.heading(breakage.praise(others))

    def _keep_thumbnails(self, demonstration, travels: list) -> None:
        """Copy them out of the lab's folder, which goes with the lab, and say where they are."""
        several = len(demonstration.receivers) > 1
        kept = {}
        for travel in travels:
            for arrival in demonstration.arrivals(travel):
                suffix = f"-receiver-{arrival.receiver.name.rpartition(' ')[2]}" if several else ""
                kept[keep(arrival.thumbnail, Path(travel.name).stem, suffix, taken=kept)] = arrival
        if not kept:
            return
        first = demonstration.receivers[0]
        self.screen.thumbnails([path for path, arrival in kept.items() if arrival.receiver is first])
        self.screen.heading(f"{count(len(kept), 'thumbnail')}, kept until you run `python3 -m workshop clean`:")
        for path in kept:
            with Pillow.open(path) as thumbnail:
                width, height = thumbnail.size
            self.screen.path(path, f"{width} x {height} pixels, {size(path.stat().st_size)}")


def keep(thumbnail: Path, stem: str, suffix: str, taken) -> Path:
    """Copy a thumbnail to the folder of thumbnails, in place of one that an earlier demo left there."""
    stem = stem.encode()[:LONGEST_NAME].decode(errors="ignore").strip()
    path, number = THUMBNAILS / f"{stem}{suffix}.webp", 1
    while path in taken:
        number += 1
        path = THUMBNAILS / f"{stem}-{number}{suffix}.webp"
    THUMBNAILS.mkdir(parents=True, exist_ok=True)
    half_written = path.with_name(f"{os.getpid()}.part")
    shutil.copyfile(thumbnail, half_written)
    half_written.replace(path)
    return path


def size(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.1f} kB"


def count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


# What can be in the way


@contextmanager
def explained() -> Iterator[None]:
    """Turn every obstacle that is foreseen into SystemExit with a sentence."""
    try:
        yield
    except (DemoError, LabError, choices.SettingsError, ProcessFailed, tunnel.TunnelError) as error:
        raise SystemExit(str(error)) from None
    except PyngrokError as error:
        raise SystemExit(tunnel.explain(error)) from None
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(aws_account.explain(error)) from None
    except ImproperlyConfigured as error:
        raise SystemExit(f"Django cannot start with these settings: {error}") from None
    except OSError as error:
        raise SystemExit(DISK_FULL if error.errno == errno.ENOSPC else installation.explain(error)) from None
    except DatabaseError as error:
        # SQLite's words: https://www.sqlite.org/rescode.html#full
        raise SystemExit(DISK_FULL if "disk is full" in str(error) else f"The database failed: {error}") from None
