"""What a demonstration looks like: in colours in a terminal, as plain text where it is piped.

screen = Screen()
screen.fact("AWS     local (moto): ...")          # a label of eight characters, then text
screen.timeline(events)                            # goes on from the last line's time, until restart()
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from PIL import Image as Pillow
from rich.columns import Columns
from rich.console import Console
from rich.text import Text

STYLES = {"Django": "green", "Amazon SQS": "magenta", "AWS Lambda": "cyan"}  # by the beginning of the part's name
LABEL = 8  # characters
TIME = 6  # characters: 999 s in milliseconds
WHERE = 17  # characters: "Django receiver 2"
THUMBNAIL_CELLS = 36  # of a terminal: two of its rows are as high as one of its columns is wide
MOST_THUMBNAILS = 6  # shown in the terminal


class Screen:
    """`console` is what people read; refusals go to standard error."""

    def __init__(self):
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="replace")  # a file name may hold what the terminal's encoding does not
        self.console = Console(highlight=False)
        self.errors = Console(stderr=True, highlight=False)
        self._start: float | None = None
        self._last = 0

    def say(self, text: str = "", style: str = "") -> None:
        self._print(Text(), Text(text, style))

    def heading(self, text: str) -> None:
        self.say()
        self.say(text, style="bold")

    def fact(self, text: str) -> None:
        """A label of eight characters and a text, which stays beside it when it needs more lines."""
        self._print(Text(text[:LABEL].ljust(LABEL), "bold"), Text(text[LABEL:]))

    def path(self, path: Path, remark: str) -> None:
        """A path in one piece, however long, so that it can be copied; a link in terminals that have links."""
        line = Text("  ").append(str(path), style=f"link {path.as_uri()}").append(f"  {remark}", style="dim")
        self.console.print(line, soft_wrap=True)

    def refuse(self, text: str) -> None:
        self.console.file.flush()
        self._print(Text(), Text.assemble(("refused ", "bold red"), text), self.errors)

    def problem(self, text: str) -> None:
        self.say(text, style="bold red")

    def restart(self) -> None:
        """The next timeline counts from its own first event."""
        self._start = None

    def timeline(self, events: Iterable) -> None:
        """A line for each demonstration.Event."""
        for event in events:
            if self._start is None:
                self._start, self._last = event.at, 0
                self._row("ms", "+ms", Text("where", "dim"), Text("what", "dim"))
            at = round(1000 * (event.at - self._start))
            style = next((style for name, style in STYLES.items() if event.where.startswith(name)), "yellow")
            what = Text(event.what, "bold red" if event.bad else "")
            self._row(str(at), f"+{at - self._last}" if at else "", Text(event.where, style), what)
            self._last = at

    def _row(self, at: str, between: str, where: Text, what: Text) -> None:
        where.pad_right(WHERE + 2 - len(where))
        self._print(Text.assemble(at.rjust(TIME), (between.rjust(TIME + 2), "dim"), "  ", where), what)

    def _print(self, beginning: Text, text: Text, console: Console | None = None) -> None:
        """Lines of `text` beside each other, the first after `beginning`; none ends with blanks."""
        console = console or self.console
        for line in text.wrap(console, console.width - len(beginning)) or [Text()]:
            whole = beginning + line
            whole.rstrip()
            console.print(whole, soft_wrap=True)
            beginning = Text(" " * len(beginning))

    def thumbnails(self, paths: list[Path]) -> None:
        """The pictures themselves, where the terminal has the colours and characters for it."""
        if self.console.color_system not in ("truecolor", "256") or not self.console.encoding.startswith("utf"):
            return
        if not self.console.is_terminal or os.environ.get("TERM") == "dumb":
            return
        self.console.print()
        self.console.print(Columns([blocks(path) for path in paths[:MOST_THUMBNAILS]], padding=(1, 2)))


def blocks(path: Path) -> Text:
    """A picture made of half blocks: each character shows two pixels, one above the other."""
    with Pillow.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((THUMBNAIL_CELLS, THUMBNAIL_CELLS))
    picture = picture.crop((0, 0, picture.width, picture.height // 2 * 2))
    text = Text(no_wrap=True)
    for y in range(0, picture.height, 2):
        for x in range(picture.width):
            upper, lower = picture.getpixel((x, y)), picture.getpixel((x, y + 1))
            text.append("\N{UPPER HALF BLOCK}", style=f"rgb{upper} on rgb{lower}".replace(" (", "(").replace(", ", ","))
        text.append("\n")
    text.right_crop(1)
    return text
