"""Runs to repair, and bulk operations on them, driven in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from portal.core.actor import Actor
from tests.engine import drive, flows
from tests.engine.flows import Note, order_flow
from workflows.bulk import engine
from workflows.bulk.preview import Selection, dry_run
from workflows.bulk.services import Expected, start_operation
from workflows.errors import BusinessRuleViolation
from workflows.models import BulkItem, BulkOperation, Run

REASON = "The shop is open again."


def refuse(ctx: object) -> Note:
    raise BusinessRuleViolation("The shop is closed today")


def failed_runs(number: int, **order: Any) -> list[Run]:
    """Return runs that failed at ``reserve``, in the order of their ids; afterwards the shop is open again."""
    flows.behaviour["reserve"] = refuse
    runs = [drive.drive(drive.started(order_flow, **order)) for _ in range(number)]
    flows.behaviour.clear()
    return sorted(runs, key=lambda run: run.pk)


def select(command: str = "resume", filter: str = "state=failed", *chosen: UUID) -> Selection:
    """Return a selection of runs."""
    return Selection("run", command, filter, chosen)


def begin(actor: Actor, selection: Selection | None = None, **fields: Any) -> BulkOperation:
    """Start an operation on exactly what its dry run shows."""
    selection = selection or select()
    found = dry_run(actor, selection)
    expected = Expected(found.count, found.digest)
    values: dict[str, Any] = {"reason": REASON, "per_minute": 60} | fields
    return start_operation(actor=actor, selection=selection, expected=expected, **values).operation


def carry_on(operation: BulkOperation, clock: Any, *, until: Callable[[], bool] | None = None) -> BulkOperation:
    """Let a dispatcher work for up to five minutes of the test's clock, and workers drive what was resumed."""
    for _ in range(300):
        took = engine.advance(operation.pk)
        operation.refresh_from_db()
        if operation.status != "running" or (until and until()):
            break
        for run in _sent(operation) if took else ():
            drive.drive(run)
        clock.shift(1)
    return operation


def _sent(operation: BulkOperation) -> QuerySet[Run]:
    """Return the runs that the operation has handed to workers."""
    done = BulkItem.objects.filter(operation=operation, status="done").values("object_id")
    return Run.objects.filter(pk__in=done, status__in=["queued", "rolling_back"])


def statuses(operation: BulkOperation) -> list[str]:
    """Return the status of each item, in order."""
    return list(BulkItem.objects.filter(operation=operation).order_by("position").values_list("status", flat=True))


def verdicts(operation: BulkOperation) -> list[str]:
    """Return the verdict on each item, in order."""
    return list(BulkItem.objects.filter(operation=operation).order_by("position").values_list("verdict", flat=True))
