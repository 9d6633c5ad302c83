"""Three steps that each leave a row behind; nothing in the table keeps a row from being there twice."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from pydantic import BaseModel

from workflows import Effect, Objective, StepContext, Workflow


class Posting(BaseModel):
    """What to post."""

    number: int


post_three = Workflow(
    "post-three",
    version=1,
    owner="posting",
    input=Posting,
    objective=Objective(success=0.99, within=timedelta(minutes=5)),
    runbook="post-three",
)


def leave(ctx: StepContext) -> int:
    """Leave a row behind, as this step of this run."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO posting (run, step) VALUES (%s, %s)", [ctx.run_id, ctx.step])
    return ctx.attempt


@post_three.step(effect=Effect.DATABASE)
def one(posting: Posting, ctx: StepContext) -> int:
    """Post the first."""
    return leave(ctx)


@post_three.step(effect=Effect.DATABASE)
def two(one: int, ctx: StepContext) -> int:
    """Post the second."""
    return leave(ctx)


@post_three.step(effect=Effect.DATABASE)
def three(two: int, ctx: StepContext) -> int:
    """Post the third."""
    return leave(ctx)
