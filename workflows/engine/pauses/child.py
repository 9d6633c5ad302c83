"""Starting a run of another workflow and waiting for its end; a rollback rolls that run back.

The other run is found by its idempotency key (run, step, generation), so it is started once however often a
worker comes to the step. When it ends it wakes this one; in case that is lost, this one looks again by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portal.core.actor import Actor
from portal.core.errors import InvalidInput
from portal.core.ids import uuid7
from workflows.definition.step import PausingStep
from workflows.definition.terms import ChildTerms
from workflows.engine.pauses.verdicts import Pending, Settled
from workflows.engine.state import FINAL_RUN_STATUSES, RunStatus, WaitingReason
from workflows.errors import ChildFailed, InvalidData
from workflows.models import Run, RunEvent, StepRun
from workflows.services.repair import cancel_run
from workflows.services.rollback import nothing_was_done, roll_back_run, why_not_rolled_back
from workflows.services.start import ChildOf, checked_input, start_run

if TYPE_CHECKING:
    from workflows.engine.session import Session

_LOOK_AGAIN = (30.0, 600.0)  # seconds; the longer it takes the more seldom
_WELL = frozenset({RunStatus.SUCCEEDED, RunStatus.DEGRADED})


def child(session: Session, step: PausingStep[Any]) -> Settled | Pending:
    """Start the other run, wait for it, or take its output.

    :raises InvalidData: if the author's function gives no input that the other workflow takes.
    :raises ChildFailed: if the other run ended otherwise than well.
    """
    found = _started(session, step)
    if found is None:
        return _start(session, step)
    if found.status not in FINAL_RUN_STATUSES:
        return _wait(session, step, found)
    if found.status not in _WELL:
        raise ChildFailed(_what_became_of(found), run=found.pk)
    output = step.dump(step.load(found.output)) if step.has_output else None
    return Settled(output, told={"run": str(found.pk)})


def undo_child(session: Session, step: PausingStep[Any]) -> Settled | Pending:
    """Roll the other run back, wherever it is, and wait until that is done.

    :raises ChildFailed: if it cannot be rolled back.
    """
    found = _started(session, step)
    if found is None or found.status == RunStatus.ROLLED_BACK:
        return Settled()
    actor, reason = _who_rolls_back(session), f"Rolled back with run {session.claimed.run_id}, which started it."
    if found.status in {RunStatus.SCHEDULED, RunStatus.QUEUED, RunStatus.RUNNING} and not found.request:
        found = cancel_run(actor=actor, run_id=found.pk, reason=reason)
    if found.status in {RunStatus.RUNNING, RunStatus.ROLLING_BACK}:
        return _wait(session, step, found)
    rows = {row.step: row for row in StepRun.objects.filter(run=found)}
    if nothing_was_done(found, rows):
        return Settled()
    problem = why_not_rolled_back(found, rows)
    if found.status == RunStatus.ROLLBACK_FAILED or problem:
        raise ChildFailed(problem or _what_became_of(found), run=found.pk)
    roll_back_run(actor=actor, run_id=found.pk, reason=reason)
    return _wait(session, step, found)


def cancel_children(session: Session) -> None:
    """Cancel the runs that this one has started and that still run, once its own end is written."""
    actor = _as(session, session.claimed.started_by)
    reason = f"Cancelled with run {session.claimed.run_id}, which started it."
    running = Run.objects.filter(parent=session.claimed.run_id).exclude(status__in=FINAL_RUN_STATUSES)

    def cancel() -> None:
        for run in running.exclude(status=RunStatus.ROLLING_BACK):
            cancel_run(actor=actor, run_id=run.pk, reason=reason)

    session.write_along(cancel)


def _key(session: Session, step: PausingStep[Any]) -> str:
    return f"{session.claimed.run_id}:{step.name}:{session.checkpoint_of(step).generation}"


def _started(session: Session, step: PausingStep[Any]) -> Run | None:
    runs = Run.objects.select_related("workflow").filter(parent=session.claimed.run_id, parent_step=step.name)
    return runs.filter(idempotency_key=_key(session, step)).first()


def _start(session: Session, step: PausingStep[Any]) -> Pending:
    assert isinstance(step.terms, ChildTerms)  # noqa: S101 - WorkflowDefinition.child makes no other
    definition, claimed = step.terms.workflow, session.claimed
    given = session.call_unguarded(step, step.body, attempt=1)
    try:
        data = checked_input(definition, given)
    except (InvalidInput, TypeError, ValueError) as exc:
        raise InvalidData(f"{step.name} must give the input of {definition.name}: {exc}") from exc
    place = ChildOf(uuid7(), claimed.run_id, step.name)

    def start() -> None:
        start_run(
            actor=_as(session, claimed.started_by),
            workflow=definition.name,
            input=data,
            idempotency_key=_key(session, step),
            correlation_id=claimed.correlation_id,
            child_of=place,
        )

    session.write_along(start)
    on = f"run {str(place.run_id)[-8:]} of {definition.name}"
    return Pending(WaitingReason.EVENT, on, wake_in=_LOOK_AGAIN[0], told={"run": str(place.run_id)})


def _wait(session: Session, step: PausingStep[Any], found: Run) -> Pending:
    shortest, longest = _LOOK_AGAIN
    wake_in = min(max(session.checkpoint_of(step).waited, shortest), longest)
    on = f"run {str(found.pk)[-8:]} of {found.workflow.slug}"
    return Pending(WaitingReason.EVENT, on, wake_in=wake_in, told={"run": str(found.pk)})


def _what_became_of(found: Run) -> str:
    words = {RunStatus.ROLLED_BACK: "was rolled back", RunStatus.CANCELLED: "was cancelled"}
    default = "could not be rolled back" if found.status == RunStatus.ROLLBACK_FAILED else "failed"
    became = words.get(RunStatus(found.status), default)
    message = str((found.error or {}).get("message", ""))
    return f"Run {str(found.pk)[-8:]} of {found.workflow.title} {became}" + (f": {message}" if message else ".")


def _as(session: Session, label: str) -> Actor:
    return Actor(kind="system", id=str(session.claimed.run_id), label=label, origin="engine")


def _who_rolls_back(session: Session) -> Actor:
    events = RunEvent.objects.filter(run=session.claimed.run_id, kind="run.rollback_started")
    data = events.order_by("-number").values_list("data", flat=True).first() or {}
    return _as(session, str(data.get("actor") or session.claimed.started_by))
