"""Run the whole pipeline on your images, or on a picture that the demo draws, and show a timeline of it.

Each image is saved in Django, its message leaves the outbox, enters Amazon SQS, is handled by the Lambda
function, arrives at the receiving Django through the tunnel, and the thumbnail appears. The thumbnails stay
in .workshop/thumbnails when the demo ends.

JPEG, PNG, GIF and WebP are taken, up to 10 MB and 25 million pixels (WebP: 10 million). A file that is refused
is named with the reason; the others are still shown, and the exit status is 1 at the end. 0 means that all went
as it should, with --break: that the broken message, and no other, is in the dead-letter queue.

--break sends one broken message among good ones: bad-key, with a key that the receiver does not know;
receiver-down, to a Django that is off; poison, one that is not JSON. It fails, is tried again, and ends in the
dead-letter queue; the good ones arrive.

--break also takes every fault of `soak --list`, for example relay-killed or sqs-slow. Then the whole pipeline meets
that fault while pictures are uploaded, it is mended, and the demo counts what became of each picture.

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
        metavar="MODE",
        help=f"break one message on purpose ({', '.join(MODES)}), or a part: `soak --list` has the names",
    )


def run(args) -> int:
    if not 1 <= args.apps <= MOST_APPS:
        args.parser.error(f"--apps is {args.apps}: the demo runs 1 to {MOST_APPS} receivers, each a Django of its own.")
    if args.mode and args.mode not in MODES:
        return _break_a_part(args)
    from workshop.demo.show import show

    return show(args.images, apps=args.apps, mode=args.mode)


def _break_a_part(args) -> int:
    import secrets

    from workshop.faults.faults import FAULTS
    from workshop.faults.pipeline import Pipeline
    from workshop.faults.soak import run
    from workshop.run_folders import run_folder

    if args.mode not in FAULTS:
        args.parser.error(f"--break takes {', '.join(dict.fromkeys([*MODES, *FAULTS]))}; not {args.mode!r}.")
    if args.images or args.apps > 1:
        args.parser.error(f"--break {args.mode} uploads pictures of its own: leave the images and --apps out.")
    fault = FAULTS[args.mode]
    print("Starting the parts ...", flush=True)
    with Pipeline(run_folder() / "faults") as pipeline:
        if reason := fault.missing(pipeline):
            args.parser.error(f"{args.mode} cannot happen here: {reason}.")
        print(fault.story)
        account = run(pipeline, fault, secrets.randbelow(1_000_000), say=print)
    for what in ("saved", "waiting", "lost", "doubled"):
        print(f"{what:<8}{len(getattr(account, what)):>3}")
    print(account.wrong or "As it should be: each saved picture has one thumbnail, or its message can be seen.")
    return 1 if account.wrong else 0
