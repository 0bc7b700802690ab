"""A headless Chromium, driven over its DevTools protocol: pages to open, and JavaScript to run in them.

with Chromium(folder) as chromium, chromium.open("http://127.0.0.1:8000/") as page:
    page.run("document.title")              # a promise is awaited, and so an event can be
"""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import aiohttp
import pytest

TIMEOUT = 30  # seconds for one answer


def path_of_chromium() -> str:
    """The path of Chromium or Chrome; where there is none, the test is skipped."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium or Chrome on this machine")


class Chromium:
    """A browser with a profile of its own in `folder`."""

    def __init__(self, folder: Path):
        switches = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        self._command = [path_of_chromium(), *switches, f"--user-data-dir={folder}", "--remote-debugging-port=0"]

    def __enter__(self) -> "Chromium":
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        line = next(line for line in self._process.stderr if "DevTools listening on" in line)
        self.port = re.search(r"127\.0\.0\.1:(\d+)", line)[1]
        return self

    def __exit__(self, *exception) -> None:
        self._process.kill()  # it takes seconds to end of its own accord, and its profile is thrown away
        self._process.wait()
        self._process.stderr.close()

    def open(self, url: str, **options) -> "Page":
        return Page(f"http://127.0.0.1:{self.port}", url, **options)


class Page:
    """A tab, loaded when the `with` block begins."""

    def __init__(self, browser: str, url: str, *, javascript: bool = True):
        self._browser = browser
        self._url = url
        self._javascript = javascript
        self._number = 0
        self._events: list[str] = []

    def __enter__(self) -> "Page":
        self._runner = asyncio.Runner()
        self._runner.run(self._connect())
        self.send("Page.enable")
        self.send("Emulation.setScriptExecutionDisabled", value=not self._javascript)
        self._events.clear()
        self.send("Page.navigate", url=self._url)
        self._runner.run(asyncio.wait_for(self._event("Page.loadEventFired"), TIMEOUT))
        return self

    def __exit__(self, *exception) -> None:
        self.send("Page.close")
        self._runner.run(self._session.close())
        self._runner.close()

    def send(self, method: str, **parameters) -> dict:
        """One command of the DevTools protocol, and its result."""
        return self._runner.run(asyncio.wait_for(self._send(method, parameters), TIMEOUT))

    def run(self, script: str):
        """The value of a JavaScript expression; of a promise, what it resolves to."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description"))
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        look = f"const look = () => ({condition}) ? done() : setTimeout(look, 20); look()"
        try:
            self.run(f"new Promise(done => {{ {look} }})")
        except TimeoutError:
            raise AssertionError(f"After {TIMEOUT} s this is still not true: {condition}") from None

    async def _connect(self) -> None:
        self._session = aiohttp.ClientSession()
        async with self._session.put(f"{self._browser}/json/new?about:blank") as answer:
            target = await answer.json()
        self._socket = await self._session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)

    async def _send(self, method: str, parameters: dict) -> dict:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._events.append(answer.get("method"))

    async def _event(self, method: str) -> None:
        while method not in self._events:
            self._events.append((await self._socket.receive_json()).get("method"))
