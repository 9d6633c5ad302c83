"""Whoever carries a bulk operation out may be killed at any moment: each run is resumed exactly once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.faults.checks import books_agree, histories_are_whole
from tests.faults.fleet import ROOT, Fleet, running_fleet

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
RUNS = 15
POINTS = ("bulk.before_commit", "bulk.after_commit")


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet(dispatchers=2) as fleet:
        yield fleet


def failed_runs(fleet: Fleet, batch: str) -> None:
    """Have runs fail, and the services well again."""
    services = ("payments", "banking")
    for service in services:
        fleet.sandbox.client.set_fault(service, "rate_limited", retry_after_seconds=0)
    fleet.load_until_done(batch, RUNS, seconds=60)
    fleet.wait_until(lambda: fleet.settled(batch, RUNS, "failed"), seconds=60, what="all runs have failed")
    for service in services:
        fleet.sandbox.client.set_fault(service)


def test_dispatchers_that_are_killed_resume_each_run_exactly_once(fleet: Fleet) -> None:
    failed_runs(fleet, "bulk")
    subprocess.run(
        [sys.executable, "-m", "tests.faults.repair"],
        cwd=ROOT,
        env=fleet.environment,
        check=True,
        stdout=fleet.log,
        stderr=fleet.log,
    )
    for point in POINTS * 2:
        armed = fleet.arm(point)
        fleet.wait_until(lambda armed=armed: not armed.exists(), seconds=40, what=f"somebody died at {point}")  # type: ignore[misc]
    fleet.wait_until(lambda: operation(fleet) == "done", seconds=60, what="the operation is done")
    assert sum(deaths for name, deaths in fleet.deaths.items() if name.startswith("dispatcher")) >= len(POINTS) * 2

    assert fleet.settled("bulk", RUNS)
    assert items(fleet) == [("done", "good", RUNS)]
    assert times(fleet, "SELECT count(*) FROM workflows_runevent WHERE kind = 'run.resumed' GROUP BY run_id") == [1]
    audited = "SELECT count(*) FROM core_auditentry WHERE action = 'workflows.run.resume' GROUP BY object_id"
    assert times(fleet, audited) == [1]
    books_agree(fleet, "bulk", RUNS)
    histories_are_whole(fleet)


def operation(fleet: Fleet) -> str:
    return str(fleet.ask("SELECT status FROM workflows_bulkoperation")[0][0])


def items(fleet: Fleet) -> list[tuple[object, ...]]:
    return fleet.ask("SELECT status, verdict, count(*) FROM workflows_bulkitem GROUP BY 1, 2")


def times(fleet: Fleet, sql: str) -> list[int]:
    """Return the different counts that a query gives."""
    return sorted({row[0] for row in fleet.ask(sql)})
