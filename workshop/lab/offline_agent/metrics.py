"""What the agent counts, in the shape of ngrok's metrics."""

import time
from collections import deque

KEPT_SAMPLES = 10_000  # rates of more than 11 events a second for 15 minutes are understated


class Meter:
    """Counts events and how long they took (nanoseconds)."""

    def __init__(self):
        self._count = 0
        self._samples: deque[tuple[float, int]] = deque(maxlen=KEPT_SAMPLES)

    def add(self, duration: int) -> None:
        self._count += 1
        self._samples.append((time.monotonic(), duration))

    def described(self) -> dict:
        """`count`; `rate1`, `rate5`, `rate15`: events a second over as many minutes; percentiles of the durations."""
        now = time.monotonic()
        durations = sorted(duration for _, duration in self._samples) or [0]
        return {
            "count": self._count,
            **{f"rate{minutes}": self._rate(now, minutes * 60) for minutes in (1, 5, 15)},
            **{f"p{p}": durations[(len(durations) - 1) * p // 100] for p in (50, 90, 95, 99)},
        }

    def _rate(self, now: float, seconds: int) -> float:
        return sum(now - when <= seconds for when, _ in self._samples) / seconds
