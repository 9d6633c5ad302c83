from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.definitions import SETTLE_INVOICE
from workflows.engine.state import StepStatus
from workflows.gantt import Span
from workflows.lanes import lanes_of
from workflows.models import Attempt, StepRun

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def lane(row: StepRun | None, *attempts: Attempt, running: float | None = None) -> list[Span]:
    steps = {"charge": row} if row else {}
    since = {} if running is None else {"charge": after(running)}
    lanes = lanes_of(SETTLE_INVOICE["steps"], steps, attempts, running=since, now=after(100))
    return next(list(lane.spans) for lane in lanes if lane.step == "charge")


def row(status: StepStatus, start: float | None = None, end: float | None = None, **fields: object) -> StepRun:
    return StepRun(
        step="charge",
        position=2,
        status=status,
        started_at=None if start is None else after(start),
        ended_at=None if end is None else after(end),
        **fields,
    )


def attempt(number: int, start: float, end: float, outcome: str = "failed", kind: str = "run") -> Attempt:
    return Attempt(
        step="charge", number=number, kind=kind, outcome=outcome, started_at=after(start), ended_at=after(end)
    )


def shape(spans: list[Span]) -> list[tuple[str, str, float, float | None]]:
    return [
        (s.kind, s.state, (s.start - START).total_seconds(), (s.end - START).total_seconds() if s.end else None)
        for s in spans
    ]


def test_every_declared_step_has_a_lane_also_if_it_was_not_reached() -> None:
    assert [lane.step for lane in lanes_of(SETTLE_INVOICE["steps"], {}, [], running={}, now=START)] == [
        step["name"] for step in SETTLE_INVOICE["steps"]
    ]
    assert lane(None) == []


def test_tries_waits_and_the_success_follow_each_other() -> None:
    spans = lane(row(StepStatus.SUCCEEDED, 30, 32), attempt(1, 0, 5, "timed_out"), attempt(2, 10, 11))
    assert shape(spans) == [
        ("run", "failed", 0, 5),
        ("wait", "waiting", 5, 10),
        ("run", "failed", 10, 11),
        ("wait", "waiting", 11, 30),
        ("run", "ok", 30, 32),
    ]
    assert spans[0].label == "Try 1: timed out after 5 s"


def test_a_waiting_step_waits_until_now() -> None:
    spans = lane(row(StepStatus.WAITING, 0, 5), attempt(1, 0, 5))
    assert shape(spans) == [("run", "failed", 0, 5), ("wait", "waiting", 5, None)]


def test_a_step_that_is_tried_again_does_not_wait_as_well() -> None:
    spans = lane(row(StepStatus.WAITING, 0, 5), attempt(1, 0, 5), running=10)
    assert shape(spans) == [
        ("run", "failed", 0, 5),
        ("wait", "waiting", 5, 10),
        ("run", "running", 10, None),
    ]


def test_an_undone_step_keeps_its_bar_and_gets_a_mark() -> None:
    spans = lane(row(StepStatus.COMPENSATED, 0, 2, undone_at=after(60)))
    assert shape(spans) == [("run", "ok", 0, 2), ("compensate", "paused", 60, 60)]
