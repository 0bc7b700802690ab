"""Pictures to send through the pipeline, drawn here so that nobody has to look for a photograph.

draw_picture(1)          a landscape as a Pillow image; each number has its own time of day
picture_file(1)          the same as a JPEG file that a Django ImageField takes
"""

import colorsys
import io
import math

from django.core.files.base import ContentFile
from PIL import Image, ImageDraw

SIZE = (1200, 800)  # pixels
HILLS = 4


def draw_picture(number: int = 1) -> Image.Image:
    """A sky, a sun and hills, 1200 x 800 pixels. The same number gives the same picture."""
    width, height = SIZE
    hue = (0.56 + 0.13 * number) % 1
    picture = Image.new("RGB", SIZE)
    draw = ImageDraw.Draw(picture)
    for y in range(height):
        draw.line([(0, y), (width, y)], fill=_colour(hue + 0.1 * y / height, 0.55 - 0.4 * y / height, 0.95))
    x, y, radius = 200 + 230 * number % 800, 200, 70
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=_colour(0.13, 0.35, 1))
    for hill in range(HILLS):
        top = height * (0.5 + 0.13 * hill)
        edge = [(x, top + 45 * math.sin(x / (150 - 20 * hill) + number + 2 * hill)) for x in range(0, width + 8, 8)]
        draw.polygon([(0, height), *edge, (width, height)], fill=_colour(hue + 0.2, 0.5, 0.6 - 0.13 * hill))
    return picture


def picture_file(number: int = 1) -> ContentFile:
    """The picture as a JPEG named picture-<number>.jpg, ready for `Image(file=...)`."""
    buffer = io.BytesIO()
    draw_picture(number).save(buffer, "JPEG", quality=85)
    return ContentFile(buffer.getvalue(), name=f"picture-{number}.jpg")


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)
