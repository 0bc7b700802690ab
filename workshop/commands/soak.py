"""Break everything, again and again, and count: whatever was saved has one effect, or its message can still be seen.

The pipeline's real parts run as processes on this machine. In each run some images are saved while one fault
happens (--list names them all), the fault is mended, and each image is accounted for. A run that lost or doubled
something is told with the command that repeats it, and the exit status is 1.
"""

HELP = "breaks everything again and again, and counts what was lost or doubled"

LABS_AT_ONCE = 3


def add_arguments(parser):
    parser.add_argument("--runs", type=int, default=100, metavar="N", help="how many runs, the faults in turn (100)")
    parser.add_argument("--minutes", type=float, metavar="N", help="begin no further run after so many minutes")
    parser.add_argument("--fault", action="append", metavar="NAME", help="this fault alone; may be given several times")
    parser.add_argument("--seed", type=int, metavar="N", help="where the seeds begin (by chance; it is printed)")
    parser.add_argument("--messages", type=int, default=0, metavar="N", help="then so many messages with no fault")
    parser.add_argument("--labs", type=int, default=0, metavar="N", help="then so many labs, three at once")
    parser.add_argument("--database-url", default="", metavar="URL", help="an empty PostgreSQL, in place of SQLite")
    parser.add_argument("--list", action="store_true", help="name the faults and what each is")


def run(args) -> int:
    import secrets
    import signal
    import sys

    from workshop.faults.faults import FAULTS

    if args.list:
        for fault in FAULTS.values():
            print(f"{fault.name:<20}{fault.story}")
        return 0
    if unknown := [name for name in args.fault or [] if name not in FAULTS]:
        args.parser.error(f"there is no fault {unknown[0]!r}. These are: {', '.join(FAULTS)}.")
    if min(args.runs, args.messages, args.labs) < 0:
        args.parser.error("--runs, --messages and --labs must not be negative.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # closes what was started
    seed = secrets.randbelow(1_000_000) if args.seed is None else args.seed
    return _soak(args, seed)


def _soak(args, seed: int) -> int:
    from functools import partial
    from math import inf

    from workshop.faults.faults import FAULTS
    from workshop.faults.pipeline import Pipeline
    from workshop.faults.soak import crowd, endure, soak
    from workshop.run_folders import run_folder

    print("Starting the parts ...", flush=True)
    with Pipeline(run_folder() / "faults", args.database_url) as pipeline:
        reasons = {name: FAULTS[name].missing(pipeline) for name in args.fault or FAULTS}
        for name, reason in reasons.items():
            if reason:
                print(f"{name} cannot happen here: {reason}.")
        names = [name for name, reason in reasons.items() if not reason]
        print(f"Seeds from {seed}", flush=True)
        seconds = inf if args.minutes is None else 60 * args.minutes
        rows = soak(pipeline, names, runs=args.runs, seed=seed, seconds=seconds, say=partial(print, flush=True))
        if args.runs:
            _print_rows(rows)
        first = None
        for arrived, now in endure(pipeline, args.messages, seed):
            first = first or (arrived, now)
            last = arrived, now
        if first:
            _print_held(first, last)
    failed = crowd(args.labs, LABS_AT_ONCE)
    if args.labs:
        print(f"\n{args.labs - len(failed)} of {args.labs} labs sent their picture through. {''.join(failed[:1])}")
    return 1 if failed or any(row.wrong for row in rows.values()) else 0


def _print_rows(rows) -> None:
    columns = ("runs", "saved", "waiting", "lost", "doubled", "ghosts")
    print(f"\n{'fault':<20}" + "".join(f"{name:>9}" for name in columns) + f"{'s a run':>9}")
    totals = dict.fromkeys(columns, 0)
    for name, row in rows.items():
        if row.runs:
            print(f"{name:<20}" + "".join(f"{getattr(row, column):>9}" for column in columns), end="")
            print(f"{row.seconds / row.runs:>9.1f}")
        totals = {column: totals[column] + getattr(row, column) for column in columns}
    print(f"{'together':<20}" + "".join(f"{total:>9}" for total in totals.values()))
    print("waiting: seen in the outbox, the queue or the dead-letter queue; ghosts: sent, and never saved.")


def _print_held(first, last) -> None:
    print(f"\n{'part':<12}{'':>24}after {first[0]:>6} messages{'':>14}after {last[0]:>6}")
    for part, before in first[1].items():
        after = last[1][part]
        print(f"{part:<12}", end="")
        for held in (before, after):
            print(f"{held.megabytes:>12.0f} MB {held.files:>4} files {held.connections:>3} connections", end="")
        print()
