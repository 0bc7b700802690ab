"""An exercise: the lab that a chapter's questions need, and the questions, with the progress kept."""

import importlib
from functools import partial
from pathlib import Path

from workshop.lab.lab import Lab

from . import notebook
from .progress_file import Progress
from .question import Question


class Exercise:
    """Opens the exercise of `chapter`, such as "01_create_the_queue".

    The module `chapter_01` has the questions, in order, and may have LAB, a dict of arguments for the Lab.
    The progress is kept unless the notebook runs in the folder of the solutions.
    """

    def __init__(self, chapter: str, *, quiet: bool = False):
        module = importlib.import_module(f".chapter_{chapter[:2]}", __package__)
        self.chapter = chapter
        self.progress = Progress()
        self._keeps_progress = Path.cwd().resolve() != notebook.SOLUTIONS
        self._told = False
        self.lab = Lab(**getattr(module, "LAB", {}), quiet=quiet)
        self.questions = [value for value in vars(module).values() if isinstance(value, Question)]
        for number, question in enumerate(self.questions, start=1):
            question.number, question.chapter, question.lab, question.hints_shown = number, chapter, self.lab, 0
            question.record = partial(self._record, question.name)

    def close(self) -> None:
        """Say how far the learner is, and close the lab. Safe to call again."""
        if self._keeps_progress:
            print(self.summary())
        self.lab.close()

    def summary(self) -> str:
        done = self.progress.of(self.chapter)
        states = {
            question.name: done[question.name].state if question.name in done else "" for question in self.questions
        }
        right = sum(state == "right" for state in states.values())
        left = ", ".join(name for name, state in states.items() if state != "right")
        return f"Your progress: {right} of {len(states)} right" + (f"; still open: {left}." if left else ". Well done.")

    def _record(self, name: str, event: str) -> None:
        if not self._keeps_progress:
            return
        try:
            self.progress.record(self.chapter, name, event)
        except OSError as error:
            if not self._told:
                print(f"Your progress cannot be kept: {error.strerror}: {self.progress.file}. The checks still work.")
                self._told = True
        if self.progress.notice:
            print(self.progress.notice)
            self.progress.notice = ""
