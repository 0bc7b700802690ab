"""Look at this machine and these settings, and say for each whether it is as the workshop needs it.

    ok       as it should be
    note     something optional is missing, or worth knowing
    problem  keeps the workshop from working: the sentence below says what to do

Nothing is changed, and it works before anything is installed. The exit status is 1 if there is a problem.
"""

import os
import shutil
import sys
import textwrap

HELP = "checks this machine and your settings, and says what to do"
PACKAGES = "if installed"

COLOURS = {"ok": "32", "note": "36", "problem": "1;31"}  # ANSI: green, cyan, bold red
WIDEST = 100  # columns: longer lines are hard to read
INDENT = len("problem  JupyterLab  ")


def add_arguments(parser):
    pass


def run(args) -> int:
    from workshop.setup import doctor

    sys.stdout.reconfigure(errors="replace")  # a path may hold what the terminal's encoding does not
    findings = doctor.all_findings()
    width = min(WIDEST, shutil.get_terminal_size().columns)
    for finding in findings:
        print(_shown(finding, width, in_colour=_colours()))
    problems = sum(finding.state == "problem" for finding in findings)
    print()
    if problems:
        keep = "1 problem keeps" if problems == 1 else f"{problems} problems keep"
        print(f"{keep} the workshop from working.")
        return 1
    print("Nothing keeps the workshop from working.")
    return 0


def _shown(finding, width: int, in_colour: bool) -> str:
    """The state in words, then the subject, then what was found; below it, what to do."""
    head = f"{finding.state:<8} {finding.subject:<11} "
    lines = textwrap.wrap(
        finding.words,
        width,
        initial_indent=head,
        subsequent_indent=" " * INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if finding.advice:
        indent = " " * INDENT
        lines += textwrap.wrap(
            finding.advice,
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    text = "\n".join(lines)
    if in_colour:
        text = f"\x1b[{COLOURS[finding.state]}m{finding.state}\x1b[0m{text[len(finding.state) :]}"
    return text


def _colours() -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return False
    return os.name != "nt" or "WT_SESSION" in os.environ  # an old Windows console would show the codes themselves
