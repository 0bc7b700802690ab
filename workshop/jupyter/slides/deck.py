"""What a chapter's cells need to be slides. nbconvert runs it before its own step: `template/conf.json` says so.

The set-up is shown, for later cells use its names; an answer does not stand beside its question; each slide has a
title; the speaker's notes come from `instructor/NN*.md`, where there is one. How high a slide is, only a browser
knows: `template/static/deck.js` splits those that are too high.
"""

import re
from collections.abc import Iterator
from copy import deepcopy

from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from workshop.folders import CHECKOUT

HEADING = re.compile(r"#{1,2} +(.+)")

PREDICTION = "**Predict"


class Deck(Preprocessor):
    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        page = CHECKOUT / "instructor" / f"{resources['metadata']['name'][:2]}.md"
        notes = page.read_text(encoding="utf-8") if page.exists() else ""
        nb.cells = [*_noted(_titled(_answers_apart(_with_set_up(nb.cells))), notes)]
        return nb, resources


def _with_set_up(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Skipped code goes onto a slide of its own after the first; not what closes the chapter at its end."""
    shown = [cell for cell in cells if _type(cell) != "skip"]
    last = cells.index(shown[-1])
    set_up = [cell for cell in cells[:last] if _type(cell) == "skip"]
    for cell in set_up:
        cell.outputs = []
        _set_type(cell, "-")
    second = next((n for n, cell in enumerate(shown) if n and _type(cell) == "slide"), len(shown))
    heading = [_markdown("## The set-up", "slide")] if set_up else []
    return [*shown[:second], *heading, *set_up, *shown[second:]]


def _answers_apart(cells: list[NotebookNode]) -> Iterator[NotebookNode]:
    """After a prediction, what a cell puts out appears by itself, and so does what is said about it."""
    asked = answered = False
    for cell in cells:
        if _type(cell) == "slide":
            asked = answered = False
        if cell.cell_type == "markdown" and PREDICTION in cell.source:
            asked = True
        elif answered:
            _set_type(cell, "fragment")
        answered = asked and bool(cell.get("outputs"))
        if answered:
            question, cell = cell, deepcopy(cell)
            question.outputs = []
            yield question
            cell.update(id=f"{cell.id}-answer", metadata={"transient": {"remove_source": True}})
            _set_type(cell, "fragment")
        yield cell


def _titled(cells: Iterator[NotebookNode]) -> Iterator[NotebookNode]:
    """A slide without a heading gets the one before it."""
    title = ""
    for cell in cells:
        heading = HEADING.match(cell.source) if cell.cell_type == "markdown" else None
        if heading:
            title = heading[1]
        elif _type(cell) == "slide":
            yield _markdown(f"## {title}", "slide")
            _set_type(cell, "-")
        yield cell


def _noted(cells: Iterator[NotebookNode], page: str) -> Iterator[NotebookNode]:
    """The speaker has the instructor's whole page on the first slide, and at each prediction what it says of it."""
    to_say = re.findall(
        r"^- (.+)", page.partition("## What to say at each prediction")[2].partition("\n## ")[0], re.MULTILINE
    )
    notes = [page] if page else []
    for cell in cells:
        yield cell
        if cell.cell_type == "markdown" and PREDICTION in cell.source and to_say:
            notes.append(to_say.pop(0))
        while notes:
            yield _markdown(notes.pop(0), "notes")


def _markdown(source: str, slide_type: str) -> NotebookNode:
    cell = new_markdown_cell(source)
    _set_type(cell, slide_type)
    return cell


def _type(cell: NotebookNode) -> str:
    return cell.metadata.get("slideshow", {}).get("slide_type", "-")


def _set_type(cell: NotebookNode, slide_type: str) -> None:
    cell.metadata["slideshow"] = NotebookNode(slide_type=slide_type)
