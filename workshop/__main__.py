"""`python3 -m workshop`: says so when Python is too old, and else runs the command.

This file and `__init__.py` use only what every Python since 2.7 can read.
"""

import sys

from workshop import OLDEST


def too_old():
    if sys.version_info >= OLDEST:
        return None
    this = ".".join(str(number) for number in sys.version_info[:3])
    run = "py -3.12 -m workshop" if sys.platform == "win32" else "python3.12 -m workshop"
    return (
        "This workshop needs Python 3.11 or newer; this is %s (%s). Install Python 3.12 from "  # noqa: UP031
        "https://www.python.org/downloads/ or with your system's package manager, and run: %s"
        % (this, sys.executable, " ".join([run] + sys.argv[1:]))  # noqa: RUF005
    )


if __name__ == "__main__":
    if too_old():
        sys.exit(too_old())
    from workshop.commands import main

    sys.exit(main(sys.argv[1:]))
