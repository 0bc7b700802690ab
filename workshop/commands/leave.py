"""Leave the room's board: checks tell it nothing any more. What was told stays with your instructor."""

HELP = "leaves the board: checks tell it nothing any more"
PACKAGES = "not needed"


def add_arguments(parser):
    pass


def run(args) -> None:
    from workshop.board.telling import Telling

    telling = Telling()
    if telling.membership() is None:
        print("You have joined no board.")
        return
    telling.keep("left")
    problem = telling.send()
    telling.leave()
    print("You have left the board." + (f" {problem} So it does not know yet." if problem else ""))
