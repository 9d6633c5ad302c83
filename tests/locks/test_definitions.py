"""A lock that cannot be is told when the module is imported."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel

from tests.engine.test_definitions import Label, Parcel, make
from workflows import DefinitionError, Effect, Sensitive

MISTAKES = [
    ("parcels:{parcl.weight}", 'names "parcl", which is neither the input nor a step that it takes. Did you mean'),
    ("parcels:{parcel.wait}", 'names "parcel.wait", but Parcel has no "wait". Did you mean "weight"?'),
    ("labels:{stick.code}", 'names "stick", which is neither the input nor a step that it takes.'),
    ("parcels:{}", 'names "", which is neither'),
    ("parcels:{parcel", "cannot be read: expected '}' before end of string."),
    (" ", "is empty."),
]


@pytest.mark.parametrize(("lock", "told"), MISTAKES)
def test_a_lock_that_names_what_the_step_does_not_take_is_told(lock: str, told: str) -> None:
    workflow = make()

    @workflow.step(effect=Effect.PURE)
    def print_label(parcel: Parcel) -> Label:
        return Label(code="x")

    @workflow.step(effect=Effect.DATABASE, lock=lock)
    def send(print_label: Label) -> None: ...

    with pytest.raises(DefinitionError) as caught:
        _ = workflow.plan
    assert "tests/locks/test_definitions.py".rpartition("tests/")[2] in str(caught.value).replace("\\", "/")
    assert f'a-mistake.send: lock="{lock}" {told}' in str(caught.value)


def test_a_lock_may_name_the_input_though_the_step_does_not_take_it() -> None:
    workflow = make()

    @workflow.step(effect=Effect.DATABASE, lock="parcels:{parcel.weight}:{print_label.code}")
    def send(print_label: Label) -> None: ...

    @workflow.step(effect=Effect.PURE)
    def print_label(parcel: Parcel) -> Label:
        return Label(code="x")

    assert [step.name for step in workflow.plan.order] == ["print_label", "send"]


class Card(BaseModel):
    """An input with something hidden."""

    number: Annotated[str, Sensitive()]
    country: str


@pytest.mark.parametrize("lock", ["cards:{card.number}", "cards:{card}"])
def test_a_lock_that_would_show_a_hidden_value_is_told(lock: str) -> None:
    workflow = make(input=Card)

    @workflow.step(effect=Effect.DATABASE, lock=lock)
    def charge(card: Card) -> None: ...

    with pytest.raises(DefinitionError, match="which is marked as sensitive"):
        _ = workflow.plan


def test_a_step_that_changes_nothing_needs_no_lock() -> None:
    workflow = make()

    @workflow.step(effect=Effect.PURE, lock="parcels")
    def look(parcel: Parcel) -> None: ...

    with pytest.raises(DefinitionError, match=r'lock="parcels" means nothing for a step that changes nothing'):
        _ = workflow.plan
