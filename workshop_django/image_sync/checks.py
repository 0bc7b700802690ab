"""Every command of `manage.py` tells when its database was made by a checkout from before version 1.0."""

from pathlib import Path

from django.core.checks import Error, register
from django.db import connections

from workshop_django.sqs.models import OutboxMessage

FROM_BEFORE = "image_sync_receivedmessage"  # a table that only those checkouts made


@register()
def fresh_database(app_configs, databases=None, **kwargs):
    return [
        Error(
            f"The database {alias!r} was made by a checkout from before version 1.0, and cannot be migrated.",
            hint="Nothing in it was meant to last: delete it (SQLite: the file of DATABASE_URL, as it is "
            "workshop_django/db.sqlite3), and run `manage.py migrate` again.",
            id="image_sync.E001",
        )
        for alias in databases or filter(_is_a_file, connections)
        if _is_old(connections[alias])
    ]


def _is_a_file(alias: str) -> bool:
    """Only then is a database looked into without being asked to: no server is kept waiting for."""
    settings = connections[alias].settings_dict
    return connections[alias].vendor == "sqlite" and Path(settings["NAME"]).is_file()


def _is_old(connection) -> bool:
    outbox = OutboxMessage._meta.db_table
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        columns = connection.introspection.get_table_description(cursor, outbox) if outbox in tables else None
    return FROM_BEFORE in tables or (columns and "idempotency_key" not in [column.name for column in columns])
