import re
import subprocess
import sys

import pytest

from workshop.folders import CHECKOUT

NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """All chapters, converted by one command, as an instructor types it."""
    folder = tmp_path_factory.mktemp("slides")
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "slides", "--output-dir", folder, *NOTEBOOKS]
    made = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_deck_needs_no_network(decks, path):
    html = (decks / f"{path.stem}.slides.html").read_text(encoding="utf-8")
    assert "Reveal.initialize" in html
    assert not re.findall(r'<(?:script|img|iframe)[^>]+src="https?://(?!127\.0\.0\.1)', html)
    assert not re.findall(r'<link[^>]+href="https?:', html)
    assert "@import url(http" not in html


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_section_of_a_chapter_begins_a_slide(decks, path):
    html = (decks / f"{path.stem}.slides.html").read_text(encoding="utf-8")
    slides = re.split(r"<section", html.partition('<div class="slides">')[2])
    crowded = [slide for slide in slides if len(re.findall(r"<h[12]\b", slide)) > 1]
    assert not crowded, re.findall(r"<h[12][^>]*>([^<]*)", crowded[0])
