"""Show where the room is: a page with a row for each learner and a column for each chapter, and who has a hand up.

Learners join with `join`, from machines on the same network; from then on each check tells the board. All of it is
one file on this machine. Started again with the same file, the board goes on: same code, same link, same learners.
"""

import os
import sys
from pathlib import Path

from workshop.folders import WORK_FOLDER
from workshop.names import PROGRAM

HELP = "shows an instructor where the room is, on one page"

FILE = WORK_FOLDER / "board" / "board.sqlite3"
THIS_MACHINE = ("127.0.0.1", "localhost")


def add_arguments(parser):
    parser.add_argument("--file", type=Path, default=FILE, help="where it is kept (default: in .workshop/board)")
    parser.add_argument("--host", metavar="ADDRESS", help="where to listen; 127.0.0.1 if all share this machine")
    parser.add_argument("--port", type=int, metavar="N", help="the port (default: the same as before, or a free one)")
    parser.add_argument("--yes", action="store_true", help="listen on the network without asking")
    parser.add_argument("--no-browser", action="store_true", help="only say the page's address")
    parser.add_argument("--export", type=Path, metavar="CSV", help="write what was told as a table, and no more")


def run(args) -> None:
    from django.db import DatabaseError

    from workshop.board import serving
    from workshop.exercises import notebook

    if args.export and not args.file.exists():
        raise SystemExit(f"There is no board in {args.file}.")
    try:
        args.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        room = serving.open_file(args.file, {chapter: notebook.questions(chapter) for chapter in notebook.chapters()})
    except (OSError, DatabaseError) as error:
        raise SystemExit(f"The board cannot be kept in {args.file}: {error}.") from None
    if args.export:
        _export(args.export)
    else:
        _serve(args, room)


def _export(file: Path) -> None:
    import csv

    from workshop.board.serving import told

    try:
        with file.open("x", encoding="utf-8-sig", newline="") as table:  # with the mark that spreadsheets want
            rows = [[_no_formula(cell) for cell in row] for row in told()]
            csv.writer(table).writerows(rows)
    except OSError as error:
        raise SystemExit(f"{file} was not written: {error.strerror}.") from None
    print(f"{file} has {len(rows) - 1} rows, one for each check and each hand.")


def _no_formula(cell: str) -> str:
    """A spreadsheet would calculate with a name that begins like a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell


def _serve(args, room) -> None:
    import signal
    import time

    from django.db import connection

    from workshop.board import serving
    from workshop.lab.django_server import DjangoServer
    from workshop.lab.processes import ProcessFailed, free_port, is_free
    from workshop.run_folders import run_folder

    before = room.address
    host = args.host or serving.address_on_the_network()
    port = args.port or int(before.rpartition(":")[2] or free_port())
    if not is_free(port, host):
        args.parser.error(
            f"nothing can listen at {host}, port {port}. Does a board run already? Another port: --port N, another "
            "address of this machine: --host ADDRESS."
        )
    if host not in THIS_MACHINE and not args.yes:
        _ask(host, port)
    room.address = f"{serving.address_on_the_network() if host == '0.0.0.0' else host}:{port}"  # noqa: S104 # nosec B104
    room.save()
    server = DjangoServer(run_folder(), host=host, port=port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        server.start()
        _say_how(args, room, before)
        while server.alive:
            time.sleep(0.5)
        print("The board's server has ended. Start it again with the same command.", file=sys.stderr)
    except ProcessFailed as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        print(
            f"\nThe board has ended. What it was told is in\n\n    {args.file}\n\nKeep it, or delete it. "
            f"{PROGRAM} board --export board.csv makes a table of it."
        )
    finally:
        server.stop()
        connection.close()  # the last one: what is in the write-ahead log goes into the file


def _ask(host: str, port: int) -> None:
    print(
        f"The board will listen on the network, at {host}, port {port}: every machine there can reach it.\n"
        "Who has the code can join, and tell it of their checks. Who has your link sees the page. What is told\n"
        "stays on this machine; on its way it is not encrypted. Use it on a network of people that you know.\n"
    )
    try:
        answer = input("Type yes to go on: ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise SystemExit("Nothing listens. For this machine alone, add: --host 127.0.0.1")


def _say_how(args, room, before: str) -> None:
    import webbrowser

    page = f"http://{room.address}/page/{room.link}/"
    if before and before != room.address:
        print(f"It was at {before}. Let everyone join again: they keep their rows.\n")
    print(f"For the learners, to type in a terminal:\n\n    {PROGRAM} join {room.address} {room.spelled_code} NAME\n")
    print(f"For you. Who has this link sees the page:\n\n    {page}\n")
    print("If this ends before the workshop does, type the same command again: address, code and rows stay.")
    print("Press Ctrl-C here to end it.", flush=True)
    no_display = sys.platform == "linux" and not (os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"})
    if not (args.no_browser or no_display):
        webbrowser.open(page)
