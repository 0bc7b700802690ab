"""The parts of the pipeline on this machine: local AWS, Django, more receivers, the tunnel. `Lab` opens them.

The names below load on first use, for doctor looks at this room before the packages are installed.
"""

import importlib

_PUBLIC = {
    "ExtraReceiver": "extra_receiver",
    "Lab": "lab",
    "LabError": "lab",
    "LocalAws": "local_aws",
    "picture_file": "picture",
}


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
