"""Whatever is broken, each saved image has one effect, or its message can be seen. `workshop soak` does it for long.

A run that fails names its seed: `python3 -m workshop soak --fault NAME --seed SEED --runs 1` repeats it.
"""

import pytest

from workshop.faults.faults import FAULTS
from workshop.faults.pipeline import Pipeline
from workshop.faults.soak import run

SEEDS = {"sender-killed": [1, 2], "relay-killed": [1, 2]}  # the others: one


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """The parts, started once for all faults: what a fault kills is started again."""
    with Pipeline(tmp_path_factory.mktemp("faults")) as pipeline:
        yield pipeline


@pytest.mark.parametrize(
    ("name", "seed"), [(name, seed) for name in FAULTS if name != "database-cut" for seed in SEEDS.get(name, [1])]
)
def test_nothing_is_lost_nothing_is_doubled_and_nothing_is_sent_that_was_not_saved(pipeline, name, seed):
    fault = FAULTS[name]
    if reason := fault.missing(pipeline):
        pytest.skip(reason)
    account = run(pipeline, fault, seed)
    assert account.saved
    assert not account.wrong, f"{account.wrong}; fault {name}, seed {seed}"
