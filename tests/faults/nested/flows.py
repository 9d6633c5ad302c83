"""By the clock, every minute: a run that starts another one, which writes a line."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection
from pydantic import BaseModel

from workflows import Effect, Objective, Schedule, StepContext, Workflow


class Minute(BaseModel):
    """The minute that a run is for."""

    at: str


class Line(BaseModel):
    """What was written."""

    at: str


OBJECTIVE = Objective(success=0.99, within=timedelta(minutes=5))
write_flow = Workflow("nested-write", version=1, owner="test", input=Minute, objective=OBJECTIVE, runbook="test")


@write_flow.step(effect=Effect.DATABASE)
def write(minute: Minute, ctx: StepContext) -> Line:
    """Write the line, once."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO lines (minute, run) VALUES (%s, %s)", [minute.at, str(ctx.run_id)])
    return Line(at=minute.at)


def minute_of(due_at: datetime) -> Minute:
    return Minute(at=f"{due_at:%Y-%m-%d %H:%M}")


clock_flow = Workflow(
    "nested-clock",
    version=1,
    owner="test",
    input=Minute,
    objective=OBJECTIVE,
    runbook="test",
    schedule=Schedule("* * * * *", input=minute_of, catch_up="all", overlap="allow"),
)
clock_flow.child("written", write_flow, input=lambda minute: minute)


@clock_flow.step(effect=Effect.PURE)
def tell(written: Line) -> Line:
    """Tell what was written."""
    return written
