"""What can be wrong with an approval, a child workflow or a schedule is told at import, with its line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from tests.engine import flows
from workflows import DefinitionError, Effect, Schedule, Sensitive, Workflow
from workflows.definition import registry

_made: list[Workflow[Any]] = []


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    while _made:
        registry.forget(_made.pop())


class Card(BaseModel):
    """An input with a secret in it, and no defaults."""

    holder: str
    number: Annotated[str, Sensitive()]


def workflow(name: str = "test-pausing", *, input: type[BaseModel] = flows.Order, **options: Any) -> Workflow[Any]:
    """Return a workflow with one step."""
    made: Workflow[Any] = Workflow(
        name, version=1, owner="test-team", input=input, objective=flows.OBJECTIVE, runbook="test", **options
    )
    _made.append(made)

    @made.step(effect=Effect.PURE)
    def first() -> flows.Note:
        return flows.Note(text="first")

    return made


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ("Pay {amuont}?", 'the question names "amuont", which is neither a field of the input nor a step. Did you'),
        ("Pay {first.txet}?", 'the question names "txet", which is no field of Note'),
        ("Pay {order.amuont}?", 'the question names "amuont", which is no field of Order'),
    ],
)
def test_a_question_that_names_what_is_not_there(question: str, problem: str) -> None:
    made = workflow()
    made.approval("approve", question=question)
    with pytest.raises(DefinitionError, match=problem) as told:
        _ = made.plan
    assert "engine/test_pausing_definitions.py:" in str(told.value)


@pytest.mark.parametrize("question", ["Pay {}?", "Pay {amount?"])
def test_a_question_that_is_no_template(question: str) -> None:
    made = workflow()
    with pytest.raises(DefinitionError, match=r"definitions\.py:\d+: test-pausing\.approve: the question cannot be"):
        made.approval("approve", question=question)


@pytest.mark.parametrize("question", ["Charge {number}?", "Charge {card.number}?"])
def test_a_question_must_not_tell_what_is_sensitive(question: str) -> None:
    made = workflow(input=Card)
    made.approval("approve", question=question)
    with pytest.raises(DefinitionError, match='shows "number" to everybody who may see the run, but it is Sensitive'):
        _ = made.plan


def test_a_reminder_comes_before_the_end() -> None:
    made = workflow()
    made.approval("approve", question="Go on?", expires=timedelta(hours=1), remind=timedelta(hours=2))
    with pytest.raises(DefinitionError, match="remind= must be shorter than expires="):
        _ = made.plan


def test_a_question_makes_the_edges() -> None:
    made = workflow()
    made.approval("approve", question="Pay {amount} for {first.text}?")
    assert made.plan.needs["approve"] == ("first", "input")


def test_a_child_takes_its_own_input() -> None:
    parent, child = workflow(), workflow("test-pausing-child")

    def note(order: flows.Order) -> flows.Note:
        return flows.Note(text=order.number)

    parent.child("settle", child, input=note)
    with pytest.raises(DefinitionError, match="input= returns Note, but test-pausing-child takes Order"):
        _ = parent.plan


def test_workflows_that_start_each_other_without_an_end_are_refused() -> None:
    parent, child = workflow(), workflow("test-pausing-child")
    parent.child("settle", child, input=lambda order: order)
    child.child("again", parent, input=lambda order: order)
    with pytest.raises(DefinitionError, match='starts runs of "test-pausing" itself, so this would never end'):
        _ = parent.plan


def test_a_later_step_takes_what_the_child_gives() -> None:
    parent, child = workflow(), workflow("test-pausing-child")
    parent.child("settle", child, input=lambda order: order)

    @parent.step(effect=Effect.PURE)
    def after(settle: flows.Order) -> None:
        return None

    with pytest.raises(DefinitionError, match='annotated Order, but step "settle" gives Note'):
        _ = parent.plan


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        (Schedule("0 25 * * *"), 'schedule "main": "0 25 .* is no cron expression'),
        (Schedule("0 2 * * *", zone="Europe/Berlim"), "no time zone that is known here"),
        (Schedule("0 0 30 2 *"), "30 2"),
        (Schedule("0 2 * * *", overlap="never"), "overlap is one of 'skip', 'queue', 'allow', not 'never'"),  # type: ignore[arg-type]
        (Schedule("0 2 * * *", name="At Night"), "name must be lower-case words"),
        ([Schedule("0 2 * * *"), Schedule("0 3 * * *")], 'two schedules are called "main"'),
    ],
)
def test_a_schedule_that_cannot_be(schedule: Schedule | list[Schedule], problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem) as told:
        workflow(schedule=schedule)
    assert "engine/test_pausing_definitions.py:" in str(told.value)


def test_a_schedule_needs_an_input_where_there_are_no_defaults() -> None:
    with pytest.raises(DefinitionError, match="input= is missing: Card has fields without a default"):
        workflow(input=Card, schedule=Schedule("0 2 * * *"))


def test_a_schedule_with_its_input_is_accepted() -> None:
    def card(due_at: datetime) -> Card:
        return Card(holder=f"{due_at:%A}", number="1")

    made = workflow(
        input=Card, schedule=[Schedule("0 2 * * *", input=card), Schedule("0 3 * * *", input=card, name="b")]
    )
    assert [schedule.name for schedule in made.schedules] == ["main", "b"]
