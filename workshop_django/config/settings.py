"""Settings of the workshop's Django project, sender and receiver. All that differs between a laptop and
production comes from the environment, or from a file `.env` in the checkout; `.env.example` explains each.
"""

from pathlib import Path
from urllib.parse import quote

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from . import environment

BASE_DIR = Path(__file__).resolve().parent.parent
environment.load(Path(environment.text("DJANGO_ENV_FILE", str(BASE_DIR.parent / ".env"))))

DEBUG = environment.flag("DEBUG")
SECRET_KEY = environment.required("SECRET_KEY", "50 random characters or more, kept secret.")
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", "127.0.0.1,localhost" if DEBUG else "")
CSRF_TRUSTED_ORIGINS = environment.words("CSRF_TRUSTED_ORIGINS")
FORCE_SCRIPT_NAME = environment.text("FORCE_SCRIPT_NAME") or None  # the path below which a proxy serves this site
# Behind a load balancer that speaks HTTPS for us and sets, or removes, this header on every request: only then may it
# be believed. The variable holds its name, usually X-Forwarded-Proto.
if proxy_header := environment.text("SECURE_PROXY_SSL_HEADER"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_" + proxy_header.upper().replace("-", "_"), "https")

# The source guide's names
APP_KEY = environment.text("APP_KEY")  # whoever sends it may post to the receiver; unset, nobody may
APP_KEY_FALLBACKS = environment.words("APP_KEY_FALLBACKS")  # accepted, too, while a key is being replaced
SQS_QUEUE_URL = environment.url("SQS_QUEUE_URL")
SQS_SEND_ON_COMMIT = environment.flag("SQS_SEND_ON_COMMIT", True)  # false: all sending is left to relay_outbox
AWS_ACCESS_KEY_ID = environment.text("AWS_ACCESS_KEY_ID")  # unset, boto3 looks for a role or a profile
AWS_SECRET_ACCESS_KEY = environment.text("AWS_SECRET_ACCESS_KEY")
AWS_SESSION_TOKEN = environment.text("AWS_SESSION_TOKEN")  # of temporary keys
AWS_REGION_NAME = environment.text("AWS_REGION_NAME", "us-east-1")
if bool(AWS_ACCESS_KEY_ID) != bool(AWS_SECRET_ACCESS_KEY):
    missing = "AWS_SECRET_ACCESS_KEY" if AWS_ACCESS_KEY_ID else "AWS_ACCESS_KEY_ID"
    raise ImproperlyConfigured(f"{missing} is not set, and its other half is. Set both, or neither to use a role.")

# Where a saved image is announced: "https://one.example/api/v1/image-processing-sync,https://two...|its key"
SYNC_ENDPOINTS = environment.words("SYNC_ENDPOINTS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "workshop_django.sqs",
    "workshop_django.inbox",
    "workshop_django.gallery",
    "workshop_django.image_sync",
    "workshop_django.live",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "workshop_django.config.urls"
WSGI_APPLICATION = "workshop_django.config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

in_the_checkout = quote((BASE_DIR / "db.sqlite3").as_posix(), safe="/:")  # whose folder may have a % in its name
database_url = environment.text("DATABASE_URL", f"sqlite:///{in_the_checkout}")
try:
    DATABASES = {"default": dj_database_url.parse(database_url, conn_max_age=60, conn_health_checks=True)}
except ValueError as error:
    raise ImproperlyConfigured(
        f"DATABASE_URL cannot be read ({type(error).__name__}). Write for example "
        "DATABASE_URL=sqlite:////folder/db.sqlite3 or DATABASE_URL=postgres://user:password@host:5432/name."
    ) from None
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["CONN_MAX_AGE"] = 0  # a kept connection would hold a file that may be replaced
    DATABASES["default"]["OPTIONS"] = {
        # Readers and one writer at once; writers queue up from BEGIN on, so none meets "database is locked".
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,  # seconds that a writer waits for its turn
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = environment.text("STATIC_ROOT", str(BASE_DIR / "static"))
MEDIA_URL = "media/"
MEDIA_ROOT = environment.text("MEDIA_ROOT", str(BASE_DIR / "media"))

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["workshop_django.inbox.authentication.AppKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Image processing sync",
    "DESCRIPTION": "Takes what AWS Lambda brings from the queue.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/",
    "PREPROCESSING_HOOKS": ["workshop_django.image_sync.schema.all_endpoints"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
}

DEFAULT_EXCEPTION_REPORTER = "workshop_django.config.exception_reporter.KeysHidden"

if not DEBUG:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # load balancers ask over plain HTTP
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

DJANGO_LOG_FILE = environment.text("DJANGO_LOG_FILE")
if DJANGO_LOG_FILE and not Path(DJANGO_LOG_FILE).parent.is_dir():
    raise ImproperlyConfigured(f"DJANGO_LOG_FILE is {DJANGO_LOG_FILE!r}, in a folder that does not exist. Create it.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "workshop_django": {"handlers": ["console"], "level": "INFO", "propagate": False},
    },
}
if DJANGO_LOG_FILE:
    LOGGING["handlers"]["file"] = {
        "class": "logging.FileHandler",
        "filename": DJANGO_LOG_FILE,
        "encoding": "utf-8",
        "formatter": "line",
    }
    for logger in LOGGING["loggers"].values():
        logger["handlers"].append("file")
