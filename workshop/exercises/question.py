"""A question of an exercise: a check function that looks at a learner's answer, with its hints.

    @question(hints=["Look at ...", "The attribute is called ..."], why="SQS now hides a message for as long as ...")
    def q1(lab, create_queue):
        if seconds < 180:
            raise Wrong("too short", "a message can come back while the function still works on it")

    q1.check(create_queue)     # not attempted yet / not right, because ... / right

A check gets the lab and what the learner passed, and looks at effects. It returns for a right answer, and raises
Wrong else. Whatever happens inside, `check`, `hint` and `solution` raise nothing at the learner.
"""

import inspect
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from . import notebook
from .messages import Hint, Outcome, show, show_solution
from .unchanged import unchanged


class Wrong(Exception):
    """The answer is not right. The text goes on after "because": lower case, no full stop at its end.

    `key` names the mistake, for the list of answers that proves the check.
    """

    def __init__(self, key: str, text: str):
        self.key, self.text = key, text
        super().__init__(text)


@dataclass(repr=False)
class Question:
    """One question, named as its check function is: q1, q2 ... The Exercise that opens its lab sets `exercise`.

    `hints`: each call of `hint()` shows the next, stronger one. `why`: one sentence on what the right answer does
    for the learner's system.
    """

    look: Callable
    hints: Sequence[str]
    why: str
    exercise: object = None
    hints_shown: int = 0

    @property
    def name(self) -> str:
        return self.look.__name__

    def __repr__(self) -> str:
        return f"{self.name}: check an answer with {self.usage()}. If you are stuck: {self.name}.hint()"

    def usage(self) -> str:
        names = list(inspect.signature(self.look).parameters)[1:]
        return f"{self.name}.check({', '.join(names)})"

    def check(self, *answer) -> None:
        """Look at the answer and show what became of it."""
        outcome = self.examine(*answer)
        self.exercise.record(self.name, outcome.state)
        show(outcome)

    def hint(self) -> None:
        """Show a hint; called again, a stronger one."""
        self.exercise.record(self.name, "hint")
        self.hints_shown = min(self.hints_shown + 1, len(self.hints))
        show(Hint(self.name, self.hints_shown, len(self.hints), self.hints[self.hints_shown - 1]))

    def solution(self) -> None:
        """Show the code of the solution notebook."""
        self.exercise.record(self.name, "solution")
        show_solution(self.name, notebook.solution(self.exercise.chapter, self.name))

    def examine(self, *answer) -> Outcome:
        """What `check` shows, as an object."""
        if self.exercise.closed:
            again = "Run the notebook again from its first cell: that opens a new one."
            return Outcome(self.name, "not checked", f"The exercise and its lab are closed. {again}")
        try:
            inspect.signature(self.look).bind(self.exercise.lab, *answer)
        except TypeError:
            return Outcome(self.name, "not checked", f"The check needs your answer: {self.usage()}")
        try:
            if unchanged(answer, notebook.starting_point(self.exercise.chapter, self.name)):
                text = "Change the cell above, run it, then run this cell again."
                return Outcome(self.name, "not attempted", text)
            self.look(self.exercise.lab, *answer)
        except Wrong as wrong:
            return Outcome(self.name, "wrong", wrong.text, wrong.key)
        except KeyboardInterrupt:
            return Outcome(self.name, "not checked", "The check was interrupted.")
        except (BotoCoreError, ClientError) as error:
            return self._said_by_aws(error)
        except BaseException as error:  # nothing that a learner's code does may end in a traceback here
            return Outcome(self.name, "wrong", _raised(error), "unforeseen")
        return Outcome(self.name, "right", self.why)

    def _said_by_aws(self, error: BotoCoreError | ClientError) -> Outcome:
        again = "Run the notebook again from its first cell: that makes a new one."
        if "NonExistentQueue" in str(error) or "QueueDoesNotExist" in str(error):
            return Outcome(self.name, "not checked", f"The queue is not there any more. {again}")
        if type(error).__name__ in ("EndpointConnectionError", "ConnectionClosedError"):
            return Outcome(self.name, "not checked", f"The local AWS does not answer. {again}")
        return Outcome(self.name, "wrong", f"AWS answered: {str(error).rstrip('.')}", "unforeseen")


def question(*, hints: Sequence[str], why: str) -> Callable[[Callable], Question]:
    """Make a Question of a check function `(lab, *answer)`."""
    return lambda look: Question(look, hints, why)


def _raised(error: BaseException) -> str:
    """The learner's own line, if the error came from one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ipykernel" in frame.filename]
    where = f" in the line: {frames[-1].line}" if frames and frames[-1].line else ""
    return f"the check met {type(error).__name__}: {str(error).rstrip('.') or 'no message'}{where}"
