from django.apps import AppConfig


class SqsConfig(AppConfig):
    name = "workshop_django.sqs"
    verbose_name = "Amazon SQS"
