from django.apps import AppConfig


class GalleryConfig(AppConfig):
    name = "workshop_django.gallery"

    def ready(self):
        from . import checks, signals  # noqa: F401  (importing registers them)
