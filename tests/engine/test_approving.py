"""A step at which a person says yes or no: who may, what follows, and what if nobody does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portal.core import events
from portal.core.actor import Actor, person
from portal.core.clock import now
from portal.core.errors import Forbidden, InvalidInput, InvalidTransition
from portal.core.events import ApprovalOverdue
from portal.core.models import AuditEntry
from portal.core.permissions import Role
from tests.engine import flows
from tests.engine.asking import asking, plain_flow
from tests.engine.drive import advance_once, drive, started, steps_of, wake
from tests.personas import Personas, make_user
from workflows import Approval, Question, Workflow
from workflows.models import ApprovalRequest, Run, RunEvent, StepRun
from workflows.services import (
    approve_step,
    cancel_run,
    note_overdue_approvals,
    pause_run,
    reject_step,
    resume_run,
    retry_from_step,
    skip_step,
    start_run,
)

pytestmark = pytest.mark.django_db
WHY = "Checked with the partner."


mild_flow = asking("test-ask-mildly", on_reject="continue", expires=timedelta(days=2), on_expiry="reject")
strict_flow = asking("test-ask-a-manager", roles=[Role.MANAGER], expires=timedelta(days=2), on_expiry="reject")
alone_flow = asking("test-ask-anybody", four_eyes=False)
facts_flow = asking(
    "test-ask-with-facts", question=lambda order: Question(f"Ship {order.number}?", {"Gift": order.gift})
)


def asked(workflow: Workflow[flows.Order] = plain_flow, by: Actor | None = None) -> Run:
    """Return a run that has asked."""
    if by is None:
        return advance_once(started(workflow))
    return advance_once(start_run(actor=by, workflow=workflow.name, input=flows.Order()).run)


def request_of(run: Run) -> ApprovalRequest:
    return ApprovalRequest.objects.filter(run=run).latest("asked_at")


def let_pass(run: Run, length: timedelta) -> None:
    """Let the time pass that the question has been open for."""
    request = request_of(run)
    for name in ("asked_at", "remind_at", "expires_at"):
        if moment := getattr(request, name):
            setattr(request, name, moment - length)
    request.save()


def test_a_run_asks_and_holds_no_worker() -> None:
    run = asked()
    assert (run.status, run.waiting_reason, run.waiting_on, run.lease_owner) == (
        "waiting",
        "approval",
        "approval by test-team",
        "",
    )
    assert request_of(run).question == "Pay 100 for share of A-1?"
    assert run.wake_at is not None
    assert timedelta(hours=47) < run.wake_at - now() < timedelta(hours=49)


def test_a_question_may_come_with_facts() -> None:
    request = request_of(asked(facts_flow))
    assert (request.question, request.facts) == ("Ship A-1?", [["Gift", "False"]])


def test_a_yes_lets_the_run_go_on_with_the_answer(personas: Personas) -> None:
    run = asked()
    approve_step(actor=personas.actor("operator"), run_id=run.pk, reason=WHY)
    assert drive(run).status == "succeeded"
    assert run.output == {"text": "paid, said Operator"}
    answer = Approval.model_validate(StepRun.objects.get(run=run, step="approve").output)
    assert (answer.approved, answer.by, answer.reason) == (True, "Operator", WHY)
    entry = AuditEntry.objects.get(action="workflows.step.approve")
    assert (entry.after or {})["question"] == "Pay 100 for share of A-1?"
    assert RunEvent.objects.filter(run=run, kind="step.approved", data__reason=WHY).exists()


def test_a_no_ends_the_run_and_a_resume_asks_again(personas: Personas) -> None:
    run, olga = asked(), personas.actor("operator")
    reject_step(actor=olga, run_id=run.pk, reason="The amount is wrong.")
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert run.error is not None
    assert run.error["message"] == "Rejected by Operator: The amount is wrong."
    resume_run(actor=olga, run_id=run.pk, reason="The amount was right after all.")
    assert advance_once(run).waiting_reason == "approval"
    assert list(ApprovalRequest.objects.filter(run=run).values_list("status", flat=True)) == ["rejected", "open"]


def test_a_no_may_be_an_answer_to_go_on_with(personas: Personas) -> None:
    run = asked(mild_flow)
    reject_step(actor=personas.actor("operator"), run_id=run.pk, reason="The amount is wrong.")
    assert drive(run).status == "succeeded"
    assert steps_of(run) == {"share": "succeeded", "approve": "succeeded", "pay": "skipped"}


def test_whoever_started_a_run_may_not_approve_it(personas: Personas) -> None:
    olga = personas.actor("operator")
    run = asked(by=olga)
    with pytest.raises(Forbidden, match="four eyes"):
        approve_step(actor=olga, run_id=run.pk, reason=WHY)
    approve_step(actor=person(make_user("second", Role.OPERATOR)), run_id=run.pk, reason=WHY)
    run.refresh_from_db()
    assert run.status == "queued"


def test_a_definition_may_let_the_starter_approve(personas: Personas) -> None:
    olga = personas.actor("operator")
    run = asked(alone_flow, by=olga)
    approve_step(actor=olga, run_id=run.pk, reason=WHY)
    assert drive(run).status == "succeeded"


@pytest.mark.parametrize("name", ["viewer", "support"])
def test_it_needs_the_right_to_approve(personas: Personas, name: str) -> None:
    run = asked()
    with pytest.raises(Forbidden):
        approve_step(actor=personas.actor(name), run_id=run.pk, reason=WHY)


def test_a_definition_may_ask_for_a_role(personas: Personas) -> None:
    run = asked(strict_flow)
    assert run.waiting_on == "approval by manager of test-team"
    with pytest.raises(Forbidden, match="needs the role manager"):
        approve_step(actor=personas.actor("operator"), run_id=run.pk, reason=WHY)
    approve_step(actor=personas.actor("manager"), run_id=run.pk, reason=WHY)


def test_an_answer_needs_a_reason(personas: Personas) -> None:
    run = asked()
    with pytest.raises(InvalidInput):
        approve_step(actor=personas.actor("operator"), run_id=run.pk, reason="ok")


def test_a_second_answer_comes_too_late(personas: Personas) -> None:
    run = asked()
    approve_step(actor=personas.actor("operator"), run_id=run.pk, reason=WHY)
    with pytest.raises(InvalidTransition, match="does not wait for an answer"):
        reject_step(actor=personas.actor("manager"), run_id=run.pk, reason="The amount is wrong.")


def test_skipping_a_question_needs_the_right_to_answer_it(personas: Personas) -> None:
    olga = personas.actor("operator")
    run = asked(by=olga)
    answer = {"approved": True, "by": "the board", "reason": "Decided in the meeting.", "at": now().isoformat()}
    with pytest.raises(Forbidden, match=r"asks for an approval.*four eyes"):
        skip_step(actor=olga, run_id=run.pk, step="approve", reason=WHY, output=answer)
    other = person(make_user("second", Role.OPERATOR))
    skip_step(actor=other, run_id=run.pk, step="approve", reason=WHY, output=answer)
    assert drive(run).output == {"text": "paid, said the board"}
    assert request_of(run).status == "withdrawn"


def test_without_an_answer_in_time_the_step_fails_and_says_so() -> None:
    run = asked()
    let_pass(run, timedelta(days=2))
    advance_once(wake(run))
    assert run.status == "failed"
    assert run.error is not None
    assert (run.error["code"], run.error["message"]) == ("approval-expired", "Nobody answered within 2 d.")
    assert request_of(run).status == "expired"


def test_after_its_time_nobody_can_answer_any_more(personas: Personas) -> None:
    run = asked()
    let_pass(run, timedelta(days=2))
    with pytest.raises(InvalidTransition, match="does not wait for an answer"):
        approve_step(actor=personas.actor("operator"), run_id=run.pk, reason=WHY)


def test_no_answer_in_time_may_count_as_a_no() -> None:
    run = asked(mild_flow)
    let_pass(run, timedelta(days=2))
    assert drive(wake(run)).status == "succeeded"
    assert steps_of(run)["pay"] == "skipped"
    ended = asked(strict_flow)
    let_pass(ended, timedelta(days=2))
    assert advance_once(wake(ended)).status == "cancelled"
    assert steps_of(ended)["approve"] == "failed"


def test_an_approval_that_is_overdue_is_announced_once(
    django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[ApprovalOverdue] = []
    monkeypatch.setattr(events, "_handlers", {ApprovalOverdue: (heard.append,)})
    run = asked()
    assert note_overdue_approvals() == 0
    let_pass(run, timedelta(hours=5))
    with django_capture_on_commit_callbacks(execute=True):
        assert note_overdue_approvals() == 1
        assert note_overdue_approvals() == 0
    assert [(told.run_id, told.question) for told in heard] == [(str(run.pk), "Pay 100 for share of A-1?")]
    assert RunEvent.objects.filter(run=run, kind="step.reminded").count() == 1


def test_a_pause_keeps_the_question_and_its_time(personas: Personas) -> None:
    run, olga = asked(), personas.actor("operator")
    until = request_of(run).expires_at
    pause_run(actor=olga, run_id=run.pk, reason="Asking the partner first.")
    with pytest.raises(InvalidTransition):
        approve_step(actor=olga, run_id=run.pk, reason=WHY)
    resume_run(actor=olga, run_id=run.pk, reason="The partner has answered.")
    advance_once(run)
    assert (run.waiting_reason, request_of(run).expires_at) == ("approval", until)
    assert ApprovalRequest.objects.filter(run=run).count() == 1


def test_a_retry_asks_anew_with_all_its_time(personas: Personas) -> None:
    run = asked()
    let_pass(run, timedelta(days=1))
    retry_from_step(actor=personas.actor("operator"), run_id=run.pk, step="share", reason="The share was corrected.")
    advance_once(run)
    assert [r.status for r in ApprovalRequest.objects.filter(run=run)] == ["withdrawn", "open"]
    fresh = request_of(run).expires_at
    assert fresh is not None
    assert fresh - now() > timedelta(hours=47)


def test_a_cancelled_run_asks_nothing_any_more(personas: Personas) -> None:
    run = asked()
    cancel_run(actor=personas.actor("operator"), run_id=run.pk, reason="Started by mistake.")
    assert request_of(run).status == "withdrawn"
