"""Settings of the board. `python3 -m workshop board` sets the environment: the file, and the exercises' questions."""

import json
import os
import secrets

SECRET_KEY = secrets.token_urlsafe(32)  # nothing is signed with it: there are no sessions and no forms
ALLOWED_HOSTS = ["*"]  # learners reach it by whatever this machine is called; a code and a link guard it, not a name
CHAPTERS: dict[str, list[str]] = json.loads(os.environ["BOARD_CHAPTERS"])  # {"01_create_the_queue": ["q1", ...], ...}

INSTALLED_APPS = ["rest_framework", "workshop_django.inbox", "workshop.board"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "workshop.board.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
SILENCED_SYSTEM_CHECKS = ["inbox.W001"]  # no APP_KEY: each learner has a key of their own
REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None}  # Django's own users are not installed

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["BOARD_FILE"],
        "CONN_MAX_AGE": None,  # one connection a thread, as long as the server runs
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,  # seconds that a writer waits for its turn
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
