"""An exercise: the lab that a chapter's questions need, and the questions, with the progress kept."""

import importlib
from pathlib import Path

from workshop.board.telling import tell
from workshop.lab.lab import Lab

from . import notebook
from .progress_file import Done, Progress
from .question import Question
from .unchanged import keep_cells


class Exercise:
    """Opens the exercise of `chapter`, such as "01_create_the_queue".

    The module `chapter_01` has the questions, in order, and may have LAB, a dict of arguments for the Lab.
    The progress is kept unless the notebook runs in the folder of the solutions.
    """

    def __init__(self, chapter: str, *, quiet: bool = False):
        module = importlib.import_module(f".chapter_{chapter[:2]}", __package__)
        self.chapter = chapter
        self.progress = Progress()
        self.closed = False
        self._keeps_progress = Path.cwd().resolve() != notebook.SOLUTIONS
        self._told = False
        keep_cells()
        self.lab = Lab(**getattr(module, "LAB", {}), quiet=quiet)
        self.questions = [value for value in vars(module).values() if isinstance(value, Question)]
        for question in self.questions:
            question.exercise, question.hints_shown = self, 0

    def close(self) -> None:
        """Say how far the learner is, and close the lab. Safe to call again."""
        if self._keeps_progress:
            print(self.summary())
        self.closed = True
        self.lab.close()

    def summary(self) -> str:
        done = self.progress.of(self.chapter)
        names = [question.name for question in self.questions]
        left = [name for name in names if done.get(name, Done()).state != "right"]
        right = len(self.questions) - len(left)
        still = f"; still open: {', '.join(left)}." if left else ". Well done."
        return f"Your progress: {right} of {len(self.questions)} right{still}"

    def record(self, name: str, event: str) -> None:
        """Keep what became of question `name`; where that is not possible, say so once."""
        if not self._keeps_progress:
            return
        try:
            self.progress.record(self.chapter, name, event)
        except OSError as error:
            if not self._told:
                print(f"Your progress cannot be kept: {error.strerror}: {self.progress.file}. The checks still work.")
                self._told = True
        tell(event, self.chapter, name)
        if self.progress.notice:
            print(self.progress.notice)
            self.progress.notice = ""
