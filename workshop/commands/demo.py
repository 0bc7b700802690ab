"""Run the whole pipeline on your images, or on a picture that the demo draws, and show a timeline of it.

Each image is saved in Django, its message leaves the outbox, enters Amazon SQS, is handled by the Lambda
function, arrives at the receiving Django through the tunnel, and the thumbnail appears. The thumbnails stay
in .workshop/thumbnails when the demo ends.

JPEG, PNG, GIF and WebP are taken, up to 10 MB and 50 million pixels. A file that is refused is named with the
reason; the others are still shown, and the exit status is 1 at the end. 0 means that all went as it should,
with --break: that the broken message, and no other, is in the dead-letter queue.

--break sends one broken message among good ones: bad-key, with a key that the receiver does not know;
receiver-down, to a Django that is off; poison, one that is not JSON. It fails, is tried again, and ends in the
dead-letter queue; the good ones arrive.

With WORKSHOP_AWS=real in .env the messages go through your own account, where the function must be deployed;
--break works on the local AWS alone.
"""

HELP = "runs the whole pipeline on your image, with a timeline"

MOST_APPS = 8  # each is a Django of its own, with about 100 MB of memory
MODES = ("bad-key", "receiver-down", "poison")


def add_arguments(parser):
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="image files (default: a picture is drawn)")
    parser.add_argument(
        "--apps", type=int, default=1, metavar="N", help=f"send each message to N receivers, 1 to {MOST_APPS}"
    )
    parser.add_argument(
        "--break",
        dest="mode",
        choices=MODES,
        metavar="MODE",
        help="break one message on purpose, and follow it to the dead-letter queue: " + ", ".join(MODES),
    )


def run(args) -> int:
    if not 1 <= args.apps <= MOST_APPS:
        args.parser.error(f"--apps is {args.apps}: the demo runs 1 to {MOST_APPS} receivers, each a Django of its own.")
    import signal
    import sys

    from workshop.demo.show import show

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # closes what was started
    return show(args.images, apps=args.apps, mode=args.mode)
