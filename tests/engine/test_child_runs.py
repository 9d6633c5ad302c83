"""A step that starts a run of another workflow, waits for it, and is undone with it."""

from __future__ import annotations

from typing import Any

import pytest

from portal.core.actor import person
from portal.core.errors import InvalidTransition, NotFound
from tests.engine import flows
from tests.engine.drive import advance_once, die_in, drive, started, steps_of, wake
from tests.personas import Personas, grant_on_team, make_user
from workflows import BusinessRuleViolation, Effect, StepContext, Workflow, models
from workflows.engine import store
from workflows.models import Run, RunEvent
from workflows.services import (
    cancel_run,
    preview_rollback,
    resume_run,
    retry_from_step,
    roll_back_run,
    skip_step,
)

pytestmark = pytest.mark.django_db
WHY = "The shop is open again."


def flow(name: str) -> Workflow[flows.Order]:
    return Workflow(name, version=1, owner="test-team", input=flows.Order, objective=flows.OBJECTIVE, runbook="test")


small_flow = flow("test-child")


@small_flow.step(effect=Effect.DATABASE, retry=flows.FAST)
def settle(order: flows.Order, ctx: StepContext) -> flows.Note:
    """Settle it."""
    return flows.act("settle", ctx, flows.Note(text=f"settled {order.number}"))


@settle.compensate
def unsettle(settle: flows.Note, ctx: StepContext) -> None:
    """Take it back."""
    flows.act("unsettle", ctx, None)


def parent_flow(name: str, **options: Any) -> Workflow[flows.Order]:
    """A workflow that books, and lets another one settle."""
    workflow = flow(name)

    @workflow.step(effect=Effect.DATABASE)
    def book(order: flows.Order, ctx: StepContext) -> flows.Note:
        return flows.act("book", ctx, flows.Note(text="booked"))

    @book.compensate
    def unbook(ctx: StepContext) -> None:
        flows.act("unbook", ctx, None)

    workflow.child("settled", small_flow, input=lambda order, book: order, **options)

    @workflow.step(effect=Effect.PURE)
    def thank(settled: flows.Note | None) -> flows.Note:
        return flows.Note(text=f"thanks: {settled.text if settled else 'nothing'}")

    return workflow


big_flow = parent_flow("test-parent")
lenient_flow = parent_flow("test-parent-optional", optional=True)


def waiting() -> tuple[Run, Run]:
    """Return a run that waits for its child, and the child."""
    run = advance_once(started(big_flow))
    return run, Run.objects.get(parent=run)


def refuse(ctx: StepContext) -> flows.Note:
    raise BusinessRuleViolation("The shop is closed today")


def failed() -> tuple[Run, Run]:
    """Return a run that failed because its child did."""
    run, child = waiting()
    flows.behaviour["settle"] = refuse
    drive(child)
    drive(advance_once(run))
    del flows.behaviour["settle"]
    return run, child


def test_the_child_is_there_exactly_if_the_checkpoint_of_the_wait_is() -> None:
    run = started(big_flow)
    claimed = store.claim(run.pk, "somebody")
    assert claimed is not None
    assert not Run.objects.filter(parent=run).exists()
    die_in(run)
    store.reclaim(10, [])
    advance_once(run)
    child = Run.objects.get(parent=run)
    assert (run.status, run.waiting_reason) == ("waiting", "event")
    assert run.waiting_on == f"run {str(child.pk)[-8:]} of test-child"
    assert (child.parent_step, child.correlation_id, child.started_by) == (
        "settled",
        run.correlation_id,
        run.started_by,
    )
    assert RunEvent.objects.get(run=run, kind="step.waiting").data["run"] == str(child.pk)


def test_the_parent_goes_on_with_the_childs_output_as_soon_as_it_has_ended() -> None:
    run, child = waiting()
    assert drive(child).status == "succeeded"
    run.refresh_from_db()
    assert run.status == "queued"
    assert drive(run).output == {"text": "thanks: settled A-1"}


def test_a_parent_that_was_not_told_looks_again_by_itself() -> None:
    run, child = waiting()
    Run.objects.filter(pk=child.pk).update(
        status="succeeded", output={"text": "elsewhere"}, ended_at=child.created_at
    )
    assert run.wake_at is not None
    assert drive(wake(run)).output == {"text": "thanks: elsewhere"}


def test_looking_again_starts_no_second_child() -> None:
    run, _ = waiting()
    for _ in range(3):
        advance_once(wake(run))
    assert run.status == "waiting"
    assert Run.objects.filter(parent=run).count() == 1


def test_a_child_that_fails_fails_the_step_and_is_named_as_the_cause() -> None:
    run, child = failed()
    assert run.status == "failed"
    assert run.error is not None
    assert run.error["code"] == "child-failed"
    assert run.error["context"]["run"] == str(child.pk)
    assert run.error["message"] == f"Run {str(child.pk)[-8:]} of Test child failed: The shop is closed today"


def test_an_optional_child_that_fails_leaves_a_gap() -> None:
    run = advance_once(started(lenient_flow))
    flows.behaviour["settle"] = refuse
    drive(Run.objects.get(parent=run))
    assert drive(run).status == "degraded"
    assert run.output == {"text": "thanks: nothing"}


