"""What Celery runs: load by id, call one service."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from diagnostics.reconciliation.services import TASK, carry_out


@shared_task(name=TASK)
def reconcile(reconciliation_id: str) -> None:
    """Carry a check out."""
    carry_out(UUID(reconciliation_id))
