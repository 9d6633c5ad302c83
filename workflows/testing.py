"""For authors' tests: take a run as far as it goes, in this very process, without a broker and without waiting.

A test needs ``@pytest.mark.django_db(transaction=True)``: steps commit as they do in a worker.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

from portal.core.actor import SYSTEM
from workflows.definition.workflow import WorkflowDefinition
from workflows.engine.items import work
from workflows.engine.runner import advance
from workflows.engine.state import WaitingReason
from workflows.models import ItemSlot, Run, StepItem, StepRun
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
        Run.objects.filter(pk=run.pk, status="waiting").update(
            status="queued", waiting_reason="", waiting_on="", wake_at=None
        )
        Run.objects.filter(pk=run.pk, status="rolling_back").update(wake_at=None)
    raise AssertionError(f"The run still waits after {rounds} rounds, the last time on {run.waiting_on or 'itself'}.")


def _do_items(run: Run) -> None:
    StepItem.objects.filter(run=run).update(next_attempt_at=None)
    for slot in ItemSlot.objects.filter(run=run):
        work(run.pk, slot.step, slot.number)


def outputs(run: Run) -> dict[str, Any]:
    """Return the output of each step that is done, by its name."""
    steps = StepRun.objects.filter(run=run, status__in=["succeeded", "fell_back"])
    return dict(steps.order_by("position").values_list("step", "output"))
