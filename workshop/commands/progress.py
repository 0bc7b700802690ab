"""Show how far you are: for each chapter, which questions are right, attempted, and how many hints you used.

The progress is kept on this machine only, in the folder .workshop. --certificate makes a page to print of it.
"""

HELP = "shows how far you are in the exercises"
PACKAGES = "not needed"

ALL = "all"


def add_arguments(parser):
    parser.add_argument(
        "--reset", nargs="?", const=ALL, metavar="CHAPTER", help="forget all, or one chapter, for example: --reset 03"
    )
    parser.add_argument("--certificate", metavar="NAME", help="write a page to print, which says what was right")


def run(args) -> None:
    from workshop.exercises import notebook
    from workshop.exercises.progress_file import Progress

    progress = Progress()
    if args.certificate:
        _certify(args.certificate, progress)
        return
    if args.reset:
        _reset(progress, args, notebook.chapters())
        return
    rows, right, total = [], 0, 0
    for chapter in notebook.chapters():
        names = notebook.questions(chapter)
        done = progress.of(chapter)
        states = [done[name].state if name in done else "" for name in names]
        rows.append(
            (
                chapter,
                f"{states.count('right')} of {len(names)}",
                str(states.count("wrong")),
                str(sum(done[name].hints for name in names if name in done)),
                str(sum(done[name].solution for name in names if name in done)),
            )
        )
        right += states.count("right")
        total += len(names)
    if progress.notice:
        print(progress.notice)
    _print_table(("chapter", "right", "attempted", "hints used", "solutions seen"), rows)
    print(f"\nTogether: {right} of {total} right.")


def _certify(name: str, progress) -> None:
    from datetime import date

    from workshop.exercises.certificate import certificate

    page = certificate(name, progress, date.today())
    if page is None:
        raise SystemExit("No question is right yet, so there is nothing to certify.")
    file = progress.file.with_name("certificate.html")
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SystemExit(f"{file} was not written: {error.strerror}.") from None
    print(f"Open this page in a browser, and print it:\n\n    {file.resolve().as_uri()}")


def _reset(progress, args, chapters: list[str]) -> None:
    if args.reset == ALL:
        progress.reset()
        print("Your progress was reset.")
        return
    matching = [chapter for chapter in chapters if chapter == args.reset or chapter[:2] == args.reset.zfill(2)]
    if not matching:
        args.parser.error(f"there is no exercise {args.reset!r}. Write its number, 01 to {chapters[-1][:2]}.")
    progress.reset(matching[0])
    print(f"Your progress in {matching[0]} was reset.")


def _print_table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    for row in [headings, tuple("-" * width for width in widths), *rows]:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
