"""Writing the generated past into the engine's own tables, once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

import httpx
from django.db import models, transaction

from portal.core.actor import SYSTEM
from portal.core.audit import record
from portal.core.clock import now
from portal.demo.history.past import DAYS, Outage, Past
from portal.demo.history.story import Rows
from portal.demo.models import LedgerEntry, PastRecord
from portal.demo.retention.models import RetentionEntry
from portal.demo.sandbox.client import SandboxClient
from workflows.models import (
    Attempt,
    BreakerEvent,
    DeadLetter,
    Dependency,
    InboxMessage,
    OutboxMessage,
    Run,
    RunEvent,
    StepItem,
    StepRun,
    Workflow,
    WorkflowVersion,
)

log = logging.getLogger(__name__)
BATCH = 1000


@transaction.atomic
def write_history(*, days: int = DAYS) -> int:
    """Write the past of the last ``days`` days; return the number of runs, 0 if there is a past already.

    The workflows must have been registered.
    """
    workflows = {workflow.slug: workflow for workflow in Workflow.objects.select_for_update()}
    if Run.objects.filter(is_demo=True).exists():
        return 0
    past = Past(now(), workflows, days=days)
    rows = past.tell()
    _insert(rows)
    _write_outage(past.outage)
    registered_at = past.start - timedelta(days=1)
    Workflow.objects.filter(pk__in=[w.pk for w in workflows.values()]).update(registered_at=registered_at)
    WorkflowVersion.objects.filter(workflow__in=workflows.values()).update(first_seen_at=registered_at)
    record(
        actor=SYSTEM,
        action="demo.history.write",
        object_type="history",
        object_id="demo",
        object_label=f"{days} days of demo history",
        after={"runs": len(rows.runs), "from": past.start, "to": past.now},
    )
    return len(rows.runs)


def _insert(rows: Rows) -> None:
    tables: Sequence[tuple[type[models.Model], Sequence[models.Model]]] = (
        (Run, rows.runs),
        (StepRun, rows.steps),
        (Attempt, rows.attempts),
        (RunEvent, rows.events),
        (LedgerEntry, rows.entries),
        (PastRecord, rows.records),
        (StepItem, rows.items),
        (RetentionEntry, rows.kept),
        (OutboxMessage, rows.messages),
        (InboxMessage, rows.inboxes),
        (DeadLetter, rows.letters),
    )
    for model, lines in tables:
        model._default_manager.bulk_create(lines, batch_size=BATCH)


def _write_outage(outage: Outage) -> None:
    gateway = Dependency.objects.filter(name="payments-gateway").first()
    if gateway is None:
        return
    why = "10 of the last 12 calls failed"
    moves = [(outage.breaker_opens, "closed", "open", why)]
    probe = outage.breaker_opens + timedelta(seconds=10)
    pause = timedelta(seconds=20)
    while probe < outage.well_again:
        moves.append((probe, "open", "half_open", f"Being probed. Before that: {why}"))
        moves.append((probe + timedelta(seconds=1), "half_open", "open", "A probe was not answered well"))
        probe += pause
        pause = min(pause * 2, timedelta(minutes=10))
    moves.append((outage.well_again, "open", "half_open", f"Being probed. Before that: {why}"))
    moves.append((outage.well_again + timedelta(seconds=2), "half_open", "closed", "3 probes in a row went well"))
    BreakerEvent.objects.bulk_create(
        BreakerEvent(dependency=gateway, at=at, old=old, new=new, reason=reason, actor_label="engine")
        for at, old, new, reason in moves
    )


def tell_the_sandbox(client: SandboxClient) -> int:
    """Hand the outside world's part of the past to the sandbox; return how many records that were.

    Until it knows them, a run of the past cannot be rolled back: there would be no charge to refund.

    :raises httpx.HTTPError: if the sandbox cannot be reached; what it has not taken is kept.
    """
    told = 0
    while batch := list(PastRecord.objects.order_by("made_at")[:BATCH]):
        client.add_history(
            [
                {
                    "id": past.id,
                    "collection": past.collection,
                    "operation_key": past.operation_key,
                    "once_key": past.once_key,
                    "body": past.body,
                    "made_at": past.made_at.isoformat(timespec="milliseconds"),
                }
                for past in batch
            ]
        )
        PastRecord.objects.filter(pk__in=[past.pk for past in batch]).delete()
        told += len(batch)
    return told


def tell_the_sandbox_if_it_listens(url: str) -> int | None:
    """Do the same, or return None where the sandbox does not answer yet (the live traffic does it later)."""
    try:
        with SandboxClient(url) as client:
            return tell_the_sandbox(client)
    except httpx.HTTPError as exc:
        log.info("The sandbox does not answer yet: %s", exc)
        return None
