"""Raise your hand on the room's board, or lower it."""

from workshop.names import PROGRAM

HELP = "raises your hand on the board, or lowers it"
PACKAGES = "not needed"


def add_arguments(parser):
    parser.add_argument("way", choices=["up", "down"])


def run(args) -> None:
    from workshop.board.telling import Telling

    telling = Telling()
    if telling.membership() is None:
        raise SystemExit(f"You have joined no board. Type: {PROGRAM} join ADDRESS CODE NAME")
    telling.keep(args.way)
    if problem := telling.send():
        raise SystemExit(f"{problem} Your hand goes {args.way} when something can be told again: type this once more.")
    print("Your hand is up." if args.way == "up" else "Your hand is down.")
