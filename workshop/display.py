"""What a chapter shows: the pipeline, what is in a queue, how a message travelled, and shipped code.

    pipeline("queue")                      the picture, with this chapter's part marked
    queues(sqs, queue_url, dlq_url)        a table: waiting, in flight, delayed
    compare(guess, 2)                      what was guessed, beside what happened
    timeline([(0.0, "Django", "saved"), (0.004, "SQS", "received the message")])
    time_axis([("a message", [(0, 1.2, "waiting"), (1.2, 3.2, "in flight")])])
    source(SqSManager.send)                the code as it stands in its file
    link("http://127.0.0.1:8000/")         a page to open, at the address that the reader's browser reaches
    frame("http://127.0.0.1:8000/live/")   a page inside the notebook

Each result but `compare`'s shows itself in JupyterLab and on GitHub, and has a plain text form for a terminal.
"""

import inspect
from collections.abc import Iterable, Sequence
from html import escape
from textwrap import dedent

from IPython.display import Code, IFrame

from workshop.lab import browser

from .figures import INK, Figure, time_axis

__all__ = ["Table", "compare", "frame", "link", "pipeline", "queues", "source", "time_axis", "timeline"]

PARTS = {  # name -> title, subtitle
    "sender": ("Django", "saves and sends"),
    "queue": ("Amazon SQS", "keeps the message"),
    "lambda": ("AWS Lambda", "posts it"),
    "tunnel": ("ngrok", "reaches the laptop"),
    "receiver": ("Django", "checks, processes"),
}
DEAD_LETTERS = "dead letters"
MARGIN, GAP = 16, 26  # pixels, as all sizes here
BOX_WIDTH, BOX_HEIGHT, BOX_TOP = 136, 58, 24
WIDTH = 2 * MARGIN + len(PARTS) * BOX_WIDTH + (len(PARTS) - 1) * GAP  # fits beside JupyterLab's file browser


class Table:
    """Rows under headings, as HTML and as aligned text. Cells are shown as `str` gives them."""

    def __init__(self, headings: Sequence[str], rows: Iterable[Sequence[object]], caption: str = ""):
        self.headings = list(headings)
        self.rows = [[str(cell) for cell in row] for row in rows]
        self.caption = caption

    def __repr__(self) -> str:
        table = [self.headings, *self.rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(self.headings))]
        lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in table]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(line.rstrip() for line in ([self.caption] if self.caption else []) + lines)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        head = "".join(f'<th scope="col" style="text-align:left">{escape(h)}</th>' for h in self.headings)
        body = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in row) + "</tr>"
            for row in self.rows
        )
        caption = f'<caption style="text-align:left">{escape(self.caption)}</caption>' if self.caption else ""
        html = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return {"text/html": html, "text/plain": repr(self)}


def pipeline(*marked: str) -> Figure:
    """The pipeline from left to right, with the parts named in `marked` drawn strong.

    Parts: sender, queue, lambda, tunnel, receiver, and "dead letters" (the queue below the queue).
    Raises ValueError for any other name.
    """
    if unknown := set(marked) - {*PARTS, DEAD_LETTERS}:
        raise ValueError(f"no part of the pipeline is called {', '.join(sorted(unknown))}")
    words = [f"[{title}]" if part in marked else title for part, (title, _) in PARTS.items()]
    text = " --> ".join(words) + ("   SQS --> [dead-letter queue]" if DEAD_LETTERS in marked else "")
    figure = Figure(WIDTH, 190 if DEAD_LETTERS in marked else 106, text)
    middle = BOX_TOP + BOX_HEIGHT / 2
    for position, (part, words) in enumerate(PARTS.items()):
        x = MARGIN + position * (BOX_WIDTH + GAP)
        _part(figure, *words, x, BOX_TOP, part in marked)
        if position:
            figure.arrow(x - GAP + 2, middle, x - 2, middle)
    if DEAD_LETTERS in marked:
        x = MARGIN + list(PARTS).index("queue") * (BOX_WIDTH + GAP)
        _part(figure, "Dead letters", "after too many tries", x, 114, True)
        figure.arrow(x + BOX_WIDTH / 2, BOX_TOP + BOX_HEIGHT + 2, x + BOX_WIDTH / 2, 112)
    return figure


def _part(figure: Figure, title: str, subtitle: str, x: float, y: float, marked: bool) -> None:
    fill, stroke, colour = ("#0b5cad", "#06396d", "#ffffff") if marked else ("#ffffff", "#8c959f", INK)
    figure.box(x, y, BOX_WIDTH, BOX_HEIGHT, fill=fill, stroke=stroke, line=2 if marked else 1)
    figure.text(x + BOX_WIDTH / 2, y + 26, title, size=14, colour=colour, bold=True)
    figure.text(x + BOX_WIDTH / 2, y + 45, subtitle, colour=colour)


def compare(guess, happened) -> None:
    """Say what a learner had guessed beside what happened. Whether the two agree is for the learner to say."""
    if guess is None:
        print(f"What happened: {happened}. (You made no guess.)")
    elif str(guess).strip().casefold() == str(happened).casefold():
        print(f"You guessed: {guess}. So it was.")
    else:
        print(f"You guessed: {guess}. What happened: {happened}.")


def queues(sqs, *urls: str) -> Table:
    """What each queue holds: messages waiting, in flight and delayed. `sqs` is a boto3 client.

    On real AWS these counts are approximate, and settle within a minute; locally they are exact.
    """
    counted = (
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    )
    rows = []
    for url in urls:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(counted))["Attributes"]
        rows.append([url.rsplit("/", 1)[-1], *(attributes[name] for name in counted)])
    return Table(["queue", "waiting", "in flight", "delayed"], rows)


def timeline(events: Iterable[tuple[float, str, str]]) -> Table:
    """Events as (seconds, where, what), shown with the milliseconds since the first."""
    events = sorted(events)
    start = events[0][0] if events else 0
    return Table(["ms", "where", "what"], [(f"{(at - start) * 1000:.0f}", where, what) for at, where, what in events])


def source(thing) -> Code:
    """The code of a function, class or module, read from the file that is shipped."""
    return Code(dedent(inspect.getsource(thing)).rstrip(), language="python")


class _Frame(IFrame):
    """An IFrame whose text names the page; IPython's own is a memory address, different at each run."""

    def __repr__(self) -> str:
        return f"in a frame: {self.src}"

    def _repr_html_(self) -> str:
        return f"{_anchor(self.src)}{super()._repr_html_()}"


def _anchor(href: str) -> str:
    return f'<a href="{escape(href)}" target="_blank">{escape(href)}</a>'


class Link:
    """A page of this machine, to open in another tab."""

    def __init__(self, url: str):
        self.href = browser.address(url)
        self.problem = browser.unreachable(url)

    def __repr__(self) -> str:
        return self.problem or self.href

    def _repr_html_(self) -> str:
        return escape(self.problem) or _anchor(self.href)


def link(url: str) -> Link:
    """The page at `url`, under the address where the reader's browser finds it, on a hub as on a laptop."""
    return Link(url)


def frame(url: str, height: int = 620) -> IFrame | Link:
    """A page in a frame, `height` pixels high, and a link to it. JupyterLab shows it; GitHub shows the link alone."""
    if browser.unreachable(url):
        return Link(url)
    return _Frame(browser.address(url), width="100%", height=height)
