"""The upload form. What is refused is refused here, with a reason that the page shows."""

import warnings

from django import forms
from PIL import Image as Pillow

from .models import Image

MAX_UPLOAD_BYTES = 10 * 1024 * 1024  # 10 MB
MAX_PIXELS = 50_000_000  # width x height: about 150 MB in memory once decoded
FORMATS = ("JPEG", "PNG", "GIF", "WEBP")


class ImageForm(forms.ModelForm):
    class Meta:
        model = Image
        fields = ["title", "file"]
        widgets = {"file": forms.ClearableFileInput(attrs={"accept": "image/jpeg,image/png,image/gif,image/webp"})}

    title = forms.CharField(max_length=200, required=False, help_text="The file's name is used if you leave it empty.")
    # A plain FileField: ImageField would decode the file before its size in pixels is known.
    file = forms.FileField(
        label="Image file",
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/gif,image/webp"}),
        error_messages={"empty": "The file is empty. Choose an image."},
    )

    def clean_file(self):
        file = self.cleaned_data["file"]
        if file.size > MAX_UPLOAD_BYTES:
            raise forms.ValidationError(
                f"The file has {file.size / 1024 / 1024:.1f} MB. At most 10 MB are taken: make it smaller."
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # MAX_PIXELS decides
                with Pillow.open(file, formats=FORMATS) as image:
                    width, height = image.size
                    if width * height > MAX_PIXELS:
                        raise forms.ValidationError(
                            f"The image has {width:,} x {height:,} pixels, "
                            f"more than the {MAX_PIXELS:,} that are taken: make it smaller."
                        )
                    image.load()  # reads every pixel: a truncated file is found now, not when it is needed
        except forms.ValidationError:
            raise
        except Exception as error:  # Pillow raises many kinds for files that are not what they claim to be
            raise forms.ValidationError(
                "This file cannot be read as an image. Choose a JPEG, PNG, GIF or WebP file."
            ) from error
        file.seek(0)
        return file

    def clean(self):
        cleaned = super().clean()
        if not cleaned.get("title") and cleaned.get("file"):
            cleaned["title"] = cleaned["file"].name[:200]
        return cleaned
