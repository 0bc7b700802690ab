"""Make pictures/pipeline.webp, the moving picture in README: the live page while a message fails, and is repaired.

.venv/bin/python pictures/moving.py     # needs Chromium or Chrome, and takes two minutes
"""

import base64
import io
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from PIL import Image as Pillow

FOLDER = Path(__file__).resolve().parent
sys.path += [str(FOLDER.parent), str(FOLDER.parent / "tests")]

from chromium import Chromium, Page  # noqa: E402

from lambda_function import lambda_handler  # noqa: E402
from workshop import EventSourceMapping, Lab  # noqa: E402
from workshop.lab import picture_file  # noqa: E402

WIDTH, HEIGHT = 960, 620  # pixels; README shows it as wide as its column
EVERY = 0.125  # seconds between two looks at the page
LONGEST = 60  # seconds that a message may take
TITLES = ("Hills", "Dawn", "Noon")

# A line under the page that says what happens: made by script, for the page's policy lets no style in.
CAPTION = """
    const line = document.body.appendChild(document.createElement("p"));
    Object.assign(line.style, {position: "fixed", left: 0, right: 0, bottom: 0, margin: 0, padding: "14px 24px",
        font: "600 19px system-ui, sans-serif", background: "#0b5cad", color: "white"});
    line.id = "caption";
"""


class Camera(threading.Thread):
    """Takes the page again and again, and keeps what differs, with how long it was so."""

    def __init__(self, page: Page):
        super().__init__(daemon=True)
        self.page = page
        self.page_is_free = threading.Lock()
        self.frames: list[tuple[float, bytes]] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(EVERY):
            with self.page_is_free:
                png = base64.b64decode(self.page.send("Page.captureScreenshot")["data"])
            if not self.frames or png != self.frames[-1][1]:
                self.frames.append((time.monotonic(), png))

    def says(self, words: str, seconds: float) -> None:
        with self.page_is_free:
            self.page.run(f"void (document.getElementById('caption').textContent = {words!r})")
        time.sleep(seconds)

    def save(self, path: Path) -> None:
        times = [at for at, _ in self.frames] + [time.monotonic()]
        pictures = [Pillow.open(io.BytesIO(png)).convert("RGB") for _, png in self.frames]
        durations = [round((after - at) * 1000) for at, after in zip(times, times[1:], strict=False)]
        pictures[0].save(
            path, save_all=True, append_images=pictures[1:], duration=durations, loop=0, quality=75, method=6
        )


@contextmanager
def camera_on(url: str) -> Iterator[Camera]:
    profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # Chromium may still be writing there
    with profile as folder, Chromium(Path(folder)) as chromium, chromium.open(url) as page:
        page.send("Emulation.setScrollbarsHidden", hidden=True)
        page.send("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)
        page.run(f"void (() => {{ {CAPTION} }})()")
        camera = Camera(page)
        camera.start()
        try:
            yield camera
        finally:
            camera.stopped.set()
            camera.join()


def wait_until(condition) -> None:
    deadline = time.monotonic() + LONGEST
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"After {LONGEST} s it had not happened.")
        time.sleep(0.05)


def redrive(sqs, lab: Lab) -> None:
    """Send the one dead letter again. (The local AWS has no StartMessageMoveTask.)"""
    [letter] = sqs.receive_message(QueueUrl=lab.dead_letter_queue_url)["Messages"]
    sqs.send_message(QueueUrl=lab.queue_url, MessageBody=letter["Body"])
    sqs.delete_message(QueueUrl=lab.dead_letter_queue_url, ReceiptHandle=letter["ReceiptHandle"])


def main() -> None:
    with Lab(expose=True, visibility_timeout=3) as lab:
        from workshop_django.gallery.models import Image
        from workshop_django.image_sync.models import Thumbnail

        sqs = boto3.client("sqs")

        def dead_letters() -> int:
            answer = sqs.get_queue_attributes(
                QueueUrl=lab.dead_letter_queue_url, AttributeNames=["ApproximateNumberOfMessages"]
            )
            return int(answer["Attributes"]["ApproximateNumberOfMessages"])

        with camera_on(lab.django_url + "/live/") as camera:
            camera.says("Django, Amazon SQS, AWS Lambda, Django: all on this laptop.", 3)
            camera.says("Save four images. Each save sends a message.", 1)
            images = [Image(title=title, file=picture_file(number)) for number, title in enumerate(TITLES, start=1)]
            broken = Image(title="A broken file", file=picture_file(4))
            for image in [*images[:2], broken, *images[2:]]:
                image.save()
                time.sleep(0.8)
            repaired = Path(broken.file.path).read_bytes()
            Path(broken.file.path).write_bytes(b"no picture")
            camera.says("One of the files is broken. Its message can never succeed: poison.", 3.5)
            with EventSourceMapping(lab.queue_url, lambda_handler):
                camera.says("Lambda takes all four. Three arrive; the poison holds up none of them.", 3.5)
                camera.says("The fourth fails, and stays in flight. Soon SQS delivers it again ...", 0)
                wait_until(dead_letters)
                camera.says("... until it has failed three times: now it is a dead letter. Nothing is lost.", 4)
                Path(broken.file.path).write_bytes(repaired)
                camera.says("You repair the file, and send the dead letter back: a redrive.", 3)
                redrive(sqs, lab)
                wait_until(lambda: Thumbnail.objects.count() == len(images) + 1)
                camera.says("Four images, four thumbnails: nothing lost, nothing done twice.", 5)
        path = FOLDER / "pipeline.webp"
        camera.save(path)
        print(f"{path.name}: {len(camera.frames)} frames, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
