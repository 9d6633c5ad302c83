"""A person's hand on schedules: pausing and resuming them, starting one now, settling what was missed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.clock import now
from portal.core.errors import InvalidInput, InvalidTransition, NotFound
from portal.core.permissions import Permission
from portal.core.services.reasons import checked_reason
from workflows.definition.schedule import Schedule as Declared
from workflows.models import Run, Schedule, ScheduledTime
from workflows.schedules.registration import declared_schedule
from workflows.schedules.starting import input_at, note, start_at
from workflows.services.start import start_run

MAX_PAUSE = timedelta(days=92)
_Status = ScheduledTime.Status


@transaction.atomic
def pause_schedule(*, actor: Actor, workflow: str, name: str, reason: str, until: datetime | None = None) -> Schedule:
    """Start nothing by this schedule until a time, or until somebody resumes it. Times in between are passed over.

    :raises InvalidInput: for a short reason, or an end that is past or more than 92 days away.
    :raises InvalidTransition: if it is paused already.
    """
    row = _locked(actor, workflow, name, Permission.PAUSE_WORKFLOW)
    reason = checked_reason(reason)
    if until is not None and not now() < until <= now() + MAX_PAUSE:
        message = f"Choose an end in the future, at most {MAX_PAUSE.days} days away."
        raise InvalidInput(message, fields={"until": [message]})
    if row.is_paused_at(now()):
        raise InvalidTransition("The schedule is paused already.")
    row.paused_at, row.paused_until, row.paused_by, row.paused_reason = now(), until, actor.user, reason
    _save_pause(row)
    _audit(actor, "workflows.schedule.pause", row, reason, until=until.isoformat() if until else None)
    return row


@transaction.atomic
def resume_schedule(*, actor: Actor, workflow: str, name: str, reason: str) -> Schedule:
    """Start runs by this schedule again, from its next time on.

    :raises InvalidTransition: if it is not paused.
    """
    row = _locked(actor, workflow, name, Permission.PAUSE_WORKFLOW)
    reason = checked_reason(reason)
    if not row.is_paused_at(now()):
        raise InvalidTransition("The schedule is not paused.")
    row.paused_at = row.paused_until = row.paused_by = None
    row.paused_reason = ""
    row.next_at = _declared(row).times.after(now())
    _save_pause(row)
    _audit(actor, "workflows.schedule.resume", row, reason)
    return row


@transaction.atomic
def start_schedule_now(*, actor: Actor, workflow: str, name: str, reason: str, token: str | None = None) -> Run:
    """Start a run as the schedule would at this moment; its times stay as they are.

    :param token: the same one starts one run only.
    :raises Forbidden: if the actor may not start runs of the workflow.
    """
    row = _locked(actor, workflow, name, Permission.START_RUN)
    reason = checked_reason(reason)
    key = f"schedule:{name}:by-hand:{token}" if token else None
    given = input_at(row, _declared(row), now())
    run = start_run(actor=actor, workflow=workflow, input=given, idempotency_key=key, reason=reason).run
    _audit(actor, "workflows.schedule.start", row, reason, run=str(run.pk))
    return run


@transaction.atomic
def catch_up_time(*, actor: Actor, workflow: str, name: str, due_at: datetime, reason: str) -> ScheduledTime:
    """Start the run of a time that was missed.

    :raises NotFound: if the schedule was not due then.
    :raises InvalidTransition: if that time is not missed (any more), or its run cannot be started.
    """
    row = _locked(actor, workflow, name, Permission.START_RUN)
    reason = checked_reason(reason)
    time = _missed(row, due_at)
    if not start_at(row, _declared(row), due_at, _Status.CAUGHT_UP, f"Caught up by {actor.label}: {reason}"):
        time.refresh_from_db()
        raise InvalidTransition(time.why)
    time.refresh_from_db()
    _audit(actor, "workflows.schedule.catch_up", row, reason, due_at=due_at.isoformat(), run=str(time.run_id))
    return time


@transaction.atomic
def skip_time(*, actor: Actor, workflow: str, name: str, due_at: datetime, reason: str) -> ScheduledTime:
    """Let a time that was missed be: nothing is started for it.

    :raises NotFound: if the schedule was not due then.
    :raises InvalidTransition: if that time is not missed (any more).
    """
    row = _locked(actor, workflow, name, Permission.START_RUN)
    reason = checked_reason(reason)
    time = _missed(row, due_at)
    note(row, due_at, _Status.SKIPPED, f"Skipped by {actor.label}: {reason}")
    time.refresh_from_db()
    _audit(actor, "workflows.schedule.skip", row, reason, due_at=due_at.isoformat())
    return time


def _locked(actor: Actor, workflow: str, name: str, permission: Permission) -> Schedule:
    rows = Schedule.objects.select_for_update(of=("self",)).select_related("workflow__team", "paused_by")
    row = rows.filter(workflow__slug=workflow, name=name, retired_at=None).first()
    if row is None:
        raise NotFound("There is no such schedule, or none that you may see.")
    authorise(actor, permission, row)
    return row


def _declared(row: Schedule) -> Declared:
    declared = declared_schedule(row)
    if declared is None:
        raise InvalidTransition("The schedule is not in the code that is here.")
    return declared


def _missed(row: Schedule, due_at: datetime) -> ScheduledTime:
    time = ScheduledTime.objects.filter(schedule=row, due_at=due_at).first()
    if time is None:
        raise NotFound("The schedule was not due at that time.")
    if time.status != _Status.MISSED:
        raise InvalidTransition(f"That time is not missed (any more): {time.get_status_display().lower()}.")
    return time


def _save_pause(row: Schedule) -> None:
    row.save(update_fields=["paused_at", "paused_until", "paused_by", "paused_reason", "next_at"])


def _audit(actor: Actor, action: str, row: Schedule, reason: str, **after: Any) -> None:
    record(actor=actor, action=action, obj=row, reason=reason, after=after)
