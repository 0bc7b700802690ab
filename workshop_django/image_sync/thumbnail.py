"""Makes the thumbnail: the receiver's work."""

import io

from PIL import Image, ImageOps

SIZE = (256, 256)  # pixels at the most; the proportions are kept


def thumbnail(file) -> bytes:
    """A WebP thumbnail of an image file, the right way up; of an animation, its first frame.

    Raises OSError or another of Pillow's exceptions when the file cannot be read.
    """
    with Image.open(file) as image:
        image.draft("RGB", SIZE)  # lets JPEG decode at a fraction of the size, which is much faster
        image.seek(0)
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):  # Pillow would cut 16 bits off at 255, not scale them
            upright = upright.point(lambda value: value * (1 / 256)).convert("L")
        picture = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        picture.thumbnail(SIZE)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()
