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
from rich.table import Table
from rich.text import Text

from .events import FUNCTION, QUEUE, RECEIVER, SENDER, Event

STYLES = {SENDER: "green", QUEUE: "magenta", FUNCTION: "cyan", RECEIVER: "green"}  # by the beginning of the name
LABEL = 8  # characters
TIME = 6  # characters: 999 s in milliseconds
THUMBNAIL_CELLS = 36  # of a terminal: two of its rows are as high as one of its columns is wide
MOST_THUMBNAILS = 6  # shown in the terminal


class Screen:
    """`console` is what people read; refusals and the like go to standard error."""

    def __init__(self):
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="replace")  # a file name may hold what the terminal's encoding does not
        self.console = Console(highlight=False, soft_wrap=False)
        self.errors = Console(stderr=True, highlight=False)
        self._start: float | None = None
        self._last = 0.0
        self._where = len(RECEIVER)

    # Words

    def say(self, text: str = "", style: str = "") -> None:
        self._print_stripped(Text(text, style=style))

    def heading(self, text: str) -> None:
        self.say()
        self.say(text, style="bold")

    def fact(self, text: str, label_style: str = "bold") -> None:
        """A label of eight characters and a text, which stays beside it when it needs more lines."""
        grid = Table.grid(padding=0)
        grid.add_column(width=LABEL)
        grid.add_column(overflow="fold")
        grid.add_row(Text(text[:LABEL].rstrip(), style=label_style), Text(text[LABEL:]))
        self._print_stripped(grid)

    def path(self, path: Path, remark: str) -> None:
        """A path in one piece, however long, so that it can be copied; a link in terminals that have links."""
        line = Text("  ").append(str(path), style=f"link {path.as_uri()}").append(f"  {remark}", style="dim")
        self.console.print(line, soft_wrap=True)

    def refuse(self, text: str) -> None:
        self.console.file.flush()
        self._print_stripped(Text.assemble(("refused ", "bold red"), text), self.errors)

    def problem(self, text: str) -> None:
        self.say(text, style="bold red")

    def waiting(self, text: str):
        """A moving sign while something takes time, in a terminal alone. A context manager."""
        return self.console.status(text) if self.console.is_terminal else _Nothing()

    # The timeline

    def make_room_for(self, names: list[str]) -> None:
        """Widen the column of the parts for these names."""
        self._where = max(self._where, *map(len, names))

    def restart(self) -> None:
        """The next timeline counts from its own first event. Prints the headings."""
        self._start = None
        self._row("ms", "+ms", Text("where"), Text("what"), style="dim")

    def timeline(self, events: Iterable[Event]) -> None:
        for event in events:
            if self._start is None:
                self._start = self._last = event.at
                between = ""
            else:
                between = f"+{_ms(event.at - self._start) - _ms(self._last - self._start)}"
            style = next((style for name, style in STYLES.items() if event.where.startswith(name)), "yellow")
            what = Text(event.what, style="bold red" if event.bad else "")
            self._row(str(_ms(event.at - self._start)), between, Text(event.where, style=style), what)
            self._last = event.at

    def _row(self, at: str, between: str, where: Text, what: Text, style: str = "") -> None:
        grid = Table.grid(padding=(0, 2, 0, 0))
        for width in (TIME, TIME):
            grid.add_column(width=width, justify="right")
        grid.add_column(width=self._where)
        grid.add_column(overflow="fold")
        grid.add_row(at, Text(between, style="dim"), where, what, style=style)
        self._print_stripped(grid)

    def _print_stripped(self, shown: Table | Text, console: Console | None = None) -> None:
        """Print lines without the blanks at their ends that rich leaves there."""
        console = console or self.console
        for line in console.render_lines(shown, pad=False):
            text = Text.assemble(*((segment.text, segment.style or "") for segment in line if not segment.control))
            text.rstrip()
            console.print(text, soft_wrap=True)

    # Pictures

    def thumbnails(self, paths: list[Path]) -> None:
        """The pictures themselves, where the terminal has the colours and characters for it."""
        if self.console.color_system not in ("truecolor", "256") or not self.console.encoding.startswith("utf"):
            return
        if not self.console.is_terminal or os.environ.get("TERM") == "dumb":
            return
        self.console.print()
        self.console.print(Columns([blocks(path) for path in paths[:MOST_THUMBNAILS]], padding=(1, 2)))


def blocks(path: Path, cells: int = THUMBNAIL_CELLS) -> Text:
    """A picture made of half blocks: each character shows two pixels, one above the other."""
    with Pillow.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((cells, cells))
    text = Text(no_wrap=True)
    for y in range(0, picture.height, 2):
        for x in range(picture.width):
            upper = _hex(picture.getpixel((x, y)))
            lower = f" on {_hex(picture.getpixel((x, y + 1)))}" if y + 1 < picture.height else ""
            text.append("\N{UPPER HALF BLOCK}", style=f"{upper}{lower}")
        text.append("\n")
    text.right_crop(1)
    return text


class _Nothing:
    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None


def _hex(pixel: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*pixel)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
