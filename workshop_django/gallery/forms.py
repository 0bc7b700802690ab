"""The upload form. What is refused is refused here, with a reason that the page shows."""

import uuid
from pathlib import Path

from django import forms
from PIL import Image as Pillow

from workshop_django.image_sync.thumbnail import FORMATS, TooManyPixels, thumbnail

from .models import Image

MAX_UPLOAD_BYTES = 10 * 1024 * 1024  # 10 MB
# What Pillow may then find; MPO is a JPEG with more than one picture in it, as some cameras write.
SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}
UNREADABLE = "This file cannot be read as an image. Choose a JPEG, PNG, GIF or WebP file."


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
        suffix = SUFFIXES[_format_of(file)]
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

    def save(self, commit=True):
        try:
            return super().save(commit)
        except BaseException:  # a full disk leaves half a file, and a failed INSERT a whole one
            if self.is_valid() and "file" in self.changed_data:
                file = self.instance.file
                file.storage.delete(file.field.generate_filename(self.instance, Path(file.name).name))
            raise


def _format_of(file) -> str:
    """Pillow's name for what it is. Only what the receiver's own work succeeds on is taken: it would fail for ever."""
    try:
        thumbnail(file)
        with Pillow.open(file, formats=FORMATS) as image:
            return image.format
    except TooManyPixels as error:
        raise forms.ValidationError(str(error)) from error
    except Exception as error:  # Pillow raises many kinds for files that are not what they claim to be
        raise forms.ValidationError(UNREADABLE) from error
