"""Workers die in the middle of a transaction that several steps share: each step is done exactly once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.faults.checks import histories_are_whole
from tests.faults.fleet import ROOT, Fleet, running_fleet

pytestmark = [pytest.mark.faults, pytest.mark.timeout(200)]
RUNS = 60


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet(flows="tests.faults.posting") as fleet:
        fleet.change("CREATE TABLE posting (run uuid, step text)")
        yield fleet


def load(fleet: Fleet, first: int, last: int) -> None:
    """Start these runs and wait until they are done."""
    command = [sys.executable, "-m", "tests.faults.posting.load", str(first), str(last)]
    subprocess.run(command, cwd=ROOT, env=fleet.environment, check=True, stdout=fleet.log, stderr=fleet.log)
    fleet.wait_until(lambda: done(fleet) == last, seconds=90, what="all runs")


def done(fleet: Fleet) -> int:
    return int(fleet.ask("SELECT count(*) FROM workflows_run WHERE status = 'succeeded'")[0][0])


def test_dying_between_steps_that_commit_together_does_each_exactly_once(fleet: Fleet) -> None:
    load(fleet, 0, RUNS)
    shared = "SELECT count(*) FROM (SELECT run_id FROM workflows_steprun GROUP BY run_id, xmin HAVING count(*) = 3) x"
    assert fleet.ask(shared) > [(0,)], "steps that are known to be short share a transaction"
    armed = [
        fleet.arm(point)
        for point in ("worker.inside_transaction@two", "worker.before_body@three", "worker.after_checkpoint")
    ]
    load(fleet, RUNS, 2 * RUNS)
    assert [point.name for point in armed if point.exists()] == []
    rows = fleet.ask("SELECT run::text, step, count(*) FROM posting GROUP BY 1, 2")
    assert len(rows) == 3 * 2 * RUNS
    assert {count for _, _, count in rows} == {1}
    histories_are_whole(fleet)
