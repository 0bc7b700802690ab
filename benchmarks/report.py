"""The command's work: measure, show the table as it grows, and keep it as JSON and as a chart.

Each benchmark runs in a process of its own: `python -m benchmarks.report NAME FILE [tiny]`.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from workshop.folders import CHECKOUT, WORK_FOLDER

from . import chart
from .comparison import Result, compare
from .machine import machine

FOLDER = WORK_FOLDER / "benchmarks"
KIT = "kit"


def measure_and_show(names: list[str], *, tiny: bool) -> int:
    """Returns the exit status: 1 if a benchmark failed, which has said why."""
    here, now = machine(), datetime.now(UTC)
    print(f"{now:%Y-%m-%d}, " + ", ".join(here.values()))
    print(f"\n  {'':<34}{'median':>10}{'spread':>9}{'speed':>8}", flush=True)
    results: list[Result] = []
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            file = Path(folder, name)
            command = [sys.executable, "-m", "benchmarks.report", name, file, *(["tiny"] if tiny else [])]
            if subprocess.run(command, cwd=CHECKOUT, env=os.environ | {"WORKSHOP_AWS": "local"}).returncode:
                failed = 1
            else:
                results += [Result(**result) for result in json.loads(file.read_text(encoding="utf-8"))]
    if results and not tiny:
        keep(results, here, now)
    return failed


def measure(name: str, file: Path, tiny: bool) -> None:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # the plain contenders close no session
    results = []
    for result in compare(name, tiny=tiny, say=print):
        print(table(result), flush=True)
        results.append(vars(result))
    file.write_text(json.dumps(results), encoding="utf-8")


def table(result: Result) -> str:
    """A line for each contender: the median, the spread, and the speed against the kit's."""
    lines = [f"{result.benchmark}: {result.case}, {result.unit}"]
    for contender in result.rounds:
        speed = f"{result.speed(contender, KIT):.2f}" if KIT in result.rounds else ""
        spread = f"±{result.spread(contender):.0%}"
        lines.append(f"    {contender:<32}{chart.shown(result.median(contender)):>10}{spread:>9}{speed:>8}")
    return "\n".join(lines)


def keep(results: list[Result], here: dict[str, str], now: datetime) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{now:%Y-%m-%d-%H%M%S}.json"
    kept = {"date": now.isoformat(timespec="seconds"), "machine": here}
    file.write_text(json.dumps(kept | {"results": [vars(result) for result in results]}, indent=1), encoding="utf-8")
    drawn = [
        chart.bars(f"{result.benchmark}, {result.case}: {result.unit}", {c: result.median(c) for c in result.rounds})
        for result in results
    ]
    chart.below_each_other(drawn).save(file.with_suffix(".png"))
    print(f"\nKept in {file}, and as a chart beside it (.png).")
    return file


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]), "tiny" in sys.argv[3:])
