"""List the exercises with what is done in each, or open one: exercises 03 opens JupyterLab on the third."""

HELP = "lists the exercises, or opens one"


def add_arguments(parser):
    from . import lab

    parser.add_argument("chapter", nargs="?", metavar="NN", help="open the exercise of this chapter, for example 03")
    lab.add_arguments(parser)


def run(args) -> None:
    from workshop.exercises import notebook

    from . import PROGRAM, lab

    if args.chapter:
        chapter = notebook.named(args.chapter)
        if not chapter:
            args.parser.error(f"there is no exercise {args.chapter!r}. Write its number, for example 03.")
        lab.run(args, f"exercises/{chapter}.ipynb")
        return
    _list()
    print(f"\nTo open one: {PROGRAM} exercises {notebook.chapters()[0][:2]}")


def _list() -> None:
    from workshop.exercises import notebook
    from workshop.exercises.progress_file import Done, Progress

    progress = Progress()
    for chapter in notebook.chapters():
        done = progress.of(chapter)
        states = [(name, done.get(name, Done()).state) for name in notebook.questions(chapter)]
        print(f"exercises/{chapter}.ipynb")
        print("    " + ", ".join(f"{name} {'open' if state == 'not attempted' else state}" for name, state in states))
    if progress.notice:
        print(progress.notice)
