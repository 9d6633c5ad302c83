"""Holding a workflow: new runs are accepted, but start only when it goes on."""

from __future__ import annotations

from django.db import transaction

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.clock import now
from portal.core.errors import InvalidTransition, NotFound
from portal.core.permissions import Permission
from portal.core.services.reasons import checked_reason
from workflows import dispatch
from workflows.engine.state import RunStatus
from workflows.models import Run, Workflow


def pause_workflow(*, actor: Actor, slug: str, reason: str) -> Workflow:
    """Accept new runs but hold them; runs that are under way go on.

    :raises InvalidTransition: if it is held already.
    """
    with transaction.atomic():
        workflow = _locked(actor, slug)
        reason = checked_reason(reason)
        if workflow.paused_at:
            raise InvalidTransition(f"{workflow.title} is held already.")
        workflow.paused_at, workflow.paused_by, workflow.paused_reason = now(), actor.user, reason
        workflow.save(update_fields=["paused_at", "paused_by", "paused_reason"])
        record(actor=actor, action="workflows.workflow.pause", obj=workflow, reason=reason)
    return workflow


def resume_workflow(*, actor: Actor, slug: str, reason: str) -> Workflow:
    """Let new runs start again, those that were held first.

    :raises InvalidTransition: if it is not held.
    """
    with transaction.atomic():
        workflow = _locked(actor, slug)
        reason = checked_reason(reason)
        if not workflow.paused_at:
            raise InvalidTransition(f"{workflow.title} is not held.")
        workflow.paused_at, workflow.paused_by, workflow.paused_reason = None, None, ""
        workflow.save(update_fields=["paused_at", "paused_by", "paused_reason"])
        held = Run.objects.filter(workflow=workflow, status=RunStatus.SCHEDULED).order_by("id")
        waiting = list(held.values_list("id", "queue"))
        held.update(status=RunStatus.QUEUED, dispatched_at=now())
        for run_id, queue in waiting:
            dispatch.enqueue_run(run_id, queue)
        record(
            actor=actor,
            action="workflows.workflow.resume",
            obj=workflow,
            reason=reason,
            after={"released_runs": len(waiting)},
        )
    return workflow


def _locked(actor: Actor, slug: str) -> Workflow:
    workflow = Workflow.objects.select_for_update(of=("self",)).select_related("team").filter(slug=slug).first()
    if workflow is None:
        raise NotFound(f'There is no workflow "{slug}".')
    authorise(actor, Permission.PAUSE_WORKFLOW, workflow)
    return workflow
