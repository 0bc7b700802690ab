"""The kit's settings, with the two addresses that are measured."""

from workshop_django.config.settings import *  # noqa: F403

SECURE_SSL_REDIRECT = False  # the client speaks plain HTTP
ROOT_URLCONF = "benchmarks.receiver.urls"
