"""Comparing contenders: in turn, in one run, so that what the machine does meanwhile meets them all alike.

A benchmark is a module with
    UNIT          "messages/s", more is better, or "ms", less is better
    CASES         what is measured, by its name in the table: case -> seconds that it may take
    CONTENDERS    names of modules beside it, "kit" among them; one whose packages are missing is left out
    opened(case, tiny)  a context manager; yields what `once` needs: servers, queues, messages
    once(contender, setting)  -> a function that does it once, and returns how many it did; None where the contender
                  has no answer to the case. Its attributes `before` and `after`, if it has them, are called unmeasured
"""

import importlib
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

WARM_UP = 0.2  # seconds for each contender, before the first round
TURN = 0.05  # seconds at least for a contender in a round, so that the clock is fine enough
ROUNDS = 5  # at least


class Missing(Exception):
    """A contender cannot take part. The message says what is not installed."""


@dataclass
class Result:
    """What the contenders of one case reached, round by round."""

    benchmark: str
    case: str
    unit: str
    rounds: dict[str, list[float]] = field(default_factory=dict)

    def median(self, contender: str) -> float:
        return statistics.median(self.rounds[contender])

    def spread(self, contender: str) -> float:
        """Half the distance between the quartiles, as a part of the median."""
        if len(self.rounds[contender]) == 1:
            return 0
        low, _, high = statistics.quantiles(self.rounds[contender], n=4)
        return (high - low) / 2 / self.median(contender)

    def speed(self, contender: str, against: str) -> float:
        """How many times as fast as another one, in the median round: both had the same moment."""
        pairs = zip(self.rounds[contender], self.rounds[against], strict=True)
        return statistics.median(there / here if self.unit == "ms" else here / there for here, there in pairs)


def compare(name: str, *, tiny: bool, say: Callable[[str], None]) -> list[Result]:
    """Run the benchmark `name`, or with `tiny` only its first case, to show that it runs. `say` gets a line for each
    contender that is left out.
    """
    benchmark = importlib.import_module(f"benchmarks.{name}")
    left_out: dict[str, str] = {}
    results = []
    for case, seconds in list(benchmark.CASES.items())[: 1 if tiny else None]:
        with benchmark.opened(case, tiny) as setting:
            turns = {}
            for contender in benchmark.CONTENDERS:
                if contender in left_out:
                    continue
                try:
                    once = benchmark.once(importlib.import_module(f"benchmarks.{name}.{contender}"), setting)
                except (ImportError, Missing) as error:
                    left_out[contender] = (
                        f"{error.name} is not installed" if isinstance(error, ImportError) else str(error)
                    )
                    say(f"{name}: {contender} is left out, because {left_out[contender]}.")
                    continue
                if once:
                    turns[contender] = once
            results.append(Result(name, case, benchmark.UNIT, in_turn(turns, benchmark.UNIT, 0 if tiny else seconds)))
        for contender in turns:  # imported afresh for the next case, whose servers are others
            del sys.modules[f"benchmarks.{name}.{contender}"]
    return results


def in_turn(turns: dict[str, Callable[[], int]], unit: str, seconds: float) -> dict[str, list[float]]:
    """A B A B ..., for so many seconds; 0 takes one round of one call each."""
    least, turn = (ROUNDS, TURN) if seconds else (1, 0)
    for once in turns.values() if seconds else ():
        timed(once, unit, WARM_UP)
    rounds: dict[str, list[float]] = {contender: [] for contender in turns}
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(next(iter(rounds.values()))) < least:
        for contender, once in turns.items():
            rounds[contender].append(timed(once, unit, turn))
    return rounds


def timed(once: Callable[[], int], unit: str, at_least: float) -> float:
    """Do it for so many seconds, once at least. Returns milliseconds for one, or how many in a second."""
    before, after = (getattr(once, name, lambda: None) for name in ("before", "after"))
    done, took = 0, 0.0
    while not done or took < at_least:
        before()
        started = time.perf_counter()
        done += once()
        took += time.perf_counter() - started
        after()
    return took / done * 1000 if unit == "ms" else done / took
