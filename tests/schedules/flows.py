"""Workflows that start by the clock, for tests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from tests.engine import flows
from workflows import Effect, Schedule, Workflow


class Day(BaseModel):
    """The day that is closed."""

    day: str = ""


broken = False


def day_of(due_at: datetime) -> Day:
    if broken:
        raise ValueError("there is no such day")
    return Day(day=f"{due_at:%Y-%m-%d %H:%M}")


def scheduled(name: str, *schedules: Schedule, **options: Any) -> Workflow[Day]:
    """Return a workflow that only notes its day."""
    workflow = Workflow(
        name,
        version=1,
        owner="test-team",
        input=Day,
        objective=flows.OBJECTIVE,
        runbook="test",
        schedule=schedules,
        **options,
    )

    @workflow.step(effect=Effect.PURE)
    def close(day: Day) -> Day:
        return day

    return workflow


nightly = scheduled("test-nightly", Schedule("0 2 * * *", zone="Europe/Berlin", input=day_of))
queueing = scheduled("test-hourly-queue", Schedule("0 * * * *", input=day_of, overlap="queue", catch_up="all"))
skipping = scheduled("test-hourly-skip", Schedule("0 * * * *", input=day_of, catch_up="skip"))
allowing = scheduled(
    "test-hourly-allow", Schedule("0 * * * *", input=day_of, overlap="allow", catch_up="all", catch_up_at_most=3)
)
