"""The kit's settings, with the two addresses that are measured."""

from workshop_django.config.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.receiver.urls"
