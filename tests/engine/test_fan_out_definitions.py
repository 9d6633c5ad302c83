"""What can be wrong with a step that is done for each item, told at import with file, step and parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from tests.engine.flows import OBJECTIVE
from workflows import DefinitionError, Effect, Item, Sensitive, Workflow
from workflows.definition import registry
from workflows.definition.describe import describe

HERE = "engine/test_fan_out_definitions.py:"


class Parcel(BaseModel):
    """An item."""

    number: str
    pin: Annotated[str, Sensitive()] = ""


class Van(BaseModel):
    """What holds the list."""

    parcels: list[Parcel]
    driver: str = ""


def declared(declare: Callable[[Workflow[Van]], object]) -> Workflow[Van]:
    workflow = Workflow("a-van", version=1, owner="test-team", input=Van, objective=OBJECTIVE, runbook="test")
    try:
        declare(workflow)
        _ = workflow.plan
    finally:
        registry.forget(workflow)
    return workflow


def each(body: Callable[..., Any], **options: Any) -> Callable[[Workflow[Van]], object]:
    options = {"effect": Effect.PURE, "each": "van.parcels"} | options
    return lambda workflow: workflow.step(**options)(body)


def deliver(parcel: Parcel) -> str: ...  # type: ignore[empty-body]
def deliver_nothing(van: Van) -> str: ...  # type: ignore[empty-body]
def deliver_two(parcel: Parcel, other: Parcel) -> str: ...  # type: ignore[empty-body]
def deliver_wrongly(parcel: Van) -> str: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (each(deliver, each="van.boxes"), 'each="van.boxes" is no field of the input.'),
        (
            each(deliver, each="van.driver"),
            'needs a list, such as list[Invoice], but field "driver" of the input gives',
        ),
        (each(deliver, each="load"), 'each="load" is no step above this one.'),
        (each(deliver_nothing), "needs exactly one parameter for the item, such as item: Parcel."),
        (each(deliver_two), "neither the input nor a step: parcel, other."),
        (each(deliver_wrongly), "it is annotated Van, but they are Parcel."),
        (each(deliver, concurrency=0), "concurrency must be 1 or more."),
        (each(deliver, tolerate=1.5), "tolerate is a number of items such as 3, or a share of them such as 0.05."),
        (each(deliver, effect=Effect.EXTERNAL, idempotent=False), "idempotent=False is for single steps."),
        (each(deliver, lock="van"), "lock= is for single steps"),
        (each(deliver, item=Item(name="weight")), "item= names 'weight', which is no field of Parcel."),
        (each(deliver, item=Item(name="pin")), "item= shows 'pin' to everybody who may see the run"),
    ],
)
def test_a_mistake_is_told_with_its_place(declare: Callable[[Workflow[Van]], object], told: str) -> None:
    with pytest.raises(DefinitionError) as mistake:
        declared(declare)
    assert str(mistake.value).startswith(HERE)
    assert told in str(mistake.value)


def test_a_list_with_gaps_is_taken_as_such() -> None:
    def declare(workflow: Workflow[Van]) -> None:
        workflow.step(effect=Effect.PURE, each="van.parcels", tolerate=1)(deliver)

        @workflow.step(effect=Effect.PURE)
        def count(deliver: list[str]) -> int:
            return len(deliver)

    with pytest.raises(DefinitionError, match='parameter "deliver" is annotated'):
        declared(declare)


def test_a_share_is_rounded_down_and_a_number_is_a_number() -> None:
    shares = [declared(each(deliver, tolerate=tolerate)).steps["deliver"] for tolerate in (0.05, 1, 1.0, 0)]
    assert [step.options.each.tolerated(39) for step in shares if step.options.each] == [1, 1, 39, 0]


def test_the_description_says_what_it_is_done_for() -> None:
    (step,) = describe(declared(each(deliver, concurrency=20)))["steps"]
    assert step["kind"] == "each"
    assert step["each"] == {
        "over": "van.parcels",
        "item": "parcel",
        "concurrency": 20,
        "tolerate": 0,
        "sensitive": ["pin"],
    }
