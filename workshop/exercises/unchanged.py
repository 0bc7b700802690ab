"""Is an answer still what the learner was given? The kernel keeps the text of every cell that ran; that is compared.

unchanged((answer,), source)    # source: the code of the cell as the exercise begins
"""

import ast
import re
import sys

from IPython import get_ipython


def keep_cells() -> None:
    """Let the kernel keep every cell from now on, also for who asks it to keep none, as nbval does."""
    if shell := get_ipython():

        def keep(info):
            if not info.store_history:
                shell.user_ns["In"].append(info.raw_cell)

        shell.events.register("pre_run_cell", keep)


def unchanged(answer: tuple, given: str, namespace: dict | None = None) -> bool:
    """True where the cells that last defined these answers say what they were given to say, comments aside."""
    namespace = vars(sys.modules["__main__"]) if namespace is None else namespace
    names = [name for name, value in namespace.items() if any(value is part for part in answer)]
    defining = [cell for name in names if (cell := _defining(name, namespace.get("In", [])))]
    return bool(defining) and all(_within(cell, given) for cell in defining)


def _defining(name: str, cells: list[str]) -> str | None:
    """The cell that ran last of those that define this name at their top level."""
    definition = re.compile(rf"^(?:(?:async )?def |class ){name}\b|^{name} *=[^=]", re.MULTILINE)
    return next((cell for cell in reversed(cells) if definition.search(cell)), None)


def _within(cell: str, given: str) -> bool:
    """Are all statements of the cell among the given ones?"""
    try:
        return {ast.dump(node) for node in ast.parse(cell).body} <= {ast.dump(node) for node in ast.parse(given).body}
    except SyntaxError:  # a %magic, for example
        return False
