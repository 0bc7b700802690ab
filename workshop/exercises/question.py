"""A question of an exercise: it looks at a learner's answer and says in words what became of it.

    @question(hints=["Look at ...", "The attribute is called ..."], why="In production ...")
    def visibility_timeout(lab, queue_url):
        if seconds < 180:
            raise Wrong("a message can come back while the function still works on it")

    visibility_timeout.check(queue_url)     # not attempted yet / not right, because ... / right

A check gets the lab and what the learner passed, and looks at effects. It returns for a right answer, and raises
Wrong or NotAttempted else. Whatever happens inside, `check`, `hint` and `solution` raise nothing at the learner.
"""

import inspect
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from . import notebook
from .messages import Hint, Outcome, show, show_solution
from .unchanged import unchanged


class Wrong(Exception):
    """The answer is not right. The text goes on after "because": lower case, no full stop at its end."""


class NotAttempted(Exception):
    """Nothing was tried yet. The text, if any, says where to begin."""


@dataclass
class Question:
    """One question. `number` counts from 1; `chapter` names the notebook; both are set by the Exercise.

    `hints`: each call of `hint()` shows the next, stronger one. `why`: one sentence on why the right answer matters
    in production.
    """

    look: Callable
    hints: Sequence[str]
    why: str
    number: int = 0
    chapter: str = ""
    lab: object = None
    record: Callable[[str], None] = lambda event: None
    hints_shown: int = 0

    @property
    def name(self) -> str:
        return f"q{self.number}"

    def check(self, *answer) -> None:
        """Look at the answer and show what became of it."""
        outcome = self.examine(*answer)
        self.record(outcome.state)
        show(outcome)

    def hint(self) -> None:
        """Show a hint; called again, a stronger one."""
        self.record("hint")
        self.hints_shown = min(self.hints_shown + 1, len(self.hints))
        show(Hint(self.name, self.hints_shown, len(self.hints), self.hints[self.hints_shown - 1]))

    def solution(self) -> None:
        """Show the code of the solution notebook."""
        self.record("solution")
        show_solution(self.name, notebook.solution(self.chapter, self.name))

    def examine(self, *answer) -> Outcome:
        """What `check` shows, as an object. Never raises, except for KeyboardInterrupt outside of the check."""
        try:
            inspect.signature(self.look).bind(self.lab, *answer)
        except TypeError:
            return self._wrong(f"the call is not complete: write {self.usage()}")
        try:
            if answer and all(unchanged(part, notebook.starting_point(self.chapter, self.name)) for part in answer):
                raise NotAttempted
            self.look(self.lab, *answer)
        except NotAttempted as nothing:
            text = str(nothing) or "Change the cell above, run it, then run this cell again."
            return self._outcome("not attempted", text)
        except Wrong as wrong:
            return self._wrong(str(wrong))
        except KeyboardInterrupt:
            return self._wrong("the check was interrupted")
        except (BotoCoreError, ClientError) as error:
            return self._wrong(_said_by_aws(error))
        except BaseException as error:  # nothing that a learner's code does may end in a traceback here
            return self._wrong(_raised(error))
        return self._outcome("right", self.why)

    def usage(self) -> str:
        names = list(inspect.signature(self.look).parameters)[1:]
        return f"{self.name}.check({', '.join(names)})"

    def _wrong(self, because: str) -> Outcome:
        return self._outcome("wrong", because)

    def _outcome(self, state: Literal["not attempted", "wrong", "right"], text: str) -> Outcome:
        return Outcome(self.name, state, text)


def question(*, hints: Sequence[str], why: str) -> Callable[[Callable], Question]:
    """Make a Question of a check function `(lab, *answer)`."""
    return lambda look: Question(look, hints, why)


def _said_by_aws(error: BotoCoreError | ClientError) -> str:
    if "NonExistentQueue" in str(error) or "QueueDoesNotExist" in str(error):
        return "the queue is not there any more. Run the notebook again from the top: it makes a new one"
    if type(error).__name__ in ("EndpointConnectionError", "ConnectionClosedError"):
        return "the local AWS does not answer. Run the notebook again from the top: it starts a new one"
    return f"AWS answered: {str(error).rstrip('.')}"


def _raised(error: BaseException) -> str:
    """The learner's own line, if the error came from one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ipykernel" in frame.filename]
    where = f" in the line: {frames[-1].line}" if frames and frames[-1].line else ""
    return f"the check met {type(error).__name__}: {str(error).rstrip('.') or 'no message'}{where}"
