"""A process dies at each named point, with SIGKILL; afterwards the books agree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.checks import books_agree, histories_are_whole, rollbacks_agree
from tests.faults.fleet import Fleet, running_fleet
from workflows.engine.crash_points import POINTS

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
RUNS = 15
COMPENSATING = {"worker.before_compensation", "worker.after_compensation"}
EVENTS = {point for point in POINTS if point.startswith(("router.", "consumer."))}  # tests/faults/test_events.py
SCHEDULES = {point for point in POINTS if point.endswith("_schedule")}  # tests/faults/test_schedules.py
BULK = {"bulk.before_commit", "bulk.after_commit"}  # tests/faults/test_bulk.py


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


@pytest.mark.parametrize(
    "point", sorted(POINTS - COMPENSATING - BULK - EVENTS - SCHEDULES - {"dispatcher.after_reclaim"})
)
def test_dying_at_a_point_loses_nothing_and_repeats_nothing(fleet: Fleet, point: str) -> None:
    if point.startswith("dispatcher."):
        # Something for the dispatcher to send: a worker that dies gives it a run to take back.
        fleet.arm("worker.before_body")
    armed = fleet.arm(point)
    fleet.load_until_done(point, RUNS, seconds=60)
    fleet.wait_until(lambda: fleet.settled(point, RUNS), seconds=90, what=f"all runs after {point}")
    assert not armed.exists(), "somebody died there"
    books_agree(fleet, point, RUNS)
    histories_are_whole(fleet)


@pytest.mark.parametrize(
    "point",
    [
        "worker.before_body@send_payout",
        "worker.after_intent@send_payout",
        "worker.after_body@send_payout",
        "worker.after_body@charge",
        "worker.inside_transaction@book_payout",
    ],
)
def test_dying_in_the_steps_that_move_money_pays_once(fleet: Fleet, point: str) -> None:
    armed = fleet.arm(point)
    fleet.load_until_done(point, RUNS, seconds=60)
    fleet.wait_until(lambda: fleet.settled(point, RUNS), seconds=90, what=f"all runs after {point}")
    assert not armed.exists(), "somebody died there"
    books_agree(fleet, point, RUNS)


def test_a_dispatcher_that_dies_while_it_takes_runs_back_leaves_that_to_the_next(fleet: Fleet) -> None:
    armed = [fleet.arm("worker.after_body"), fleet.arm("dispatcher.after_reclaim")]
    fleet.load_until_done("reclaim", RUNS, seconds=60)
    fleet.wait_until(lambda: fleet.settled("reclaim", RUNS), seconds=90, what="all runs")
    assert not any(point.exists() for point in armed)
    books_agree(fleet, "reclaim", RUNS)


@pytest.mark.parametrize("point", sorted(COMPENSATING))
def test_dying_in_a_rollback_undoes_each_step_once(fleet: Fleet, point: str) -> None:
    fleet.load_until_done(point, RUNS, seconds=60)
    fleet.wait_until(lambda: fleet.settled(point, RUNS), seconds=90, what="all runs")
    armed = fleet.arm(point)
    fleet.load_until_done(point, RUNS, seconds=60, rollback=True)
    fleet.wait_until(lambda: fleet.settled(point, RUNS, "rolled_back"), seconds=90, what="all rollbacks")
    assert not armed.exists(), "somebody died there"
    rollbacks_agree(fleet, point)
    histories_are_whole(fleet)
