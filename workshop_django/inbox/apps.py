from django.apps import AppConfig


class InboxConfig(AppConfig):
    name = __name__.rpartition(".")[0]  # follows the folder, wherever it was copied to
    label = "inbox"  # does not: tables and migrations are named after it
    verbose_name = "Inbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  (importing registers them)