def test_a_resume_resumes_the_child_as_the_same_person(personas: Personas) -> None:
    run, child = failed()
    resume_run(actor=personas.actor("support"), run_id=run.pk, reason=WHY)
    resumed = RunEvent.objects.get(run=child, kind="run.resumed")
    assert (resumed.data["actor"], resumed.data["reason"]) == ("Support", WHY)
    assert advance_once(run).status == "waiting"
    assert drive(child).status == "succeeded"
    assert drive(run).status == "succeeded"
    assert Run.objects.filter(parent=run).count() == 1


def test_a_resume_takes_what_the_child_has_done_meanwhile(personas: Personas) -> None:
    run, child = failed()
    resume_run(actor=personas.actor("support"), run_id=child.pk, reason=WHY)
    assert drive(child).status == "succeeded"
    run.refresh_from_db()
    assert run.status == "failed"
    resume_run(actor=personas.actor("support"), run_id=run.pk, reason=WHY)
    assert drive(run).status == "succeeded"


def test_who_may_not_resume_the_child_cannot_resume_the_parent(personas: Personas) -> None:
    run, child = failed()
    models.Workflow.objects.filter(pk=child.workflow_id).update(team=personas.team)
    somebody = make_user("somebody")
    grant_on_team(somebody, run.workflow.team)
    with pytest.raises(NotFound):
        resume_run(actor=person(somebody), run_id=run.pk, reason=WHY)
    run.refresh_from_db()
    assert run.status == "failed"


def test_a_rollback_rolls_the_child_back_first(personas: Personas) -> None:
    run, child = waiting()
    drive(child)
    drive(run)
    flows.calls.clear()
    preview = preview_rollback(actor=personas.actor("support"), run_id=run.pk)
    assert preview.undone[0].note == "Rolls back the run that it started."
    roll_back_run(actor=personas.actor("support"), run_id=run.pk, reason="The customer withdrew.")
    advance_once(run)
    child.refresh_from_db()
    assert (run.status, child.status) == ("rolling_back", "rolling_back")
    assert drive(child).status == "rolled_back"
    assert drive(run).status == "rolled_back"
    assert [name for name, _, _ in flows.calls] == ["unsettle", "unbook"]
    assert steps_of(run)["settled"] == "compensated"
    assert RunEvent.objects.get(run=child, kind="run.rollback_started").data["actor"] == "Support"


@pytest.mark.parametrize("moved", [False, True])
def test_a_rollback_ends_a_child_that_is_still_under_way(personas: Personas, moved: bool) -> None:
    run, child = waiting()
    if moved:
        flows.behaviour["settle"] = refuse
        drive(child)
    roll_back_run(actor=personas.actor("support"), run_id=run.pk, reason="The customer withdrew.")
    advance_once(run)
    assert drive(child).status == ("rolled_back" if moved else "cancelled")
    assert drive(run).status == "rolled_back"


def test_a_child_that_cannot_be_rolled_back_stops_the_rollback_until_it_can(personas: Personas) -> None:
    run, child = waiting()
    drive(child)
    drive(run)
    flows.behaviour["unsettle"] = refuse
    roll_back_run(actor=personas.actor("support"), run_id=run.pk, reason="The customer withdrew.")
    advance_once(run)
    assert drive(child).status == "rollback_failed"
    assert drive(run).status == "rollback_failed"
    del flows.behaviour["unsettle"]
    resume_run(actor=personas.actor("support"), run_id=run.pk, reason=WHY)
    advance_once(run)
    assert drive(child).status == "rolled_back"
    assert drive(run).status == "rolled_back"


def test_cancelling_the_parent_cancels_the_child(personas: Personas) -> None:
    run, child = waiting()
    cancel_run(actor=personas.actor("operator"), run_id=run.pk, reason="Started by mistake.")
    child.refresh_from_db()
    assert child.status == "cancelled"


def test_a_parent_that_was_asked_to_cancel_while_it_ran_cancels_its_child() -> None:
    run, child = waiting()
    Run.objects.filter(pk=run.pk).update(request="cancel")
    assert advance_once(wake(run)).status == "cancelled"
    child.refresh_from_db()
    assert child.status == "cancelled"


def test_cancelling_the_child_fails_the_parents_step(personas: Personas) -> None:
    run, child = waiting()
    cancel_run(actor=personas.actor("operator"), run_id=child.pk, reason="Started by mistake.")
    assert drive(run).status == "failed"
    assert run.error is not None
    assert "was cancelled" in run.error["message"]


def test_a_child_that_was_rolled_back_starts_afresh(personas: Personas) -> None:
    run, child = failed()
    roll_back_run(actor=personas.actor("support"), run_id=child.pk, reason="The customer withdrew.")
    assert drive(child).status == "rolled_back"
    resume_run(actor=personas.actor("support"), run_id=run.pk, reason=WHY)
    advance_once(run)
    assert Run.objects.filter(parent=run).count() == 2


def test_a_child_that_is_done_is_not_done_again(personas: Personas) -> None:
    run, child = waiting()
    drive(child)
    drive(run)
    with pytest.raises(InvalidTransition, match="Roll back first"):
        retry_from_step(actor=personas.actor("operator"), run_id=run.pk, step="settled", reason=WHY)


def test_a_step_may_go_on_without_its_child(personas: Personas) -> None:
    run, child = waiting()
    skip_step(actor=personas.actor("operator"), run_id=run.pk, step="settled", reason="Not needed for this one.")
    assert drive(run).output == {"text": "thanks: nothing"}
    assert drive(child).status == "succeeded"
