"""A message is a dict that JSON can hold, and so can SQS and every database. Its "id" names the event it tells of:
however often it is sent, a receiver can tell that it is the same.
"""

import json
import re
import uuid
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from .errors import MessageIdInvalid, MessageNotJSON, MessageTooLarge

Message = dict[str, Any]

MAX_BYTES = 1_048_576  # of a message, and of all messages in one request together: AWS's quota since August 2025
ID = re.compile(r"[!-~]{1,100}")  # it travels as the header Idempotency-Key
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def named(msg: Message) -> Message:
    """A copy of the message with an "id": its own, or a new UUID. Raises MessageNotJSON or MessageIdInvalid."""
    if not isinstance(msg, dict):
        raise MessageNotJSON(
            f'A message is a dict, such as {{"apps": [...], "data": {{...}}}}, not {type(msg).__name__}.'
        )
    if "id" not in msg:
        return {"id": str(uuid.uuid4()), **msg}
    own = str(msg["id"]) if isinstance(msg["id"], uuid.UUID) else msg["id"]
    if not isinstance(own, str) or not ID.fullmatch(own):
        raise MessageIdInvalid(
            'The message\'s "id" must be a text of 1 to 100 characters from ! to ~, without spaces. '
            "Leave it out, and it is given a UUID."
        )
    return {**msg, "id": own}


def encode(msg: Message) -> str:
    """The message as JSON text in ASCII, which has no character that SQS forbids and a byte a character.

    Raises MessageNotJSON or MessageTooLarge.
    """
    try:
        body = json.dumps(msg, cls=DjangoJSONEncoder, allow_nan=False)
        if r"\ud" in body:  # half of a character, perhaps: then UTF-8 has no bytes for it
            json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise MessageNotJSON(
            "The message has half a character in a text (a lone surrogate), which no database can store. "
            r'Decode the text anew, or take text.encode("utf-8", "replace").decode().'
        ) from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise MessageNotJSON(f"The message cannot be written as JSON: {error}") from error
    if NUL.search(body):
        raise MessageNotJSON(
            "The message has a NUL character in a text, which PostgreSQL cannot store. Take text.replace('\\0', '')."
        )
    if len(body) > MAX_BYTES:
        raise MessageTooLarge(
            f"The message is {len(body):,} bytes as JSON; SQS takes {MAX_BYTES:,}. "
            "Store the data, for example in Amazon S3, and send where it is."
        )
    return body
