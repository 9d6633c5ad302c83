"""Driving runs in this very process, without a broker: what the fault tests do with real workers."""

from __future__ import annotations

from typing import Any

from django.db import connection

from portal.core.actor import SYSTEM
from tests.engine import flows
from workflows.definition.workflow import WorkflowDefinition
from workflows.engine.runner import advance
from workflows.models import Run, StepRun
from workflows.services import start_run


def started(workflow: WorkflowDefinition[Any], **values: Any) -> Run:
    """Start a run of a test's workflow."""
    return start_run(actor=SYSTEM, workflow=workflow.name, input=flows.Order(**values)).run


def advance_once(run: Run) -> Run:
    """Let a worker take the run once."""
    advance(run.pk)
    run.refresh_from_db()
    return run


def wake(run: Run) -> Run:
    """Let the time pass that the run waits for."""
    Run.objects.filter(pk=run.pk, status="waiting").update(status="queued", waiting_reason="", wake_at=None)
    Run.objects.filter(pk=run.pk, status="rolling_back").update(wake_at=None)
    run.refresh_from_db()
    return run


def drive(run: Run, *, at_most: int = 20) -> Run:
    """Take the run as far as it goes by itself, without waiting for real."""
    for _ in range(at_most):
        advance_once(run)
        if run.status not in {"waiting", "rolling_back"}:
            return run
        wake(run)
    raise AssertionError(f"The run is still {run.status} after {at_most} rounds.")


def die_in(run: Run) -> None:
    """Make the run look as if the worker that holds it had died: its lease is over."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflows_run SET lease_expires_at = now() - interval '1 second' WHERE id = %s", [run.pk]
        )


def steps_of(run: Run) -> dict[str, str]:
    """Return the status of each step that has a checkpoint."""
    return {step.step: step.status for step in StepRun.objects.filter(run=run).order_by("position")}
