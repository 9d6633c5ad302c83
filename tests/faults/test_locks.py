"""Many runs change one number, each under the same lock, while workers die: no update is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.faults.checks import histories_are_whole
from tests.faults.fleet import ROOT, Fleet, running_fleet

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
RUNS, TIMES = 500, 20


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet(flows="tests.faults.counting") as fleet:
        yield fleet


def waiting(fleet: Fleet) -> int:
    return int(fleet.ask("SELECT count(*) FROM workflows_lockticket")[0][0])


def done(fleet: Fleet) -> int:
    return int(fleet.ask("SELECT count(*) FROM workflows_run WHERE status = 'succeeded'")[0][0])


def test_ten_thousand_increments_under_one_lock_lose_none(fleet: Fleet) -> None:
    fleet.change("CREATE TABLE counter (name text PRIMARY KEY, value int, token bigint)")
    fleet.change("INSERT INTO counter VALUES ('shared', 0, 0)")
    load = [sys.executable, "-m", "tests.faults.counting.load", str(RUNS), str(TIMES)]
    subprocess.run(load, cwd=ROOT, env=fleet.environment, check=True, stdout=fleet.log, stderr=fleet.log)
    fleet.wait_until(lambda: waiting(fleet) > 0, seconds=60, what="a queue before the lock")
    armed = [fleet.arm(f"worker.{point}") for point in ("inside_transaction", "after_release", "before_body")]
    seconds = fleet.wait_until(lambda: done(fleet) == RUNS, seconds=200, what="all runs")
    print(f"{RUNS * TIMES} increments by {RUNS} runs in {seconds:.0f} s, three workers killed")  # noqa: T201
    assert [point.name for point in armed if point.exists()] == []
    assert fleet.ask("SELECT value FROM counter") == [(RUNS * TIMES,)]
    results = [row[0] for row in fleet.ask("SELECT output::int FROM workflows_steprun ORDER BY output::int")]
    assert results == [TIMES * number for number in range(1, RUNS + 1)], "each run saw what the one before it left"
    assert waiting(fleet) == 0
    histories_are_whole(fleet)
    assert fleet.ask("SELECT DISTINCT queue FROM workflows_run") == [("counting",)], "a queue of its own is served"
