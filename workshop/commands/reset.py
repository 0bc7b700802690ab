"""Put a chapter, or with --exercise its exercise, back as it was shipped.

Your own version is not lost: it is kept, with date and time in its name, in the folder .workshop/kept.
"""

from workshop.folders import HOME

HELP = "puts a chapter back as it was shipped, and keeps yours"
PACKAGES = "not needed"


def add_arguments(parser):
    parser.add_argument("chapter", metavar="NN", help="the chapter's number, for example 06")
    parser.add_argument("--exercise", action="store_true", help="the exercise of that chapter, not the chapter")


def run(args) -> None:
    from workshop.jupyter import shipped

    folder = HOME / ("exercises" if args.exercise else "notebooks")
    names = sorted(path.name for path in folder.glob("[0-9][0-9]_*.ipynb"))
    name = next((name for name in names if name[:2] == args.chapter.zfill(2)), None)
    if name is None:
        args.parser.error(f"there is no {folder.name}/{args.chapter}. There are: {', '.join(n[:2] for n in names)}")
    try:
        kept = shipped.put_back(folder / name)
    except OSError as error:
        raise SystemExit(f"{folder.name}/{name} was not put back: {error}") from None
    if kept is None:
        print(f"{folder.name}/{name} is as it was shipped. Nothing was changed.")
        return
    print(f"{folder.name}/{name} is as it was shipped again. Yours is kept in\n\n    {kept}\n")
    print("Is it open in JupyterLab? Then choose File, Reload Notebook from Disk.")
