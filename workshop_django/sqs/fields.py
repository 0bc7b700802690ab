"""The column that holds a message: the text that is sent, and a dict in Python.

A database's own JSON type would reorder it, and round its numbers.
"""

import json
from typing import Any

from django.db import models

from .message import Message, encode, named


class MessageField(models.TextField):
    """Refuses what cannot be sent before the database is asked. Names the message, and the row after it."""

    _pyi_private_get_type: Message  # type: ignore[assignment]  # for django-stubs
    _pyi_private_set_type: Message  # type: ignore[assignment]

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs  # migrations know nothing of this folder

    def from_db_value(self, value: str, expression: Any, connection: Any) -> Message:
        return json.loads(value)

    def to_python(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Message:
        message = named(getattr(model_instance, self.attname))
        setattr(model_instance, self.attname, message)
        model_instance.idempotency_key = message["id"]  # type: ignore[attr-defined]
        return message

    def get_prep_value(self, value: Any) -> str:
        return value if isinstance(value, str) else encode(value)

    def value_to_string(self, obj: models.Model) -> str:
        message: Any = self.value_from_object(obj)
        return encode(message)
