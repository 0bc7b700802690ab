"""One picture, from its saving in Django to its thumbnail, warm: through everything, and each part called by hand."""

from contextlib import contextmanager
from types import SimpleNamespace

UNIT = "ms"
CASES = {"one picture": 20}
CONTENDERS = ["kit", "parts"]


@contextmanager
def opened(case, tiny):
    from workshop import Lab

    with Lab(quiet=True) as lab:
        yield SimpleNamespace(lab=lab)


def once(contender, setting):
    return contender.prepared(setting)
