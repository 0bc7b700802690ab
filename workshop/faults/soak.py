"""Runs of faults, each followed by the exact account; the table of many; and a long stretch without a fault.

run(pipeline, FAULTS["relay-killed"], seed=7)      # -> Account
soak(pipeline, ["relay-killed"], runs=500, seed=1)   # -> {"relay-killed": Row(...)}, and tells what is wrong
endure(pipeline, messages=3600)                      # -> {"relay": (Held before, Held after), ...}
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from math import inf
from random import Random

import psutil

from workshop.names import PROGRAM

from .faults import FAULTS, Fault
from .pipeline import Account, NotSettled, Pipeline

LAB = """
from lambda_function import lambda_handler
from workshop.functions.event_source_mapping import EventSourceMapping
from workshop.lab import Lab
from workshop.lab.picture import picture_file

with Lab(quiet=True, expose=True) as lab:
    from workshop_django.gallery.models import Image
    from workshop_django.image_sync.models import Thumbnail

    Image.objects.create(title="one", file=picture_file(1))
    EventSourceMapping(lab.queue_url, lambda_handler).run_until_empty()
    assert Thumbnail.objects.count() == 1
"""
LONGEST_LAB = 300  # seconds
AT_ONCE = 50  # messages of a long stretch that are sent before the next are: moto slows down with what waits


def run(pipeline: Pipeline, fault: Fault, seed: int, say: Callable[[str], None] = lambda text: None) -> Account:
    """Save some images, with the fault; mend it; let all settle, dead letters too; then count.

    The seed decides the fault's form, at whom and when. How the parts' threads then take turns it cannot decide.
    """
    random = Random(f"{fault.name} {seed}")  # noqa: S311  (nothing secret)
    pipeline.begin(f"{fault.name}-{seed}")
    fault.inject(pipeline, random)
    count = random.randint(4, 10)
    pipeline.save(count, random)
    say(f"{count} pictures were uploaded meanwhile.")
    pipeline.let_it_happen()
    pipeline.mend()
    say("It is mended: what was killed runs again.")
    pipeline.settle()
    if letters := pipeline.bring_back():
        say(f"Brought back from the dead-letter queue: {letters}.")
        pipeline.settle()
    return pipeline.account()


@dataclass
class Row:
    """All runs of one fault together, the images counted."""

    runs: int = 0
    saved: int = 0
    waiting: int = 0
    lost: int = 0
    doubled: int = 0
    ghosts: int = 0
    wrong: int = 0  # runs
    seconds: float = 0

    def add(self, account: Account, seconds: float) -> None:
        self.runs += 1
        self.wrong += bool(account.wrong)
        self.seconds += seconds
        for name in ("saved", "waiting", "lost", "doubled", "ghosts"):
            setattr(self, name, getattr(self, name) + len(getattr(account, name)))


def soak(
    pipeline: Pipeline,
    names: list[str],
    *,
    runs: int,
    seed: int,
    seconds: float = inf,
    say: Callable[[str], None] = print,
) -> dict[str, Row]:
    """So many runs, the faults in turn, or as many as `seconds` allow. What goes wrong is told at once, with the
    command that repeats it.
    """
    rows = {name: Row() for name in names}
    ends = time.monotonic() + seconds
    for number, name in enumerate(islice(cycle(names), runs)):
        if time.monotonic() > ends:
            break
        seed_of_run = seed + number // len(names)
        started = time.monotonic()
        try:
            account = run(pipeline, FAULTS[name], seed_of_run)
            wrong = account.wrong
        except NotSettled as error:
            account, wrong = pipeline.account(), str(error)
            rows[name].wrong += not account.wrong
        rows[name].add(account, time.monotonic() - started)
        if wrong:
            say(f"{wrong}. Again: {PROGRAM} soak --fault {name} --seed {seed_of_run} --runs 1")
    return rows


@dataclass
class Held:
    """What a part holds of the machine, all its processes together."""

    megabytes: float
    files: int  # descriptors; on Windows, handles
    connections: int


def held(processes: list[psutil.Process]) -> Held:
    return Held(
        sum(process.memory_info().rss for process in processes) / 1e6,
        sum(process.num_handles() if psutil.WINDOWS else process.num_fds() for process in processes),
        sum(len(process.net_connections()) for process in processes),
    )


def endure(pipeline: Pipeline, messages: int, seed: int) -> Iterator[tuple[int, dict[str, Held]]]:
    """Save so many images, with no fault. Yields how many have arrived, and what each part holds then."""
    random = Random(seed)  # noqa: S311  (nothing secret)
    for number in range(0, messages, AT_ONCE):
        pipeline.begin(f"calm-{seed}-{number}")
        pipeline.save(min(AT_ONCE, messages - number), random)
        pipeline.settle()
        if wrong := pipeline.account().wrong:
            raise NotSettled(f"With no fault: {wrong}")
        yield number + AT_ONCE, {part: held(pipeline.processes(part)) for part in pipeline.parts}


def crowd(labs: int, at_once: int) -> list[str]:
    """Open so many labs in processes of their own, a few at once; each sends a picture through. Returns what failed."""

    def one(number: int) -> str:
        command = [sys.executable, "-c", LAB]
        lab = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_LAB, check=False)
        return lab.stderr if lab.returncode else ""

    with ThreadPoolExecutor(at_once) as pool:
        return [error for error in pool.map(one, range(labs)) if error]
