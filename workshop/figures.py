"""A figure from one list of shapes in three forms: SVG, PNG where SVG is not shown (GitHub, no trust), and a text.

figure = Figure(820, 106, "Django --> Amazon SQS")       # the text is what a terminal and a screen reader have
figure.box(16, 24, 136, 58, fill="#ffffff", stroke="#8c959f")
figure.text(84, 50, "Django", size=14, bold=True)
figure.arrow(154, 53, 176, 53)
"""

import io
from base64 import b64encode
from collections.abc import Iterable
from html import escape

from PIL import Image, ImageDraw, ImageFont

INK, PAPER, ARROW = "#24292f", "#f6f8fa", "#57606a"  # a sheet of its own, so that it can be read on dark pages, too
SCALE = 2  # pixels of the PNG for one of the SVG: sharp on a screen with many
COLOURS = 32  # in the PNG, which keeps it at a few kB


class Figure:
    def __init__(self, width: int, height: int, text: str):
        self.width, self.height, self.words = width, height, text
        self._svg: list[str] = []
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), "white")
        self._draw = ImageDraw.Draw(self._image)
        self.box(0, 0, width, height, fill=PAPER, radius=10)

    def box(self, x, y, width, height, *, fill: str, stroke: str = "", line: int = 1, radius: int = 8) -> None:
        border = f' stroke="{stroke}" stroke-width="{line}"' if stroke else ""
        self._svg.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" fill="{fill}"{border}/>'
        )
        corners = [SCALE * at for at in (x, y, x + width - 1 / SCALE, y + height - 1 / SCALE)]
        self._draw.rounded_rectangle(
            corners, radius=radius * SCALE, fill=fill, outline=stroke or None, width=line * SCALE if stroke else 0
        )

    def text(self, x, y, words: str, *, size: int = 12, colour: str = INK, bold: bool = False, middle: bool = True):
        anchor = "middle" if middle else "start"
        weight = ' font-weight="600"' if bold else ""
        self._svg.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}"{weight} fill="{colour}">'
            f"{escape(words)}</text>"
        )
        font = ImageFont.load_default(size * SCALE)
        self._draw.text(
            (x * SCALE, y * SCALE), words, colour, font, anchor="ms" if middle else "ls", stroke_width=int(bold)
        )

    def arrow(self, x1, y1, x2, y2) -> None:
        """A line with a tip at its end, from left to right or from top to bottom."""
        tip = (
            [(x2, y2), (x2 - 8, y2 - 4), (x2 - 8, y2 + 4)]
            if y1 == y2
            else [(x2, y2), (x2 - 4, y2 - 8), (x2 + 4, y2 - 8)]
        )
        self._svg.append(f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{ARROW}" stroke-width="2"/>')
        points = " ".join(f"{x:g},{y:g}" for x, y in tip)
        self._svg.append(f'<polygon points="{points}" fill="{ARROW}"/>')
        self._draw.line([SCALE * at for at in (x1, y1, x2, y2)], ARROW, 2 * SCALE)
        self._draw.polygon([(SCALE * x, SCALE * y) for x, y in tip], ARROW)

    @property
    def svg(self) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" role="img" aria-label="{escape(self.words, quote=True)}" '
            f'font-family="system-ui, sans-serif">{"".join(self._svg)}</svg>'
        )

    @property
    def png(self) -> bytes:
        file = io.BytesIO()
        self._image.quantize(COLOURS).save(file, "PNG", optimize=True)
        return file.getvalue()

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        data = {"image/svg+xml": self.svg, "image/png": b64encode(self.png).decode(), "text/plain": self.words}
        return data, {"image/png": {"width": self.width, "height": self.height, "alt": self.words}}


# What a message goes through, and with what colour it is drawn.
STATES = {
    "waiting": "#9ec8f5",
    "in flight": "#f2c55c",
    "working": "#c9b6f2",
    "dead letter": "#f0a3a0",
    "deleted": "#8fd19e",
}
LEFT, RIGHT, ROW, BAR, TOP = 150, 24, 44, 26, 16  # pixels


def time_axis(rows: Iterable[tuple[str, Iterable[tuple[float, float, str]]]]) -> Figure:
    """Rows as (name, [(from, to, state), ...]) over one axis in seconds. The states are those of STATES."""
    rows = [(name, list(spans)) for name, spans in rows]
    last = max(end for _, spans in rows for _, end, _ in spans)
    words = "\n".join(
        f"{name}: " + ", ".join(f"{state} from {begin:.1f} to {end:.1f} s" for begin, end, state in spans)
        for name, spans in rows
    )
    figure = Figure(784, TOP + ROW * len(rows) + 62, words)
    per_second = (figure.width - LEFT - RIGHT) / last
    for position, (name, spans) in enumerate(rows):
        y = TOP + ROW * position
        figure.text(16, y + 18, name, size=13, bold=True, middle=False)
        for begin, end, state in spans:
            width = max((end - begin) * per_second, 4)
            figure.box(LEFT + begin * per_second, y, width, BAR, fill=STATES[state], radius=3)
            if width > 8 * len(state):
                figure.text(LEFT + begin * per_second + width / 2, y + 18, state)
    bottom = TOP + ROW * len(rows)
    step = next(step for step in (0.5, 1, 2, 5, 10, 30, 60, 300, 900) if last / step <= 12 or step == 900)
    for tick in range(int(last / step) + 1):
        figure.box(LEFT + tick * step * per_second, bottom, 1, 6, fill=ARROW, radius=0)
        figure.text(LEFT + tick * step * per_second, bottom + 20, f"{tick * step:g} s", size=11)
    used = dict.fromkeys(state for _, spans in rows for _, _, state in spans)
    for position, state in enumerate(used):
        figure.box(LEFT + 110 * position, bottom + 34, 14, 14, fill=STATES[state], radius=3)
        figure.text(LEFT + 110 * position + 20, bottom + 46, state, middle=False)
    return figure
