"""For authors' tests: take a run as far as it goes, in this very process, without a broker and without waiting.

A test needs ``@pytest.mark.django_db(transaction=True)``: steps commit as they do in a worker.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

from portal.core.actor import SYSTEM
from portal.core.clock import now
from workflows.definition.event import Event
from workflows.definition.workflow import WorkflowDefinition
from workflows.engine.holder import identity
from workflows.engine.items import work
from workflows.engine.runner import advance
from workflows.engine.state import WaitingReason
from workflows.events import inbox, store
from workflows.events.router import route_events
from workflows.events.services import emit_event
from workflows.models import EventWait, InboxMessage, ItemSlot, OutboxMessage, Run, StepItem, StepRun
from workflows.services import roll_back_run, start_run

I = TypeVar("I", bound=BaseModel)  # noqa: E741 - the input

_WAITED_FOR = ("waiting", "rolling_back")


def run_now(workflow: WorkflowDefinition[I], input: I) -> Run:
    """Start a run and return it when it has ended, or when it waits for a person."""
    return take_on(start_run(actor=SYSTEM, workflow=workflow.name, input=input).run)


def undo_now(run: Run, *, reason: str = "A test takes it back") -> Run:
    """Roll the run back and return it when that has ended."""
    return take_on(roll_back_run(actor=SYSTEM, run_id=run.pk, reason=reason))


def take_on(run: Run, *, rounds: int = 50) -> Run:
    """Take the run as far as it goes; what it waits for by the clock has passed at once.

    :raises AssertionError: if it still waits after so many rounds, for example on a service that stays down.
    """
    for _ in range(rounds):
        advance(run.pk)
        run.refresh_from_db()
        if run.waiting_reason == WaitingReason.ITEMS:
            _do_items(run)
        if run.status not in _WAITED_FOR:
            return run
        EventWait.objects.filter(run=run, closed_at=None).update(expires_at=now())
        Run.objects.filter(pk=run.pk, status="waiting").update(
            status="queued", waiting_reason="", waiting_on="", wake_at=None
        )
        Run.objects.filter(pk=run.pk, status="rolling_back").update(wake_at=None)
    raise AssertionError(f"The run still waits after {rounds} rounds, the last time on {run.waiting_on or 'itself'}.")


def _do_items(run: Run) -> None:
    StepItem.objects.filter(run=run).update(next_attempt_at=None)
    for slot in ItemSlot.objects.filter(run=run):
        work(run.pk, slot.step, slot.number)


def tell(event: Event) -> list[Run]:
    """Emit an event and let its subscribers act on it; returns the runs that it started, taken as far as they go.

    A run that comes to wait for it later finds it there.
    """
    message = emit_event(actor=SYSTEM, event=event).message
    route_events()
    while taken := store.take(20, by=identity(), lease=60):
        for inbox_id, attempt in taken:
            inbox.handle(inbox_id, attempt)
    started = InboxMessage.objects.filter(message=message, kind="start", run__isnull=False)
    return [take_on(row.run) for row in started.select_related("run__workflow") if row.run]


def told_by(run: Run) -> list[tuple[str, Any]]:
    """Return the events that the run has emitted, oldest first, each as (name, payload)."""
    return list(OutboxMessage.objects.filter(run=run).order_by("id").values_list("name", "payload"))


def outputs(run: Run) -> dict[str, Any]:
    """Return the output of each step that is done, by its name."""
    steps = StepRun.objects.filter(run=run, status__in=["succeeded", "fell_back"])
    return dict(steps.order_by("position").values_list("step", "output"))
