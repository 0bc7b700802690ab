from django.apps import AppConfig


class LiveConfig(AppConfig):
    name = "workshop_django.live"
    verbose_name = "Live view"
