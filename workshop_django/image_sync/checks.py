"""`manage.py migrate` tells when the database was made by a checkout from before version 1.0."""

from django.core.checks import Error, Tags, register
from django.db import connections

FROM_BEFORE = "image_sync_receivedmessage"  # a table that only those checkouts made


@register(Tags.database)
def fresh_database(app_configs, databases=None, **kwargs):
    return [
        Error(
            f"The database {alias!r} was made by a checkout from before version 1.0, and cannot be migrated.",
            hint="Nothing in it was meant to last: delete it (SQLite: the file of DATABASE_URL, as it is "
            "workshop_django/db.sqlite3), and run `manage.py migrate` again.",
            id="image_sync.E001",
        )
        for alias in databases or []
        if FROM_BEFORE in connections[alias].introspection.table_names()
    ]
