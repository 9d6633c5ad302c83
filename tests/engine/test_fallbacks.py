"""What takes a step's place when it has failed for good: its last good output, or a person."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from portal.core.actor import SYSTEM
from portal.core.clock import now
from tests.engine import flows
from tests.engine.drive import advance_once, drive, started, steps_of
from tests.engine.flows import FAST, OBJECTIVE, Note, Order, act
from tests.engine.test_definitions import Label, Parcel, make
from tests.personas import Personas
from workflows import AskOperator, Cached, DefinitionError, Effect, StepContext, TransientError, Workflow
from workflows.models import KeptOutput, Run, StepRun
from workflows.services import resume_run, skip_step

pytestmark = pytest.mark.django_db

rate_flow = Workflow("test-rates", version=1, owner="a-team", input=Order, objective=OBJECTIVE, runbook="test")
AGE = timedelta(minutes=15)


@rate_flow.step(effect=Effect.EXTERNAL, retry=FAST, fallback=Cached(AGE, key="{order.gift}"))
def look_up(order: Order, ctx: StepContext) -> Note:
    """Look something up."""
    return act("look_up", ctx, Note(text=f"rate for {order.number}"))


@rate_flow.step(effect=Effect.EXTERNAL, retry=FAST, fallback=Cached(AGE))
def look_twice(order: Order, look_up: Note, ctx: StepContext) -> Note:
    """Look something else up."""
    return act("look_twice", ctx, Note(text=f"after {look_up.text}"))


asking_flow = Workflow("test-asking", version=1, owner="a-team", input=Order, objective=OBJECTIVE, runbook="test")


@asking_flow.step(effect=Effect.EXTERNAL, retry=FAST, fallback=AskOperator("What is today's rate?"))
def find_rate(order: Order, ctx: StepContext) -> Note:
    """Find something that a person could find too."""
    return act("find_rate", ctx, Note(text="found"))


@asking_flow.step(effect=Effect.PURE)
def use_rate(find_rate: Note, ctx: StepContext) -> Note:
    """Use it."""
    return Note(text=f"used {find_rate.text}")


def be_busy(ctx: StepContext) -> Note:
    raise TransientError("The bank is busy")


def output_of(run: Run, step: str) -> Any:
    return StepRun.objects.get(run=run, step=step).output


def test_the_last_good_output_takes_the_place_of_a_failed_step(personas: Personas) -> None:
    drive(started(rate_flow, number="A-1"))
    KeptOutput.objects.filter(step="look_up").update(at=now() - timedelta(minutes=14))
    flows.behaviour["look_up"] = be_busy
    run = drive(started(rate_flow, number="A-2"))
    assert run.status == "degraded"
    assert steps_of(run) == {"look_up": "fell_back", "look_twice": "succeeded"}
    assert output_of(run, "look_up") == {"text": "rate for A-1"}
    page = personas.client("viewer").get(f"/runs/{run.pk}/").content.decode()
    assert re.search(r"Look up used the value of 14 m( \d s)? ago: The bank is busy\.", page)


def test_what_the_output_depends_on_must_be_the_same() -> None:
    drive(started(rate_flow, number="A-1"))
    flows.behaviour["look_up"] = be_busy
    assert drive(started(rate_flow, number="A-2", gift=True)).status == "failed"
    del flows.behaviour["look_up"]
    flows.behaviour["look_twice"] = be_busy
    assert drive(started(rate_flow, number="A-3")).status == "failed", "without a key it is all that the step takes"
    assert drive(started(rate_flow, number="A-1")).status == "degraded"


def test_one_that_is_too_old_is_not_used_and_goes() -> None:
    drive(started(rate_flow, number="A-1"))
    KeptOutput.objects.update(at=now() - timedelta(minutes=16))
    flows.behaviour["look_up"] = be_busy
    assert drive(started(rate_flow, number="A-2")).status == "failed"
    del flows.behaviour["look_up"]
    drive(started(rate_flow, number="A-3", gift=True))
    assert KeptOutput.objects.filter(step="look_up").count() == 1


def test_a_person_is_asked_and_answers_with_the_output(personas: Personas) -> None:
    flows.behaviour["find_rate"] = be_busy
    run = started(asking_flow)
    while (run := advance_once(run)).waiting_reason == "retry":
        Run.objects.filter(pk=run.pk).update(status="queued", waiting_reason="", wake_at=None)
    assert (run.status, run.waiting_reason, run.wake_at) == ("waiting", "approval", None)
    page = personas.client("operator").get(f"/runs/{run.pk}/").content.decode()
    assert "What is today&#x27;s rate?" in page
    assert "Find rate failed: The bank is busy." in page
    assert "Skip the step with what it should have given" in page
    skip_step(
        actor=SYSTEM, run_id=run.pk, step="find_rate", reason="From the bank's own page", output={"text": "1.08"}
    )
    run = drive(run)
    assert (run.status, output_of(run, "use_rate")) == ("succeeded", {"text": "used 1.08"})


def test_a_person_who_is_asked_may_have_it_tried_again() -> None:
    flows.behaviour["find_rate"] = be_busy
    run = started(asking_flow)
    while (run := advance_once(run)).waiting_reason == "retry":
        Run.objects.filter(pk=run.pk).update(status="queued", waiting_reason="", wake_at=None)
    del flows.behaviour["find_rate"]
    resume_run(actor=SYSTEM, run_id=run.pk, reason="The bank answers again")
    assert drive(run).status == "succeeded"


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"effect": Effect.DATABASE}, "an earlier output cannot stand for something that was to be done"),
    ({"effect": Effect.EXTERNAL, "idempotent": False}, "an earlier output cannot stand for something that was to be"),
    (
        {"effect": Effect.EXTERNAL, "fallback": Cached(AGE, key="{parcl.weight}")},
        'Cached(key="{parcl.weight}") names',
    ),
]


@pytest.mark.parametrize(("options", "told"), MISTAKES)
def test_a_cached_value_that_cannot_be_is_told(options: dict[str, Any], told: str) -> None:
    workflow = make()

    @workflow.step(**{"fallback": Cached(AGE)} | options)
    def print_label(parcel: Parcel) -> Label:
        return Label(code="x")

    with pytest.raises(DefinitionError) as caught:
        _ = workflow.plan
    assert told in str(caught.value)


def test_a_step_without_an_output_has_none_to_keep() -> None:
    workflow = make()

    @workflow.step(effect=Effect.EXTERNAL, fallback=Cached(AGE))
    def send(parcel: Parcel) -> None: ...

    with pytest.raises(DefinitionError, match="it returns nothing, so there is nothing to keep"):
        _ = workflow.plan
