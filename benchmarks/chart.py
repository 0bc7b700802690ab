"""Bars as a picture (PNG), drawn with Pillow: on paper, on GitHub and in a notebook alike.

bars("Ten records over HTTP, deliveries/s", {"guide": 2850, "kit": 7100})
parts("One message, ms", {"save": 3.1, "queue": 2.2, "thumbnail": 46})
"""

from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFont

WIDTH, MARGIN, LABELS, VALUES, ROW, TITLE = 820, 16, 190, 90, 30, 44  # pixels
COLOURS = ["#0b5cad", "#bf6900", "#1a7f37", "#8250df", "#a40e26", "#57606a", "#0e7490", "#9a6700"]
PAPER, INK = "#ffffff", "#24292f"


def bars(title: str, values: Mapping[str, float], *, marked: str = "kit") -> Image.Image:
    """A bar for each value, the one called `marked` in another colour."""
    picture, draw = _sheet(title, TITLE + ROW * len(values) + MARGIN)
    room = WIDTH - LABELS - VALUES - 2 * MARGIN
    most = max(values.values(), default=0) or 1
    for row, (label, value) in enumerate(values.items()):
        top, left = TITLE + row * ROW, MARGIN + LABELS
        draw.text((left - 10, top + ROW / 2), label, INK, _font(15), anchor="rm")
        colour = COLOURS[0] if label == marked else "#8c959f"
        draw.rectangle((left, top + 4, left + max(1, room * value / most), top + ROW - 4), colour)
        draw.text((left + room * value / most + 8, top + ROW / 2), shown(value), INK, _font(15), anchor="lm")
    return picture


def parts(title: str, values: Mapping[str, float]) -> Image.Image:
    """One bar, cut into its parts, and what each colour means."""
    picture, draw = _sheet(title, TITLE + 2 * ROW + 24 * len(values) + MARGIN)
    whole = sum(values.values()) or 1
    left = float(MARGIN)
    for number, (label, value) in enumerate(values.items()):
        colour = COLOURS[number % len(COLOURS)]
        right = left + (WIDTH - 2 * MARGIN) * value / whole
        draw.rectangle((left, TITLE, right, TITLE + ROW + 8), colour)
        left, top = right, TITLE + 2 * ROW + 24 * number
        draw.rectangle((MARGIN, top, MARGIN + 14, top + 14), colour)
        draw.text((MARGIN + 24, top + 7), f"{label}: {shown(value)} ({value / whole:.0%})", INK, _font(15), anchor="lm")
    return picture


def below_each_other(pictures: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (WIDTH, sum(picture.height for picture in pictures)), PAPER)
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def shown(value: float) -> str:
    """A number with about three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _sheet(title: str, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (WIDTH, height), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN, TITLE / 2), title, INK, _font(18), anchor="lm")
    return picture, draw


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
