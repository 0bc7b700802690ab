from django.apps import AppConfig


class ImageSyncConfig(AppConfig):
    name = "workshop_django.image_sync"
    verbose_name = "Image processing sync"

    def ready(self):
        from . import checks  # noqa: F401  (importing registers them)
