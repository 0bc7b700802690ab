"""`python3 -m workshop demo`: opens the lab, sends images through the pipeline, and shows what happened.

show(["photo.jpg"], apps=3)      # -> the exit status
show([], mode="bad-key")
"""

import difflib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import DatabaseError
from PIL import Image as Pillow

from workshop.cloud import aws_account, choices
from workshop.folders import WORK_FOLDER
from workshop.foreseen import Foreseen
from workshop.lab.lab import MAX_RECEIVE_COUNT, Lab
from workshop.lab.picture import picture_file
from workshop_django.image_sync.thumbnail import TooManyPixels, thumbnail

from .terminal import Screen

if TYPE_CHECKING:
    from .demonstration import Demonstration, Travel

THUMBNAILS = WORK_FOLDER / "thumbnails"
LONGEST_NAME = 120  # bytes of a thumbnail's name: file systems take 255

# Of each mode: what is broken, and what mends it.
MODES = {
    "bad-key": (
        "One message carries a key that the receiver does not know, as after a key was changed on one side only. "
        "The receiver answers 401.",
        "Give the sender the receiver's key. APP_KEY_FALLBACKS lets both keys in while a key is being changed.",
    ),
    "receiver-down": (
        "One message is addressed to a Django that is not running. Where it has a tunnel, that is open, but nobody "
        "listens behind it: the tunnel answers 502.",
        "Start that Django again. A short outage mends itself, as long as tries are left.",
    ),
    "poison": (
        "One message is not JSON, as when another program writes to the queue. No receiver ever sees it.",
        "Correct the program that sent it. To send the same text again cannot help.",
    ),
}


class DemoError(Foreseen):
    """The demo cannot show what was asked for."""


def show(images: list[str], *, apps: int = 1, mode: str | None = None) -> int:
    """Run the demo. Returns 0 if all went as it should, 1 if a file was refused or something failed.

    Raises Foreseen for every obstacle that is.
    """
    screen = Screen()
    files = [path for path in map(Path, images) if _usable(path, screen)]
    if images and not files:
        raise DemoError("No image is left to show, so nothing was started.")
    _look_before(choices.load(), apps, mode)
    pictures = [(printable(path.name), path.open) for path in files]
    if not pictures:
        drawn = [picture_file(number) for number in ((2, 3) if mode else (1,))]
        pictures = [(picture.name, lambda mode, picture=picture: picture) for picture in drawn]
    try:
        with aws_account.explained():
            ok = _run(screen, pictures, apps, mode)
    except (OSError, DatabaseError) as error:  # a full disk
        raise DemoError(f"The demo cannot go on: {error}. Mend that, then run it again.") from error
    return 0 if ok and len(files) == len(images) else 1


def _run(screen: Screen, pictures: list[tuple[str, Callable]], apps: int, mode: str | None) -> bool:
    with screen.console.status("Starting AWS, Django and the tunnel ..."):
        lab = Lab(expose=True, say=screen.fact)
    with lab:
        from .demonstration import Demonstration  # its models need Django, which the lab has set up

        with screen.console.status("Starting the receivers ..."):
            demonstration = Demonstration(lab, apps=apps)
        with demonstration:
            for receiver in demonstration.receivers[1:]:
                screen.fact(f"{'':8}{receiver.name}, {receiver.url}")
            run = Run(screen, demonstration)
            if mode:
                run.broken(mode, pictures)
            else:
                run.whole(pictures)
    return run.ok


def _usable(path: Path, screen: Screen) -> bool:
    """Is it an image, by the rules that the gallery's form and the receiver have? Says why, where it is not."""
    obstacle = ""
    try:
        if path.is_dir():
            obstacle = "This is a folder. Name the image files in it."
        elif not path.exists():
            obstacle = f"There is no such file.{_meant(path)}"
        elif not path.is_file():
            obstacle = "This is not a file with an image in it."  # to open a pipe would wait for ever
        else:
            with path.open("rb") as file:
                thumbnail(file)
    except TooManyPixels as error:
        obstacle = str(error)
    except PermissionError as error:
        obstacle = f"It cannot be read: {error.strerror}."
    except Exception:  # Pillow raises many kinds for files that are not what they claim to be
        obstacle = "This file cannot be read as an image. Choose a JPEG, PNG, GIF or WebP file."
    if obstacle:
        screen.refuse(f"{printable(str(path))}: {obstacle}")
    return not obstacle


def _meant(path: Path) -> str:
    beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.7)
    return f" Did you mean {printable(str(path.with_name(near[0])))}?" if near else ""


def printable(name: str) -> str:
    """A file's name as a terminal may show it: no control characters, no bytes that are not UTF-8."""
    text = os.fsencode(name).decode("utf-8", errors="replace")
    return "".join(character if character.isprintable() else "?" for character in text)


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


