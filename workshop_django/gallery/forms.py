"""The upload form. What is refused is refused here, with a reason that the page shows."""

import uuid

from django import forms
from PIL import Image as Pillow

from .models import Image

MAX_UPLOAD_BYTES = 10 * 1024 * 1024  # 10 MB
MAX_PIXELS = 50_000_000  # width x height: about 150 MB in memory once decoded
FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
# What Pillow may then find; MPO is a JPEG with more than one picture in it, as some cameras write.
SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}
UNREADABLE = "This file cannot be read as an image. Choose a JPEG, PNG, GIF or WebP file."
TOO_MANY_PIXELS = f"The image has more than the {MAX_PIXELS:,} pixels that are taken: make it smaller."


class ImageForm(forms.ModelForm):
    class Meta:
        model = Image
        fields = ["title", "file"]

    title = forms.CharField(max_length=200, required=False, help_text="The file's name is used if you leave it empty.")
    # A plain FileField: ImageField would decode the file before its size in pixels is known.
    file = forms.FileField(
        label="Image file",
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/gif,image/webp"}),
        error_messages={"required": "Choose an image first.", "empty": "The file is empty. Choose an image."},
    )

    def clean_file(self):
        file = self.cleaned_data["file"]
        if "file" not in self.changed_data:  # the admin, where the title alone was changed
            return file
        if file.size > MAX_UPLOAD_BYTES:
            raise forms.ValidationError(
                f"The file has {file.size / 1024 / 1024:.1f} MB. At most 10 MB are taken: make it smaller."
            )
        suffix = SUFFIXES[_decoded_format(file)]
        file.seek(0)
        self.original_name = file.name
        # The name is ours. Theirs may be too long for the disk, or end in .html and be served as a page.
        file.name = f"{uuid.uuid4().hex}.{suffix}"
        return file

    def clean(self):
        cleaned = super().clean()
        if not cleaned.get("title") and cleaned.get("file"):
            cleaned["title"] = getattr(self, "original_name", self.instance.title)[:200]
        return cleaned


def _decoded_format(file) -> str:
    """Decode the image wholly, so that a truncated one is found now, not when it is needed. Returns its format."""
    try:
        with Pillow.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height <= MAX_PIXELS:
                image.load()
                return image.format
    except Pillow.DecompressionBombError as error:
        raise forms.ValidationError(TOO_MANY_PIXELS) from error
    except Exception as error:  # Pillow raises many kinds for files that are not what they claim to be
        raise forms.ValidationError(UNREADABLE) from error
    raise forms.ValidationError(TOO_MANY_PIXELS)
