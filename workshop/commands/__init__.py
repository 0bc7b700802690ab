"""The commands of `python3 -m workshop`. Each is a module in this folder, named as the command is typed
(make_exercises for make-exercises).

A command module imports only the standard library at its top, so that help works before the packages are
installed; what it needs besides, it imports inside `run`. It has:

    HELP = "runs the whole pipeline on a picture"    # one line, in lower case, no full stop
    PACKAGES = "needed"        # optional. "needed", the default: `run` is called where the packages are, which
                               # are installed first if they are missing; "needed for tests": the tests' own,
                               # too; "if installed": there if they are ready, else with the standard library
                               # alone; "not needed": just here
    PASSES_ON = True           # optional: what the parser does not know is in `args.passed_on`

    def add_arguments(parser): ...    # an argparse.ArgumentParser; its description is the module's docstring
    def run(args) -> int | None: ...  # the exit status; None is 0

For a foreseen mistake `run` raises Foreseen or SystemExit with a sentence that says what was wrong and what to
do (exit status 1), or calls `args.parser.error(sentence)` where the arguments were wrong (exit status 2). Ctrl-C
arrives as KeyboardInterrupt and a request to end as SystemExit; let them through once everything is closed.
"""

import argparse
import difflib
import importlib
import importlib.util
import signal
import sys
from types import ModuleType

from workshop.foreseen import Foreseen
from workshop.names import PROGRAM

GROUPS = {
    "Learn": ["lab", "demo", "exercises", "manage", "progress", "reset"],
    "Be in a room": ["join", "hand", "leave"],
    "Look after it": ["doctor", "test", "bench", "soak", "clean"],
    "Go to AWS": ["package", "deploy", "destroy", "logs"],
    "Write chapters": ["make-exercises"],
    "Teach": ["board", "wheelhouse"],
}
NAMES = [name for group in GROUPS.values() for name in group]

INTERRUPTED = 130  # the exit status that shells give a program ended by Ctrl-C


def load(name: str) -> ModuleType:
    return importlib.import_module(_module(name))


def available() -> list[str]:
    return [name for name in NAMES if importlib.util.find_spec(_module(name))]


def _module(name: str) -> str:
    return f"{__name__}.{name.replace('-', '_')}"


def overview() -> str:
    """The help that a newcomer reads first."""
    names = available()
    lines = [
        "Django saves, Amazon SQS carries, AWS Lambda posts, Django receives: a workshop for your machine.",
        "",
        "Type this first. It opens the first chapter in your browser:",
        "",
        f"    {PROGRAM} lab",
        "",
        "All commands:",
    ]
    for title, group in GROUPS.items():
        lines += ["", f"  {title}"]
        lines += [f"    {name:<15} {load(name).HELP}" for name in group if name in names]
    lines += ["", f"{PROGRAM} COMMAND --help explains one of them."]
    return "\n".join(lines)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(2, f"{self.format_usage()}{_sentence(message)} {self.prog} --help explains each argument.\n")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def main(argv: list[str]) -> int:
    """Run the command that `argv` names; returns the exit status."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    name = argv[0]
    if name not in available():
        near = difflib.get_close_matches(name, available(), n=1)
        meant = f" Did you mean: {PROGRAM} {near[0]}" if near else ""
        print(f"There is no command {name!r}.{meant}\n\n{overview()}", file=sys.stderr)
        return 2
    # A program that a script starts in the background is born deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return _run(load(name), name, argv[1:])
    except Foreseen as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED


def _run(command: ModuleType, name: str, argv: list[str]) -> int:
    from workshop.setup import virtual_environment

    parser = _Parser(
        prog=f"{PROGRAM} {name}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    args, passed_on = parser.parse_known_args(argv)
    if getattr(command, "PASSES_ON", False):
        args.passed_on = passed_on
    elif passed_on:
        parser.error(f"this command has no argument {passed_on[0]!r}.")
    args.parser = parser
    status = virtual_environment.enter(
        getattr(command, "PACKAGES", "needed"), [name, *argv], getattr(args, "wheelhouse", None)
    )
    if status is not None:  # the command has run in another process, where the packages are
        return status
    return command.run(args) or 0
