"""How far a learner has come, kept in a small file: `.workshop/progress.json`.

    progress = Progress()
    progress.record("01_create_the_queue", "q1", "right")
    progress.of("01_create_the_queue")      # {"q1": Done("right", checks=1, hints=0, solution=False)}
    progress.reset()

Standard library only: `python3 -m workshop progress` works before the packages are installed.
"""

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from workshop.folders import WORK_FOLDER
from workshop.setup.installation import lock

VERSION = 1
FILE = WORK_FOLDER / "progress.json"


@dataclass
class Done:
    """What was done about one question. `state` is "right" once it was right, else "wrong" or "not attempted"."""

    state: str = "not attempted"
    checks: int = 0  # checks of an answer, right or wrong
    hints: int = 0  # calls of hint()
    solution: bool = False  # was it looked at?


class Progress:
    """The file at `file`. `notice` says what became of a file that could not be read, or is empty."""

    def __init__(self, file: Path | None = None):
        self.file = file or Path(os.environ.get("WORKSHOP_PROGRESS_FILE") or FILE)
        self.notice = ""

    def of(self, chapter: str) -> dict[str, Done]:
        """Question -> what was done about it; questions that were never touched are missing."""
        return self._read().get(chapter, {})

    def record(self, chapter: str, name: str, event: str) -> None:
        """Note an event: "right", "wrong", "hint" or "solution". What was not attempted leaves no trace."""
        if event not in ("right", "wrong", "hint", "solution"):
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with lock(self.file.with_suffix(".lock")):  # two notebooks may be open
            everything = self._read()
            done = everything.setdefault(chapter, {}).setdefault(name, Done())
            if event == "hint":
                done.hints += 1
            elif event == "solution":
                done.solution = True
            else:
                done.checks += 1
                done.state = "right" if "right" in (event, done.state) else "wrong"
            self._write(everything)

    def reset(self, chapter: str | None = None) -> None:
        """Forget one chapter, or all."""
        if not self.file.exists():
            return
        with lock(self.file.with_suffix(".lock")):
            everything = self._read() if chapter else {}
            everything.pop(chapter, None)
            self._write(everything)

    def _read(self) -> dict[str, dict[str, Done]]:
        try:
            stored = json.loads(self.file.read_text(encoding="utf-8"))
            if stored["version"] != VERSION:
                return self._set_aside(f"was written by another version of the workshop ({stored['version']!r})")
            return {
                chapter: {name: Done(**done) for name, done in questions.items()}
                for chapter, questions in stored["chapters"].items()
            }
        except FileNotFoundError:
            return {}
        except OSError as error:
            self.notice = f"Your progress cannot be read: {error.strerror}: {self.file}."
            return {}
        except (ValueError, KeyError, TypeError, AttributeError):
            return self._set_aside("is damaged")

    def _set_aside(self, why: str) -> dict:
        aside = self.file.with_name(f"{self.file.stem}.{time.strftime('%Y%m%d-%H%M%S')}.json")
        self.file.replace(aside)
        self.notice = f"Your progress file {why}. It was set aside as {aside}; a new one begins."
        return {}

    def _write(self, everything: dict[str, dict[str, Done]]) -> None:
        stored = {
            "version": VERSION,
            "chapters": {
                chapter: {name: asdict(done) for name, done in questions.items()}
                for chapter, questions in everything.items()
            },
        }
        with tempfile.NamedTemporaryFile(
            "w", dir=self.file.parent, suffix=".part", delete=False, encoding="utf-8"
        ) as part:
            json.dump(stored, part, indent=1)
        Path(part.name).replace(self.file)