class Run:
    """What is shown. `ok` is false once a file was refused or something went wrong."""

    def __init__(self, screen: Screen, demonstration: "Demonstration"):
        self.screen = screen
        self.demonstration = demonstration
        self.ok = True

    def whole(self, pictures: list[tuple[str, Callable]]) -> None:
        """The pipeline as it should be: one image after the other."""
        demonstration, screen = self.demonstration, self.screen
        travels = []
        with demonstration.function():
            for travel in self._save(pictures):
                travels.append(travel)
                file = travel.image.file
                screen.heading(f"{travel.name}, {file.width:,} x {file.height:,} pixels, {size(file.size)}")
                self.show([travel])
        self.blame([travel for travel in travels if not demonstration.arrived(travel)])
        if arrived := [travel for travel in travels if demonstration.arrived(travel)]:
            times = sorted(
                round(1000 * (arrival.at - travel.saved.at))
                for travel in arrived
                for arrival in demonstration.arrivals(travel)
            )
            images = "The image" if len(travels) == 1 else f"{len(arrived)} of {len(travels)} images"
            took = f"{times[0]} ms" if len(times) == 1 else f"{times[0]} to {times[-1]} ms"
            screen.heading(f"{images} arrived. From save to thumbnail: {took}.")
            self._keep_thumbnails(arrived)

    def broken(self, mode: str, pictures: list[tuple[str, Callable]]) -> None:
        """A failure on purpose, and what it does not harm."""
        demonstration, screen = self.demonstration, self.screen
        story, remedy = MODES[mode]
        screen.heading(f"Broken on purpose: {mode}")
        screen.say(story)
        screen.say(f"SQS delivers it {MAX_RECEIVE_COUNT} times, a second apart. The other messages must not notice.")
        screen.heading("What happens")
        if mode == "poison":
            broken = demonstration.send_poison()
        else:
            broken = demonstration.save("broken.jpg", picture_file(1), mode)
        others = list(self._save(pictures))
        with demonstration.function():
            self.show([broken, *others])
        dead = demonstration.dead_letters()
        screen.heading(f"In the dead-letter queue: {count(len(dead), 'message')}")
        if broken.body:
            screen.fact(f"{'body':8}{without_keys(broken.body)}")
            tries = count(len(broken.failures), "delivery", "deliveries")
            screen.fact(f"{'why':8}{tries}, each in vain: {'; '.join(dict.fromkeys(broken.failures))}")
            screen.fact(f"{'repair':8}{remedy}")
        harmed = [travel for travel in others if travel.failures or not demonstration.arrived(travel)]
        self.blame(harmed)
        reached = len(demonstration.arrivals(broken))
        if len(dead) != 1 or not broken.body:
            self._problem("The dead-letter queue should hold the broken message, and no other.")
        elif reached != (0 if mode == "poison" else len(demonstration.receivers) - 1):
            self._problem(
                f"The broken message was processed by {reached} of {count(len(demonstration.receivers), 'app')}."
            )
        elif not harmed:
            screen.heading(f"As it should be: it is a dead letter. The other {len(others)} arrived, once each.")
            if reached:
                screen.say(
                    f"{count(reached, 'app')} got it {len(broken.failures)} times and processed it once: they know it "
                    "by its Idempotency-Key."
                )
        self._keep_thumbnails(others)

    def _save(self, pictures: list[tuple[str, Callable]]) -> Iterator["Travel"]:
        """Save each image. Those that the gallery's form refuses are named; the others go on."""
        from .demonstration import Refused

        for name, opened in pictures:
            try:
                with opened("rb") as file:
                    travel = self.demonstration.save(name, file)
            except Refused as error:
                self.ok = False
                self.screen.refuse(f"{name}: {error}")
            else:
                yield travel

    def show(self, travels: list["Travel"]) -> None:
        self.screen.restart()
        with self.screen.console.status("The function works ..."):
            self.screen.timeline(self.demonstration.watch(travels))

    def blame(self, travels: list["Travel"]) -> None:
        for travel in travels:
            self._problem(f"{travel.name} did not arrive as it should. {self.demonstration.reason(travel)}")

    def _problem(self, sentence: str) -> None:
        self.ok = False
        self.screen.problem(sentence)

    def _keep_thumbnails(self, travels: list["Travel"]) -> None:
        """Copy them out of the lab's folder, which goes with the lab, and say where they are."""
        receivers = self.demonstration.receivers
        kept: dict[Path, int] = {}
        for travel in travels:
            for number, arrival in enumerate(self.demonstration.arrivals(travel), start=1):
                suffix = f"-receiver-{number}" if len(receivers) > 1 else ""
                kept[keep(arrival.thumbnail, Path(travel.name).stem, suffix, taken=kept)] = number
        if not kept:
            return
        self.screen.thumbnails([path for path, number in kept.items() if number == 1])
        self.screen.heading(f"{count(len(kept), 'thumbnail')}, kept until you run `python3 -m workshop clean`:")
        for path in kept:
            with Pillow.open(path) as picture:
                self.screen.path(path, f"{picture.width} x {picture.height} pixels, {size(path.stat().st_size)}")


def keep(thumbnail: Path, stem: str, suffix: str, taken) -> Path:
    """Copy a thumbnail to the folder of thumbnails, in place of one that an earlier demo left there."""
    stem = stem.encode()[:LONGEST_NAME].decode(errors="ignore").strip()
    path, number = THUMBNAILS / f"{stem}{suffix}.webp", 1
    while path in taken:
        number += 1
        path = THUMBNAILS / f"{stem}-{number}{suffix}.webp"
    THUMBNAILS.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(thumbnail, path))


def size(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.1f} kB"


def count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def without_keys(body: str) -> str:
    """A message's body, with *** for each key, also where it is not quite JSON."""
    return re.sub(r'("key"\s*:\s*)"(\\.|[^"\\])*"?', r'\1"***"', body)
