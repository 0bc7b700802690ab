"""The workshop kit: what makes the pipeline run on a laptop, and what teaches.

This file needs nothing but the standard library, and no new syntax, because `python3 -m workshop` reads it
before the packages are installed, and even on a Python that is too old. The names below load on first use.
"""

OLDEST = (3, 11)  # the oldest Python that will do

_PUBLIC = {
    "EventSourceMapping": "functions.event_source_mapping",
    "Lab": "lab.lab",
    "invoke": "functions.invocation",
}


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError("module 'workshop' has no attribute '%s'" % name)  # noqa: UP031
    import importlib

    return getattr(importlib.import_module("." + _PUBLIC[name], __name__), name)


def __dir__():
    return sorted(list(globals()) + list(_PUBLIC))
