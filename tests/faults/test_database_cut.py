"""The same promise on PostgreSQL, whose connections are cut; a file of its own, so that it runs beside the others."""

from workshop.faults.faults import FAULTS
from workshop.faults.pipeline import Pipeline
from workshop.faults.soak import run

pytest_plugins = ["postgresql"]


def test_nothing_is_lost_and_nothing_is_doubled_when_postgresqls_connections_are_cut(postgres, tmp_path):
    with Pipeline(tmp_path / "faults", postgres) as pipeline:
        for seed in (1, 2):
            account = run(pipeline, FAULTS["database-cut"], seed)
            assert account.saved
            assert not account.wrong, account.wrong
