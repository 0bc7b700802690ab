"""The answer is not on the page before the question: what a real Jupyter server hands out, writes, and puts back."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import nbformat
import pytest
from copied_checkout import Copy
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workshop.lab.processes import free_port


class Checkout(Copy):
    """Chapters, of which git has the even ones, in a Jupyter server as `workshop lab` starts it."""

    def __init__(self, folder):
        super().__init__(folder)
        self.pretend_it_is_installed()
        answer = new_output("execute_result", {"text/plain": "3"}, execution_count=1)
        cells = [new_markdown_cell("How many?"), new_code_cell("1 + 2", execution_count=1, outputs=[answer])]
        (folder / "notebooks").mkdir()
        for number in range(1, 6):
            nbformat.write(new_notebook(cells=cells), self.chapter(number))
        self.shipped = self.chapter(1).read_bytes()
        author = ["-c", "user.name=author", "-c", "user.email=author@example.com"]
        for command in (
            ["init"],
            ["add", "notebooks/02_a.ipynb", "notebooks/04_a.ipynb"],
            [*author, "commit", "-m", "x"],
        ):
            subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        options = ["--no-browser", "--allow-root", "--ServerApp.token=", "--ServerApp.disable_check_xsrf=True"]
        options += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        options += ["--ServerApp.contents_manager_class=workshop.jupyter.contents.ChapterContents"]
        command = [sys.executable, "-m", "jupyter_server", *options]
        self.server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self._answers():
            assert self.server.poll() is None

    def chapter(self, number: int) -> Path:
        return self.folder / "notebooks" / f"{number:02}_a.ipynb"

    def _answers(self) -> bool:
        try:
            return bool(self.get("api"))
        except OSError:
            return False

    def get(self, path: str):
        with urllib.request.urlopen(f"{self.url}/{path}") as answer:
            return json.load(answer)

    def opened(self, number: int):
        """The notebook as JupyterLab opens it."""
        return self.get(f"api/contents/notebooks/{number:02}_a.ipynb?type=notebook&content=1")["content"]

    def save(self, number: int, content):
        body = json.dumps({"type": "notebook", "format": "json", "content": content}).encode()
        request = urllib.request.Request(f"{self.url}/api/contents/notebooks/{number:02}_a.ipynb", body, method="PUT")
        assert urllib.request.urlopen(request).status == 200


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    checkout = Checkout(tmp_path_factory.mktemp("learner") / "checkout")
    yield checkout
    checkout.server.terminate()
    checkout.server.wait(20)


def code(content):
    return next(cell for cell in content["cells"] if cell["cell_type"] == "code")


@pytest.mark.parametrize("number", [1, 2], ids=["without git", "with git"])
def test_an_untouched_chapter_opens_without_answers_is_exported_whole_and_is_not_written(checkout, number):
    content = checkout.opened(number)
    assert (code(content)["outputs"], code(content)["execution_count"]) == ([], None)
    path = f"notebooks/{number:02}_a.ipynb"
    assert code(checkout.get(f"files/{path}"))["execution_count"] == 1
    assert code(checkout.get(f"api/contents/{path}")["content"])["outputs"]  # as nbconvert asks

    content["metadata"]["language_info"]["version"] = "3.99"  # JupyterLab fills in metadata, and saves by itself
    code(content)["metadata"]["editable"] = True
    checkout.save(number, content)
    assert checkout.chapter(number).read_bytes() == checkout.shipped


@pytest.mark.parametrize("number", [3, 4], ids=["without git", "with git"])
def test_what_a_learner_ran_is_kept_and_reset_puts_the_chapter_back_and_keeps_theirs(checkout, number):
    content = checkout.opened(number)
    code(content).update(source="1 + 3", execution_count=7, outputs=[new_output("stream", text="mine")])
    checkout.save(number, content)
    assert code(checkout.opened(number))["outputs"][0]["text"] == "mine"  # closed and opened again

    checkout.run("clean", "--all", "--yes")  # spares what reset needs
    reset = checkout.run("reset", str(number))
    assert reset.returncode == 0, reset.stderr
    assert checkout.chapter(number).read_bytes() == checkout.shipped
    [kept] = checkout.work.joinpath("kept").glob(f"*{number:02}_a*")
    assert str(kept) in reset.stdout
    assert "1 + 3" in kept.read_text()
    assert code(checkout.opened(number))["outputs"] == []
    assert "Nothing was changed" in checkout.run("reset", str(number)).stdout


def test_a_chapter_changed_in_another_editor_is_the_learners(checkout):
    checkout.chapter(2).write_bytes(checkout.shipped.replace(b"How many?", b"How many, I think?"))
    assert code(checkout.opened(2))["outputs"]
    assert checkout.run("reset", "02").returncode == 0
    assert checkout.chapter(2).read_bytes() == checkout.shipped


def test_reset_says_which_chapters_there_are(checkout):
    said = checkout.run("reset", "13")
    assert said.returncode == 2
    assert "05" in said.stderr
