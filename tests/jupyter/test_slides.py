"""Each chapter as slides, made by the checkout's template, and looked at in a browser."""

import re
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup
from chromium import Chromium
from nbconvert import SlidesExporter
from traitlets.config import Config

from workshop.folders import CHECKOUT

NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
TEMPLATES = CHECKOUT / "workshop" / "jupyter" / "slides"


@pytest.fixture(scope="session")
def exporter():
    return SlidesExporter(
        config=Config(
            TemplateExporter={"extra_template_basedirs": [str(TEMPLATES)]}, SlidesExporter={"template_name": "template"}
        )
    )


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


def deck(exporter, path) -> str:
    html, _ = exporter.from_filename(str(path))
    return html


def test_the_command_makes_a_deck_that_needs_no_network(tmp_path):
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "slides", "--output-dir", tmp_path, NOTEBOOKS[0]]
    made = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    html = (tmp_path / f"{NOTEBOOKS[0].stem}.slides.html").read_text(encoding="utf-8")
    assert "Reveal.initialize" in html
    assert_it_needs_no_network(html)


def assert_it_needs_no_network(html):
    assert not re.findall(r'<(?:script|img|iframe)[^>]+src="https?://(?!127\.0\.0\.1)', html)
    assert not re.findall(r'<link[^>]+href="https?:', html)
    assert "@import url(http" not in html


# For each slide: its title, and by how many pixels it is too high and too wide.
MEASURE = """
Reveal.getSlides().map((slide) => {
  Reveal.slide(...Object.values(Reveal.getIndices(slide)));
  const parts = [slide, ...slide.querySelectorAll("pre")];
  return [slide.querySelector("h1, h2")?.textContent ?? "", slide.scrollHeight - 720,
          Math.max(...parts.map((part) => part.scrollWidth - part.clientWidth))];
})
"""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_slide_of_a_chapter_has_a_title_and_fits_and_no_answer_stands_beside_its_question(
    exporter, chromium, tmp_path, path
):
    html = deck(exporter, path)
    assert_it_needs_no_network(html)
    (tmp_path / "deck.html").write_text(html, encoding="utf-8")
    with chromium.open((tmp_path / "deck.html").as_uri()) as page:
        page.wait_for("Reveal.isReady()")
        slides = page.run(MEASURE)
    assert len(slides) > 5
    assert [slide for slide in slides if not slide[0] or slide[1] > 0 or slide[2] > 0] == []
    deck_of_slides = BeautifulSoup(html, "html.parser")
    page = CHECKOUT / "instructor" / f"{path.stem[:2]}.md"
    assert bool(deck_of_slides.select("aside.notes")) is page.exists()
    for slide in deck_of_slides.select(".slides > section > section"):
        assert len([title for title in slide.select("h1, h2") if not title.find_parent("aside")]) == 1
        for question in slide.find_all("strong", string=re.compile("^Predict")):
            answer = question.find_next(class_="jp-Cell-outputWrapper")
            if answer and slide in answer.parents:
                assert answer.find_parent(class_="fragment") is not None
                assert question.find_parent(class_="fragment") is not answer.find_parent(class_="fragment")
