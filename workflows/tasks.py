"""What Celery runs: one call of a service each."""

from __future__ import annotations

from celery import shared_task
from celery.signals import worker_process_init

from workflows.dispatch import ADVANCE_RUNS
from workflows.drain import drain
from workflows.engine.holder import start_heartbeat


@shared_task(name=ADVANCE_RUNS)
def advance_runs(queue: str) -> None:
    """Take the queue's runs, one after the other, as far as each goes now."""
    drain(queue)


@worker_process_init.connect
def start_the_heartbeat(**kwargs: object) -> None:
    """Let each pool process say that it lives, and renew the lease of the run in its hands."""
    start_heartbeat(["workflows"])
