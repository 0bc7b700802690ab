# ruff: noqa: UP
"""`python3 -m workshop`: says so when Python is too old, and else runs the command.

This file and `__init__.py` use only what every Python since 2.7 can read.
"""

import sys

OLDEST = (3, 11)


def too_old():
    if sys.version_info >= OLDEST:
        return None
    this = ".".join(str(number) for number in sys.version_info[:3])
    how = {
        "win32": "Install it from https://www.python.org/downloads/ and run: py -3.12 -m workshop",
        "darwin": "Install it from https://www.python.org/downloads/ and run: python3.12 -m workshop",
    }.get(
        sys.platform,
        "Install it (on Debian and Ubuntu: sudo apt install python3.12 python3.12-venv; everywhere: "
        "https://www.python.org/downloads/) and run: python3.12 -m workshop",
    )
    return "This workshop needs Python 3.11 or newer; this is {0} ({1}). {2}".format(
        this, sys.executable, " ".join([how] + sys.argv[1:])
    )


if __name__ == "__main__":
    if too_old():
        sys.exit(too_old())
    from workshop.commands import main

    sys.exit(main(sys.argv[1:]))
