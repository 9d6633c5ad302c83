"""Dispatchers die between a due time and its run, workers while a child ends: each time runs once, to its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.checks import histories_are_whole
from tests.faults.fleet import Fleet, running_fleet

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
MINUTES = 15


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet(flows="tests.faults.nested") as fleet:
        fleet.change("CREATE TABLE lines (minute text, run text)")
        yield fleet


def fall_behind(fleet: Fleet) -> None:
    """Make it look as if nobody had attended to the schedule for a quarter of an hour."""
    fleet.change("DELETE FROM workflows_scheduledtime")
    fleet.change("DELETE FROM workflows_run")
    fleet.change("TRUNCATE lines")
    fleet.change(
        f"UPDATE workflows_schedule SET next_at = date_trunc('minute', now()) - interval '{MINUTES} minutes'"  # noqa: S608
    )


def settled(fleet: Fleet) -> bool:
    """Tell whether every time has its run, and every run is through."""
    (times,) = fleet.ask("SELECT count(*) FROM workflows_scheduledtime WHERE run_id IS NOT NULL")[0]
    (open_runs,) = fleet.ask("SELECT count(*) FROM workflows_run WHERE status <> 'succeeded'")[0]
    return bool(times > MINUTES and open_runs == 0)


@pytest.mark.parametrize(
    "points",
    [
        ["dispatcher.before_schedule"],
        ["dispatcher.after_schedule"],
        ["worker.before_release", "worker.after_release", "worker.inside_transaction"],
    ],
    ids=["before the start is written", "after it", "while children end"],
)
def test_each_due_time_runs_once_whoever_dies(fleet: Fleet, points: list[str]) -> None:
    armed = [fleet.arm(point) for point in points]
    fall_behind(fleet)
    fleet.wait_until(lambda: settled(fleet), seconds=120, what="a run for each minute, and its child")
    assert [point.name for point in armed if point.exists()] == []
    times, runs = fleet.ask(
        "SELECT count(DISTINCT due_at), count(DISTINCT run_id) FROM workflows_scheduledtime WHERE run_id IS NOT NULL"
    )[0]
    parents, children, pairs = fleet.ask(
        "SELECT count(*) FILTER (WHERE parent_id IS NULL), count(*) FILTER (WHERE parent_id IS NOT NULL),"
        " count(DISTINCT parent_id) FROM workflows_run"
    )[0]
    assert times == runs == parents == children == pairs
    assert fleet.ask("SELECT count(*), count(DISTINCT minute) FROM lines") == [(times, times)]
    histories_are_whole(fleet)
