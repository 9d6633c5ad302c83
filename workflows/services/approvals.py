"""Answering what a run asks a person, and calling to mind what nobody has answered."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from portal.core.actor import Actor
from portal.core.clock import now
from portal.core.errors import Forbidden, InvalidTransition
from portal.core.events import ApprovalOverdue, publish
from portal.core.permissions import Permission
from workflows.definition.step import PausingStep
from workflows.definition.terms import Approval, ApprovalTerms
from workflows.engine import failure
from workflows.engine.state import RunStatus, StepStatus
from workflows.errors import Rejected
from workflows.models import ApprovalRequest, Run, RunEvent
from workflows.queries.approvals import open_request, why_not_answered_by
from workflows.services.commands import Command, command, refuse_while_held

_Status = ApprovalRequest.Status


def approve_step(*, actor: Actor, run_id: UUID, reason: str, expected_version: int | None = None) -> Run:
    """Say yes to what the run asks; it goes on.

    :raises InvalidTransition: if it asks nothing (any more).
    :raises Forbidden: if the actor may not answer, for example because they started the run.
    """
    return _answer(actor, run_id, reason, expected_version, approved=True)


def reject_step(*, actor: Actor, run_id: UUID, reason: str, expected_version: int | None = None) -> Run:
    """Say no to what the run asks. By its definition that ends the run as cancelled, or the run goes on with the no.

    :raises InvalidTransition: if it asks nothing (any more).
    :raises Forbidden: if the actor may not answer, for example because they started the run.
    """
    return _answer(actor, run_id, reason, expected_version, approved=False)


def _answer(actor: Actor, run_id: UUID, reason: str, expected_version: int | None, *, approved: bool) -> Run:
    with command(
        actor=actor,
        run_id=run_id,
        permission=Permission.APPROVE_STEP,
        action="workflows.step.approve" if approved else "workflows.step.reject",
        reason=reason,
        expected_version=expected_version,
    ) as doing:
        request = _request(doing)
        refuse_while_held(doing.run)
        request.status = _Status.APPROVED if approved else _Status.REJECTED
        request.answered_at, request.answered_by, request.reason = now(), actor.user, doing.reason
        request.save(update_fields=["status", "answered_at", "answered_by", "reason"])
        doing.tell(f"step.{request.status}", request.step)
        doing.after["question"] = request.question
        _settle(doing, request, approved=approved)
    return doing.run


def _request(doing: Command) -> ApprovalRequest:
    request = open_request(doing.run)
    if request is None or (request.expires_at and request.expires_at <= now()):
        raise InvalidTransition("The run does not wait for an answer (any more).")
    problem = why_not_answered_by(doing.actor, doing.run, request)
    if problem:
        raise Forbidden(f"{problem}.", permission=request.permission)
    return request


def _settle(doing: Command, request: ApprovalRequest, *, approved: bool) -> None:
    checkpoint = doing.checkpoint(request.step)
    checkpoint.ended_at = request.answered_at
    if not approved and _terms(doing, request.step).on_reject == "cancel":
        error = failure.describe_error(Rejected(f"Rejected by {doing.actor.label}: {doing.reason}"))
        checkpoint.error = doing.run.error = error
        doing.set_step(checkpoint, StepStatus.FAILED)
        doing.save_step(checkpoint)
        doing.set_status(RunStatus.CANCELLED)
        doing.tell("run.cancelled", request.step)
        return
    answer = Approval(approved=approved, by=doing.actor.label, reason=doing.reason, at=request.answered_at or now())
    checkpoint.output = answer.model_dump(mode="json")
    doing.set_step(checkpoint, StepStatus.SUCCEEDED)
    doing.save_step(checkpoint)
    doing.go_on()


def _terms(doing: Command, step: str) -> ApprovalTerms:
    declared = doing.step(step)
    if not isinstance(declared, PausingStep) or not isinstance(declared.terms, ApprovalTerms):
        raise InvalidTransition(f'"{step}" asks nobody in the code that is here.')
    return declared.terms


def withdraw_questions(run: Run) -> None:
    """Close what the run asks, because it ends or goes on otherwise. Within the caller's transaction."""
    ApprovalRequest.objects.filter(run=run, status=_Status.OPEN).update(status=_Status.WITHDRAWN)


def note_overdue_approvals(*, at_most: int = 100) -> int:
    """Note in each run's history, and announce, that its question has been open for longer than intended."""
    due = ApprovalRequest.objects.filter(
        status=_Status.OPEN, reminded_at=None, remind_at__lte=now(), run__status=RunStatus.WAITING
    )
    return sum(map(_note_overdue, due.order_by("remind_at")[:at_most]))


@transaction.atomic
def _note_overdue(request: ApprovalRequest) -> bool:
    # The run first, as those do who answer; one that is locked is being answered, or told of by another dispatcher.
    runs = Run.objects.select_for_update(of=("self",), skip_locked=True).select_related("workflow")
    run = runs.filter(pk=request.run_id, status=RunStatus.WAITING).first()
    still_open = ApprovalRequest.objects.filter(pk=request.pk, status=_Status.OPEN, reminded_at=None)
    if run is None or not still_open.update(reminded_at=now()):
        return False
    run.event_count += 1
    run.save(update_fields=["event_count"])
    RunEvent.objects.create(
        run=run,
        number=run.event_count,
        at=now(),
        kind="step.reminded",
        step=request.step,
        data={"question": request.question},
    )
    publish(
        ApprovalOverdue(
            run_id=str(run.pk),
            workflow=run.workflow.slug,
            step=request.step,
            question=request.question,
            asked_at=request.asked_at,
            expires_at=request.expires_at,
        )
    )
    return True
