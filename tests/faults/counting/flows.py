"""A step that reads a number, and writes it back with one added, again and again: nothing but its lock saves it."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from pydantic import BaseModel

from workflows import Effect, Objective, StepContext, Workflow


class Count(BaseModel):
    """What to count, and how far."""

    counter: str
    times: int


count_up = Workflow(
    "count-up",
    version=1,
    owner="counting",
    input=Count,
    objective=Objective(success=0.99, within=timedelta(minutes=5)),
    runbook="count-up",
    queue="counting",
)


@count_up.step(effect=Effect.DATABASE, lock="counter:{count.counter}")
def add(count: Count, ctx: StepContext) -> int:
    """Add one so many times, as code that knows of no others does it."""
    name = count.counter
    with connection.cursor() as cursor:
        for _ in range(count.times):
            cursor.execute("SELECT value FROM counter WHERE name = %s", [name])
            value = int(cursor.fetchone()[0]) + 1
            cursor.execute("UPDATE counter SET value = %s, token = %s WHERE name = %s", [value, ctx.lock_token, name])
    return value
