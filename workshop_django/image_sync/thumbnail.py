"""Makes the thumbnail: the receiver's work. Memory is bounded: in the size of a picture, and in how many at once.

What surrounds the pixels never spoils them: metadata that cannot be read are as good as none.
"""

import io
import threading
from contextlib import nullcontext

from PIL import Image, ImageCms, ImageOps

SIZE = (256, 256)  # pixels at the most; the proportions are kept
TWICE = (512, 512)  # reduced quickly to no less than this, and with care from there
FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
MAX_PIXELS = 25_000_000  # a camera's 24 megapixels fit; decoded, a pixel has up to 4 bytes
MAX_PIXELS_WEBP = 10_000_000  # Pillow holds a WebP three times while it decodes
LARGE = 2_000_000  # pixels, from which on pictures are decoded one at a time
STRIP = 1_000_000  # pixels that are converted together
ORIENTATION = 0x0112  # the EXIF tag

_one_large = threading.Lock()


class TooManyPixels(ValueError):
    pass


def thumbnail(file) -> bytes:
    """A WebP thumbnail of an image file, the right way up, in sRGB; of an animation, its first frame.

    Raises TooManyPixels, or OSError or another of Pillow's exceptions when the file cannot be read.
    """
    try:
        image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise TooManyPixels(_limit(MAX_PIXELS)) from error
    with image:
        pixels, limit = image.width * image.height, MAX_PIXELS_WEBP if image.format == "WEBP" else MAX_PIXELS
        if pixels > limit:
            raise TooManyPixels(_limit(limit))
        with _one_large if pixels > LARGE else nullcontext():
            image.draft("RGB", TWICE)  # lets JPEG decode at a fraction of the size
            image.load()
            picture = _reduced(image)
            orientation, profile = _orientation(image), image.info.get("icc_profile")
    picture = _upright(_in_srgb(picture, profile), orientation)
    picture.thumbnail(SIZE)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def _limit(pixels: int) -> str:
    return f"The image has more than the {pixels:,} pixels that are taken: make it smaller."


def _reduced(image: Image.Image) -> Image.Image:
    """About TWICE the thumbnail's size, in L, RGB, RGBA or CMYK. Strip by strip: a second whole copy is never made."""
    factor = max(1, max(image.size) // TWICE[0])
    rows = factor * max(1, STRIP // (image.width * factor))
    strips = (
        _plain(image.crop((0, top, image.width, min(top + rows, image.height)))).reduce(factor)
        for top in range(0, image.height, rows)
    )
    first = next(strips)
    reduced = Image.new(first.mode, (first.width, -(-image.height // factor)))
    reduced.paste(first)
    for number, strip in enumerate(strips, start=1):
        reduced.paste(strip, (0, number * rows // factor))
    return reduced


def _plain(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would cut 16 bits off at 255, not scale them
        return image.point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises many kinds for EXIF that is none
        return 1


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """In the colours that screens expect. Without a profile that fits the picture, it is taken for sRGB."""
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    if not profile:
        return picture.convert(mode)
    colours = picture.convert("RGB") if mode == "RGBA" else picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture.convert(mode)
    if mode == "RGBA":
        converted.putalpha(picture.getchannel("A"))
    return converted


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    picture.info.clear()
    exif = picture.getexif()
    exif.clear()
    exif[ORIENTATION] = orientation
    return ImageOps.exif_transpose(picture)
