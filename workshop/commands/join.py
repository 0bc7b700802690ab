"""Join the board of a room: from now on each check of an exercise tells it that you tried, and if it was right.

It is told no code and no hints. Whoever is in the room may see the page. `leave` ends it.
"""

from workshop.names import PROGRAM

HELP = "joins the board of a room, so that checks tell it"
PACKAGES = "not needed"


def add_arguments(parser):
    parser.add_argument("address", metavar="ADDRESS", help="the board's, as your instructor shows it")
    parser.add_argument("code", metavar="CODE", help="the room's code")
    parser.add_argument("name", metavar="NAME", nargs="+", help="what the room will read; it need not be your own")


def run(args) -> None:
    from workshop.board.telling import Telling

    name = " ".join(args.name)
    try:
        Telling().join(args.address, args.code, name)
    except OSError as error:
        raise SystemExit(f"The key that the board knows you by cannot be kept: {error}.") from None
    print(
        f"You have joined as {name}. Each check tells the board that you tried, and if it was right: no code, no hints."
    )
    print(f"\n    {PROGRAM} hand up      raises your hand; hand down lowers it\n    {PROGRAM} leave        ends it")
