"""A page to print: what a learner's checks called right, and that nobody else has looked. Standard library only."""

import re
from datetime import date
from html import escape

from . import notebook
from .progress_file import Progress

HEADING = re.compile(r"## Question (\d+): (.+)")

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{name}: Django, Amazon SQS and AWS Lambda</title>
<style>
  body {{ max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.45 Georgia, serif; color: #1f2328; }}
  h1 {{ margin: 0; font-size: 2.25rem; }}
  h2 {{ margin: 1.1rem 0 .1rem; font-size: 1.05rem; break-after: avoid; }}
  ul {{ margin: 0; columns: 2; }}
  li {{ break-inside: avoid; }}
  .self {{ margin-top: 1.5rem; padding: .6rem 1rem; border: 1px solid #8c959f; break-inside: avoid; }}
  @page {{ margin: 18mm; }}
  @media print {{ body {{ margin: 0 auto; font-size: 11pt; }} }}
</style>
<p>A workshop: Django, Amazon SQS and AWS Lambda</p>
<h1>{name}</h1>
<p>answered <b>{right} of {total}</b> questions of its exercises right, as of {day}:</p>
{chapters}
<p class="self"><b>Self-checked.</b> The workshop's own checks looked at these answers, on the learner's machine. Nobody
examined them, and nobody vouches for the name. {seen}</p>
</html>
"""


def certificate(name: str, progress: Progress, day: date) -> str | None:
    """The page, or None where nothing is right yet."""
    sections, right, total, seen = [], 0, 0, 0
    for chapter in notebook.chapters():
        done = progress.of(chapter)
        total += len(notebook.questions(chapter))
        solved = [
            question for question in notebook.questions(chapter) if question in done and done[question].state == "right"
        ]
        if not solved:
            continue
        right += len(solved)
        seen += sum(done[question].solution for question in solved)
        title, checked = _headings(chapter)
        items = "".join(f"<li>{escape(checked.get(question, question))}</li>" for question in solved)
        sections.append(
            f"<h2>{escape(title)}: {len(solved)} of {len(notebook.questions(chapter))}</h2><ul>{items}</ul>"
        )
    if not right:
        return None
    return PAGE.format(
        name=escape(name),
        right=right,
        total=total,
        day=f"{day.day} {day:%B %Y}",
        chapters="\n".join(sections),
        seen=f"For {seen} of them the solution was looked at, too." if seen else "No solution was looked at for them.",
    )


def _headings(chapter: str) -> tuple[str, dict[str, str]]:
    """The exercise's title, and for each question what it is about."""
    texts = ["".join(cell["source"]) for cell in notebook.read(chapter)["cells"] if cell["cell_type"] == "markdown"]
    title = texts[0].partition("\n")[0].lstrip("# ")
    return title, {f"q{found[1]}": found[2] for found in map(HEADING.match, texts) if found}
