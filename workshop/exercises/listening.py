"""What a learner's code says while a check runs it.

with everything_said() as said:
    call(function)
str(said)           # what it logged and printed
said.records        # the log records: .levelno, .getMessage(), .exc_info
"""

import contextlib
import io
import logging
from collections.abc import Iterator


class Said(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.printed = io.StringIO()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def __str__(self) -> str:
        return "\n".join([*map(self.format, self.records), self.printed.getvalue()])


@contextlib.contextmanager
def everything_said() -> Iterator[Said]:
    """All that is logged (INFO and above) or printed meanwhile. What was printed is shown at the end."""
    said, root = Said(), logging.getLogger()
    level = root.level
    root.addHandler(said)
    root.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(said.printed):
            yield said
    finally:
        root.removeHandler(said)
        root.setLevel(level)
        print(said.printed.getvalue(), end="")
