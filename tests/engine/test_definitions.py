"""An author's mistake is told when the module is imported, with file, step and parameter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from workflows import DefinitionError, Effect, Objective, Retry, Workflow
from workflows.definition import registry
from workflows.definition.describe import describe, digest

OBJECTIVE = Objective(success=0.99, within=timedelta(minutes=1))
HERE = f"engine/{Path(__file__).name}:"


class Parcel(BaseModel):
    """An input."""

    weight: int


class Label(BaseModel):
    """An output."""

    code: str


def make(**changes: Any) -> Workflow[Parcel]:
    declaration: dict[str, Any] = {
        "version": 1,
        "owner": "a-team",
        "input": Parcel,
        "objective": OBJECTIVE,
        "runbook": "a-runbook",
    } | changes
    workflow = Workflow("a-mistake", **declaration)
    registry.forget(workflow)
    return workflow


def mistake(declare: Callable[[Workflow[Parcel]], object]) -> str:
    workflow = make()
    with pytest.raises(DefinitionError) as caught:
        _ = (declare(workflow), workflow.plan)
    return str(caught.value)


def test_an_unknown_parameter_is_named_with_the_nearest_known_one() -> None:
    def declare(workflow: Workflow[Parcel]) -> None:
        @workflow.step(effect=Effect.PURE)
        def print_label(parcel: Parcel) -> Label:
            return Label(code="x")

        @workflow.step(effect=Effect.PURE)
        def stick(print_lable: Label) -> None: ...

    told = mistake(declare)
    assert told.startswith(HERE)
    assert 'a-mistake.stick: parameter "print_lable" is neither the input ("parcel") nor a step.' in told
    assert told.endswith('Did you mean "print_label"?')


def test_an_annotation_that_does_not_match_the_step_is_told() -> None:
    def declare(workflow: Workflow[Parcel]) -> None:
        @workflow.step(effect=Effect.PURE)
        def print_label(parcel: Parcel) -> Label:
            return Label(code="x")

        @workflow.step(effect=Effect.PURE)
        def stick(print_label: Parcel) -> None: ...

    told = mistake(declare)
    assert told.startswith(HERE)
    assert 'stick: parameter "print_label" is annotated Parcel, but step "print_label" gives Label.' in told


def test_the_output_of_a_step_that_may_be_missing_must_accept_none() -> None:
    def declare(workflow: Workflow[Parcel]) -> None:
        @workflow.step(effect=Effect.PURE, optional=True)
        def print_label(parcel: Parcel) -> Label:
            return Label(code="x")

        @workflow.step(effect=Effect.PURE)
        def stick(print_label: Label) -> None: ...

    assert "is optional, so there may be no output; annotate it Label | None." in mistake(declare)


def test_steps_that_wait_on_each_other_are_told_as_a_ring() -> None:
    def declare(workflow: Workflow[Parcel]) -> None:
        @workflow.step(effect=Effect.PURE)
        def hen(egg: Label) -> Label:
            return egg

        @workflow.step(effect=Effect.PURE)
        def egg(hen: Label) -> Label:
            return hen

    assert "steps wait on each other in a ring: hen -> egg -> hen." in mistake(declare)


def test_a_second_step_of_the_same_name_is_told_with_the_place_of_the_first() -> None:
    def declare(workflow: Workflow[Parcel]) -> None:
        @workflow.step(effect=Effect.PURE)
        def pack(parcel: Parcel) -> None: ...

        @workflow.step(effect=Effect.PURE)  # type: ignore[no-redef]
        def pack(parcel: Parcel) -> None: ...  # noqa: F811

    told = mistake(declare)
    assert f"a-mistake.pack: there is a step of this name already, at {HERE}" in told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"objective": None}, "objective is missing. Say what is promised"),
        ({"runbook": ""}, "runbook is missing. Name the runbook"),
        ({"owner": ""}, "owner is missing"),
        ({"version": 0}, "version must be 1 or more"),
        ({"input": dict}, "input must be a Pydantic model class"),
    ],
)
def test_what_every_workflow_needs_is_asked_for(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        make(**changes)
    assert str(caught.value).startswith(HERE)
    assert told in str(caught.value)


def test_a_second_workflow_of_the_same_name_and_version_is_told() -> None:
    first = Workflow("twice", version=1, owner="a", input=Parcel, objective=OBJECTIVE, runbook="r")
    try:
        with pytest.raises(DefinitionError, match="declared already"):
            Workflow("twice", version=1, owner="a", input=Parcel, objective=OBJECTIVE, runbook="r")
    finally:
        registry.forget(first)


def test_steps_run_in_the_order_of_their_edges_and_else_as_written() -> None:
    workflow = make()

    @workflow.step(effect=Effect.PURE)
    def last(first: Label) -> None: ...

    @workflow.step(effect=Effect.PURE)
    def first(parcel: Parcel) -> Label:
        return Label(code="x")

    @workflow.step(effect=Effect.PURE)
    def beside(parcel: Parcel) -> None: ...

    assert [step.name for step in workflow.plan.order] == ["first", "last", "beside"]


def test_a_description_says_what_a_map_needs_and_changes_with_the_code() -> None:
    def declared(attempts: int) -> dict[str, Any]:
        workflow = make()

        @workflow.step(effect=Effect.EXTERNAL, idempotent=False, retry=Retry(attempts=attempts))
        def send(parcel: Parcel) -> None: ...

        return describe(workflow)

    (step,) = declared(3)["steps"]
    assert (step["effect"], step["idempotent"], step["needs"]) == ("external", False, ["input"])
    assert digest(declared(3)) == digest(declared(3))
    assert digest(declared(3)) != digest(declared(4))


def test_a_step_is_still_a_plain_function_for_a_unit_test() -> None:
    workflow = make()

    @workflow.step(effect=Effect.PURE)
    def double(parcel: Parcel) -> int:
        return parcel.weight * 2

    assert double(Parcel(weight=4)) == 8
