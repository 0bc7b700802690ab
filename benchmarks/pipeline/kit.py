"""The pipeline as it stands in a chapter: an event source mapping in the background brings what was sent on save."""

import time

from lambda_function import lambda_handler
from workshop import EventSourceMapping
from workshop.lab.picture import picture_file


def prepared(setting):
    from workshop_django.gallery.models import Image

    file = picture_file(1)
    mapping = EventSourceMapping(setting.lab.queue_url, lambda_handler)

    def run():
        image = Image.objects.create(title="A picture", file=file)
        while not image.thumbnails.exists():
            time.sleep(0.001)
        return 1

    run.before = mapping.start
    run.after = mapping.stop  # or it would take what the other contender sends
    return run
