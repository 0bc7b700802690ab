"""The project's settings for fault runs: a sender that met an outage asks again soon, for the next run is soon."""

from workshop_django.config.settings import *  # noqa: F403

OUTAGE_PAUSE = 0.1  # seconds
