from django.apps import AppConfig


class SqsConfig(AppConfig):
    name = __name__.rpartition(".")[0]  # wherever the folder lies
    label = "sqs"  # names the tables and the migrations, which a renamed or moved folder keeps
    verbose_name = "Amazon SQS"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  (importing registers them)
