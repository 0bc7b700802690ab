"""The latest result of a slow call, for any number of readers, none of whom waits long.

counts = Latest(SqSManager.counts, seconds=1, patience=1)
outcome = counts.get()      # an Outcome; asks again if the last one is older than a second
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What the call returned, or the exception that it raised; neither while the first call goes on."""

    result: object = None
    error: Exception | None = None


class Latest:
    """Calls `call` on a thread of its own, one call at a time, and keeps what came of it for `seconds`.

    The reader who starts a call waits for it, up to `patience` seconds; all others get the previous outcome at once.
    So when the call hangs, at most one of the server's threads is waiting, and not for long.
    """

    def __init__(self, call: Callable[[], object], *, seconds: float, patience: float):
        self._call = call
        self._seconds = seconds
        self._patience = patience
        self._lock = threading.Lock()
        self.forget()

    def get(self) -> Outcome:
        with self._lock:
            if self._calling or time.monotonic() < self._fresh_until:
                return self._outcome
            self._calling = done = threading.Event()
        threading.Thread(target=self._run, args=[done], name="latest", daemon=True).start()
        done.wait(self._patience)
        return self._outcome

    def forget(self) -> None:
        """Ask anew at the next get(). What a call in progress will say is dropped."""
        with self._lock:
            self._outcome = Outcome()
            self._fresh_until = 0.0
            self._calling: threading.Event | None = None

    def _run(self, done: threading.Event) -> None:
        try:
            outcome = Outcome(result=self._call())
        except Exception as error:  # the reader decides what to make of it
            outcome = Outcome(error=error)
        with self._lock:
            if self._calling is done:
                self._outcome = outcome
                self._fresh_until = time.monotonic() + self._seconds
                self._calling = None
        done.set()
