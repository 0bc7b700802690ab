"""Make pictures/chapter.webp and pictures/check.webp: a chapter, and a wrong answer that is checked, in JupyterLab.

.venv/bin/python pictures/still.py     # needs Chromium or Chrome, and works in a copy of the checkout
"""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image as Pillow

FOLDER = Path(__file__).resolve().parent
CHECKOUT = FOLDER.parent
sys.path += [str(CHECKOUT), str(CHECKOUT / "tests")]

from chromium import Chromium  # noqa: E402
from copied_checkout import Copy  # noqa: E402

WIDTH, HEIGHT = 900, 620  # pixels
LONGEST = 240  # seconds that a notebook may take

CHAPTER = "notebooks/06_connect_queue_and_lambda.ipynb"
EXERCISE = "exercises/04_expose_with_pyngrok.ipynb"
WRONG = 'ALLOWED_HOSTS = ["localhost", "127.0.0.1", "*.ngrok-free.dev"]'  # a star stands for nothing here


def copy_of_the_checkout(folder: Path) -> Copy:
    copy = Copy(folder)
    for name in ("notebooks", "exercises", "solutions", "workshop_django", "infra"):
        shutil.copytree(CHECKOUT / name, folder / name)
    shutil.copy(CHECKOUT / "lambda_function.py", folder)
    copy.pretend_it_is_installed()
    guess = "guess = None  # how many of the three are in"
    for file, begins, source in ((CHAPTER, guess, "guess = 1"), (EXERCISE, 'ALLOWED_HOSTS = ["*"]', WRONG)):
        notebook = json.loads((folder / file).read_text(encoding="utf-8"))
        cell = next(cell for cell in notebook["cells"] if "".join(cell["source"]).startswith(begins))
        cell["source"] = source
        (folder / file).write_text(json.dumps(notebook), encoding="utf-8")
    return copy


def wait_until(page, condition: str) -> None:
    """A kernel and its cells may take longer than Page.wait_for waits."""
    deadline = time.monotonic() + LONGEST
    while not page.run(condition):
        if time.monotonic() > deadline:
            raise SystemExit(f"After {LONGEST} s this is still not true: {condition}")
        time.sleep(0.5)


def take(page, heading: str, path: Path, cells: int, kernels: int) -> None:
    """Run the first `cells` cells of the notebook that is open, and photograph what is at the heading."""
    page.send("Page.bringToFront")  # JupyterLab starts no kernel for a page that nobody sees
    page.send("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)
    wait_until(page, "document.querySelectorAll('.jp-Notebook .jp-Cell').length > 5")
    idle = "all.filter(kernel => kernel.execution_state === 'idle' && kernel.connections).length"
    wait_until(page, f"fetch('/api/kernels').then(answer => answer.json()).then(all => {idle} === {kernels})")
    page.run("document.querySelector('.jp-Notebook .jp-Cell').scrollIntoView()")
    page.run("document.querySelector('.jp-WindowedPanel-viewport, .jp-Notebook').focus()")
    for _ in range(cells):
        for kind in ("rawKeyDown", "keyUp"):
            page.send(
                "Input.dispatchKeyEvent", type=kind, modifiers=8, key="Enter", code="Enter", windowsVirtualKeyCode=13
            )
    wait_until(page, "[...document.querySelectorAll('.jp-InputPrompt')].some(prompt => /\\d/.test(prompt.textContent))")
    wait_until(
        page, "![...document.querySelectorAll('.jp-InputPrompt')].some(prompt => prompt.textContent.includes('*'))"
    )
    page.run(f"[...document.querySelectorAll('h2')].find(h => h.textContent.includes({heading!r})).scrollIntoView()")
    time.sleep(1)  # JupyterLab scrolls softly
    png = base64.b64decode(page.send("Page.captureScreenshot")["data"])
    Pillow.open(io.BytesIO(png)).convert("RGB").save(path, lossless=True, quality=100, method=6)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        copy = copy_of_the_checkout(Path(name) / "workshop")
        lab = copy.start("lab", "--no-browser")
        try:
            address = next(line.strip() for line in lab.stdout if "token=" in line)
            base, token = re.fullmatch(r"(http://[^/]+).*(token=\w+)", address).groups()
            with Chromium(Path(name) / "profile") as chromium:
                with chromium.open(f"{base}/lab/tree/{CHAPTER}?{token}&reset") as page:
                    take(page, "The other way", FOLDER / "chapter.webp", cells=45, kernels=1)
                with chromium.open(f"{base}/lab/tree/{EXERCISE}?{token}&reset") as page:
                    take(page, "Question 2", FOLDER / "check.webp", cells=8, kernels=2)
        finally:
            lab.terminate()
            try:
                lab.wait(30)
            except subprocess.TimeoutExpired:
                lab.kill()


if __name__ == "__main__":
    main()
