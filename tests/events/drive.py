"""Bringing events to their subscribers in this very process, as dispatcher and workers do."""

from __future__ import annotations

from typing import Any

from django.db import connection
from pydantic import BaseModel

from portal.core.actor import SYSTEM
from workflows import Event
from workflows.definition.workflow import WorkflowDefinition
from workflows.drain import drain_events
from workflows.engine.runner import advance
from workflows.events.router import tend_events
from workflows.events.services import emit_event
from workflows.models import InboxMessage, OutboxMessage, Run
from workflows.services import start_run


def started(workflow: WorkflowDefinition[Any], input: BaseModel) -> Run:
    """Start a run of a test's workflow."""
    return start_run(actor=SYSTEM, workflow=workflow.name, input=input).run


def gone_as_far_as_it_can(run: Run) -> Run:
    """Let a worker take the run once."""
    advance(run.pk)
    run.refresh_from_db()
    return run


def emitted(event: Event, **how: Any) -> OutboxMessage:
    """Emit an event from outside any run."""
    return emit_event(actor=SYSTEM, event=event, **how).message


def bring() -> None:
    """Route what was emitted, and let the subscribers act on it."""
    tend_events()
    drain_events()


def inbox_of(consumer: str) -> InboxMessage:
    """Return the only row in a subscriber's inbox."""
    return InboxMessage.objects.get(consumer=consumer)


def let_pass(table: str, column: str, seconds: float) -> None:
    """Move a column's moments back, as the database's clock cannot be turned forward."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {column} = {column} - %s * interval '1 second'", [seconds])  # noqa: S608


def due_again() -> None:
    """Let the pause before the next try pass."""
    let_pass("workflows_inboxmessage", "next_attempt_at", 1000)
