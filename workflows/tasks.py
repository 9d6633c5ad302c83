"""What Celery runs: load by id, call one service."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from celery.signals import worker_process_init

from workflows.dispatch import ADVANCE_RUN
from workflows.engine.holder import start_heartbeat
from workflows.engine.runner import advance


@shared_task(name=ADVANCE_RUN)
def advance_run(run_id: str) -> None:
    """Take a run as far as it goes now."""
    advance(UUID(run_id))


@worker_process_init.connect
def start_the_heartbeat(**kwargs: object) -> None:
    """Let each pool process say that it lives, and renew the lease of the run in its hands."""
    start_heartbeat(["workflows"])
