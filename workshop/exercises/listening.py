"""What a learner's code says while a check runs it.

with everything_said() as said:
    call(function)
said.getvalue()     # what it logged and printed
"""

import contextlib
import io
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def everything_said() -> Iterator[io.StringIO]:
    """All that is logged (INFO and above) or printed meanwhile. What was printed is shown at the end."""
    said, printed = io.StringIO(), io.StringIO()
    root, capture = logging.getLogger(), logging.StreamHandler(said)
    level = root.level
    root.addHandler(capture)
    root.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(printed):
            yield said
            said.write(printed.getvalue())
    finally:
        root.removeHandler(capture)
        root.setLevel(level)
        print(printed.getvalue(), end="")
