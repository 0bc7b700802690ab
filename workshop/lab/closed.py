"""When a notebook's lab is closed, what still calls AWS or the database says so, in one sentence.

    watch(lambda: Lab.closed)       # from now on, in this process; LabClosed is raised where the function says True

Without it a cell that is run again would end in pages of botocore or Django, or reach the person's own account.
"""

import sys
from collections.abc import Callable
from functools import cache

import botocore
from django.db.backends.signals import connection_created

from workshop.foreseen import Foreseen


class LabClosed(Foreseen):
    """The lab that this needs is closed."""

    def __init__(self):
        super().__init__(
            "The lab is closed, and with it its AWS and its database. Run the cell that opens it again (the first one "
            "of the chapter), and then this one. To work on something else in this notebook, restart its kernel."
        )


@cache
def watch(is_closed: Callable[[], bool]) -> None:
    """For every boto3 client of a session made from now on, and every new connection to a database."""

    def refuse(**about) -> None:
        if is_closed():
            raise LabClosed

    def initialize(session) -> None:
        session.register("creating-client-class", refuse)  # before it looks for a region and for credentials
        session.register("before-call", refuse)

    botocore.register_initializer(initialize)
    connection_created.connect(refuse, weak=False)


def in_a_notebook() -> bool:
    """Where no cell runs, in a script or a test, what comes after a lab is the program's own affair."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython is not None and get_ipython() is not None
