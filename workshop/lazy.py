"""Names that a package exports and loads on first use: `doctor` and others run before the packages are installed.

__getattr__ = lazy.names(__name__, deploy="deployment", read_logs="logs")
"""

import importlib
from collections.abc import Callable


def names(package: str, **module_of: str) -> Callable[[str], object]:
    """A module's `__getattr__`: each name is looked up in the submodule that is named for it."""

    def load(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{module_of[name]}"), name)

    return load
