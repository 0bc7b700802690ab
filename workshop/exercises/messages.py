"""What a question shows: in JupyterLab with colour, a sign and words; in a terminal and in CI the same words."""

import re
from dataclasses import dataclass
from html import escape
from textwrap import TextWrapper
from typing import Literal

from IPython.display import Code, display

# 100 characters a line; an ARN or an id is copied, so it is never broken
LINES = TextWrapper(width=100, break_long_words=False, break_on_hyphens=False)

# A colour that reads on light and dark, for the edge alone; the text keeps the page's own colour.
LOOKS = {
    "right": ("✓", "right", "#1a7f37"),
    "wrong": ("✗", "not right, because", "#cf222e"),
    "not attempted": ("○", "not attempted yet", "#6e7781"),
    "not checked": ("○", "not checked", "#6e7781"),
    "hint": ("→", "hint", "#0969da"),
}


@dataclass(frozen=True)
class Outcome:
    """What became of an answer to the question `name`, and why. `key` names the mistake of a wrong one."""

    name: str
    state: Literal["not attempted", "not checked", "wrong", "right"]
    text: str
    key: str = ""

    def __repr__(self) -> str:
        sign, words, _ = LOOKS[self.state]
        return LINES.fill(f"{sign} {self.name}: {words}{self._joint()}{self._sentence()}")

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        sign, words, colour = LOOKS[self.state]
        head = f"{sign} {self.name}: {words}"
        return {"text/html": _box(colour, head, self._joint() + self._sentence()), "text/plain": repr(self)}

    def _joint(self) -> str:
        return " " if self.state == "wrong" else ". "

    def _sentence(self) -> str:
        text = self.text if self.text.endswith((".", "!", "?")) else self.text + "."
        return f"{text} For a hint: {self.name}.hint()" if self.state == "wrong" else text


@dataclass(frozen=True)
class Hint:
    """The `number`-th of `total` hints to the question `name`."""

    name: str
    number: int
    total: int
    text: str

    def __repr__(self) -> str:
        return LINES.fill(f"{self._head()}. {self.text}{self._more()}")

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {
            "text/html": _box(LOOKS["hint"][2], self._head(), f". {self.text}{self._more()}"),
            "text/plain": repr(self),
        }

    def _head(self) -> str:
        return f"{LOOKS['hint'][0]} {self.name}: hint {self.number} of {self.total}"

    def _more(self) -> str:
        more = f"{self.name}.hint()" if self.number < self.total else f"{self.name}.solution()"
        return f" For more: {more}"


def show(thing: Outcome | Hint) -> None:
    display(thing)


def show_solution(name: str, code: str) -> None:
    print(f"{name}: one way to solve it")
    display(Code(code, language="python"))


def _box(colour: str, head: str, text: str) -> str:
    return (
        f'<div role="status" style="border-left:4px solid {colour};padding:.3em .8em;margin:.2em 0">'
        f"<strong>{escape(head)}</strong>{_unbroken(escape(text))}</div>"
    )


def _unbroken(text: str) -> str:
    """A browser breaks a line at a hyphen, too."""
    return re.sub(r"\S+-\S+", r'<span style="white-space:nowrap">\g<0></span>', text)
