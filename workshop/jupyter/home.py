"""A learner's own folder, where many share one checkout: chapters and exercises are copied there, and kept up to date.

    export WORKSHOP_HOME=~/workshop
    waiting = prepare()    # before JupyterLab starts

What a learner has not touched follows the checkout. What they have worked in is never written to: `prepare` names it
when the checkout has a newer one, and `python3 -m workshop reset` takes that, and keeps theirs.
"""

from pathlib import Path

from workshop.folders import CHECKOUT, HOME, WORK_FOLDER

from . import shipped

COPIED = ("notebooks", "exercises", "solutions")
LINKED = ("README.md", "infra", "lambda_function.py", "workshop_django")  # what chapters link to, to be read


def prepare() -> list[Path]:
    """Bring the folder up to date; the files that stay as they are although there is a newer one.

    Nothing is to be done where there is no WORKSHOP_HOME. Raises OSError where the folder cannot be written to.
    """
    if HOME == CHECKOUT:
        return []
    WORK_FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds this person's keys
    for name in LINKED:
        if not (HOME / name).exists() and not (HOME / name).is_symlink():
            (HOME / name).symlink_to(CHECKOUT / name)
    sources = [path for folder in COPIED for path in sorted((CHECKOUT / folder).iterdir()) if path.is_file()]
    return [path for path in map(_bring, sources) if path]


def _bring(source: Path) -> Path | None:
    """Copy one file, unless the learner has worked in it: then return it if the checkout has another one now."""
    path = HOME / source.parent.name / source.name
    newest = source.read_bytes()
    before = shipped.copy_of(path)
    untouched = not path.exists() or (before.exists() and before.read_bytes() == path.read_bytes())
    if untouched:
        for file in (path, before):
            if not file.exists() or file.read_bytes() != newest:
                shipped.write(file, newest)
        return None
    return path if path.read_bytes() != newest and (not before.exists() or before.read_bytes() != newest) else None
