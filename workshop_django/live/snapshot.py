"""What the live view shows: where the messages are at this moment, and the latest images.

Numbers and titles alone. What a message says, keys and endpoints are never part of it.
"""

import logging

from django.core.signals import setting_changed
from django.db.models import Max
from django.dispatch import receiver

from workshop_django.gallery.models import Image
from workshop_django.image_sync.models import Thumbnail
from workshop_django.sqs import SqSManager
from workshop_django.sqs.errors import QueueDoesNotExist, QueueNotConfigured
from workshop_django.sqs.models import OutboxMessage

from .latest import Latest, Outcome

IMAGES = 12

NOT_ASKED = "Amazon SQS has not answered yet."
NO_QUEUE_SET = "No queue is set: SQS_QUEUE_URL is empty. New messages wait in the outbox."
NO_SUCH_QUEUE = "Amazon SQS has no queue at SQS_QUEUE_URL. New messages wait in the outbox."
AWAY = (
    "Amazon SQS does not answer, or refuses to tell its counts. What cannot be sent waits in the outbox, "
    "and relay_outbox sends it later. The reason is in Django's log."
)

logger = logging.getLogger(__name__)
_last_logged = ""


def _ask():
    """Ask SQS for its counts, and log why it did not tell them, once for each new reason."""
    global _last_logged
    try:
        counts = SqSManager.counts()
    except Exception as error:
        if str(error) != _last_logged:
            _last_logged = str(error)
            logger.warning("The live view has no counts: %s", error)
        raise
    _last_logged = ""
    return counts


# Every viewer asks about once a second; SQS is asked once a second for all of them together.
queue = Latest(_ask, seconds=1, patience=1)


def snapshot() -> dict:
    """The page's content as JSON-ready data. `queue` is None, and `problem` says why, while SQS does not tell."""
    outcome = queue.get()
    counts = outcome.result
    unsent = OutboxMessage.objects.filter(sent_at=None, not_before__isnull=False)
    return {
        "outbox": unsent.count(),
        "outbox_failed": unsent.exclude(last_error="").count(),
        "waiting": counts and counts.waiting + counts.delayed,
        "in_flight": counts and counts.in_flight,
        "dead_letters": counts and counts.dead_letters,
        "delivered": Thumbnail.objects.count(),
        "problem": _problem(outcome),
        "images": _images(),
    }


def _problem(outcome: Outcome) -> str:
    """Why there are no numbers of the queue, in words that name no account, address or key."""
    if outcome.result:
        return ""
    match outcome.error:
        case None:
            return NOT_ASKED
        case QueueNotConfigured():
            return NO_QUEUE_SET
        case QueueDoesNotExist():
            return NO_SUCH_QUEUE
    return AWAY


def _images() -> list[dict]:
    """The latest images: title, state in words, and the thumbnail's address once there is one."""
    images = list(Image.objects.order_by("-id")[:IMAGES])
    ids = [image.pk for image in images]
    of_these = Thumbnail.objects.filter(image__in=ids)
    last_of_each = of_these.values("image").annotate(last=Max("id")).values("last")
    thumbnails = {made.image_id: made for made in Thumbnail.objects.filter(id__in=last_of_each)}
    names = [str(image.announcement_id) for image in images]
    sent_at = dict(OutboxMessage.objects.filter(idempotency_key__in=names).values_list("idempotency_key", "sent_at"))
    shown = []
    for image, name in zip(images, names, strict=True):
        thumbnail = None
        if image.pk in thumbnails:
            state = "processed"
            thumbnail = thumbnails[image.pk].file.url
        elif name not in sent_at:
            state = "no message found"
        else:
            state = "on its way" if sent_at[name] else "in the outbox"
        shown.append({"id": image.pk, "title": image.title, "state": state, "thumbnail": thumbnail})
    return shown


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs) -> None:
    """Django sends this signal when a test, or a notebook, overrides settings."""
    if setting == "SQS_QUEUE_URL":
        queue.forget()
