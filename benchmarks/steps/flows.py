"""Ten trivial steps each, of which the first and the last say that they ran; and one step for each of many items."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from pydantic import BaseModel

from benchmarks.signals import tell
from workflows import Effect, Objective, StepContext, Workflow

P, D, E = Effect.PURE, Effect.DATABASE, Effect.EXTERNAL


class Order(BaseModel):
    """An input as small as they come."""

    number: int


def declare(name: str) -> Workflow[Order]:
    """Declare a workflow without steps."""
    return Workflow(
        name,
        version=1,
        owner="benchmarks",
        tier=3,
        input=Order,
        title=name,
        description="Does nothing of use.",
        objective=Objective(success=0.99, within=timedelta(minutes=10)),
        runbook="none",
    )


def ten_steps(name: str, effects: Sequence[Effect]) -> Workflow[Order]:
    """Declare a chain of trivial steps with these effects."""
    workflow = declare(name)
    before = None
    for number, effect in enumerate(effects, 1):
        word = "first" if number == 1 else "last" if number == len(effects) else ""
        before = workflow.step(effect=effect, after=[before] if before else [])(_step(number, word))
    return workflow


def _step(number: int, word: str):  # type: ignore[no-untyped-def] # the workflow reads its annotations
    def step(order: Order, ctx: StepContext) -> int:
        if word:
            tell(f"{word} {ctx.run_id}")
        return order.number + number

    step.__name__ = f"step_{number}"
    return step


all_external = ten_steps("ten-external", [E] * 10)
all_database = ten_steps("ten-database", [D] * 10)
mixed = ten_steps("ten-mixed", [P, D, P, D, E, P, D, P, D, E])

slow = declare("slow-steps")


@slow.step(effect=E)
def sleep(order: Order, ctx: StepContext) -> int:
    """Be in the middle of something for a moment."""
    tell(f"slow {ctx.run_id}")
    time.sleep(4)
    return order.number


@slow.step(effect=E)
def wake(sleep: int, ctx: StepContext) -> int:
    """Say that the run got here."""
    tell(f"last {ctx.run_id}")
    return sleep


class Lot(BaseModel):
    """How many items there are."""

    items: int


def fan_out(name: str, effect: Effect) -> Workflow[Lot]:
    """Declare a workflow that does nothing with each of many items."""
    workflow = Workflow(
        name,
        version=1,
        owner="benchmarks",
        input=Lot,
        objective=Objective(success=0.99, within=timedelta(minutes=10)),
        runbook="none",
    )

    @workflow.step(effect=Effect.PURE)
    def count_up(lot: Lot) -> list[int]:
        return list(range(lot.items))

    @workflow.step(effect=effect, each="count_up", concurrency=32)
    def touch(item: int) -> int:
        return item

    return workflow


each_pure, each_database, each_external = (fan_out(f"each-{effect.value}", effect) for effect in (P, D, E))
