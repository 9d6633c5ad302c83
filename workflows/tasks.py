"""What Celery runs: load by id, call one service."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from workflows.dispatch import ADVANCE_RUN
from workflows.engine.runner import advance


@shared_task(name=ADVANCE_RUN)
def advance_run(run_id: str) -> None:
    """Take a run as far as it goes now."""
    advance(UUID(run_id))
