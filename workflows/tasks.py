"""What Celery runs: one call of a service each."""

from __future__ import annotations

from uuid import UUID

from celery import current_app, shared_task
from celery.signals import worker_process_init

from workflows.dispatch import ADVANCE_RUNS, DO_ITEMS, HANDLE_EVENTS
from workflows.drain import drain, drain_events
from workflows.engine.holder import start_heartbeat
from workflows.engine.items import work


@shared_task(name=ADVANCE_RUNS)
def advance_runs(queue: str) -> None:
    """Take the queue's runs, one after the other, as far as each goes now."""
    drain(queue)


@shared_task(name=DO_ITEMS)
def do_items(run_id: str, step: str, slot: int) -> None:
    """Do items of a fan-out for a while."""
    work(UUID(run_id), step, slot)


@shared_task(name=HANDLE_EVENTS)
def handle_events() -> None:
    """Act on the events that are due."""
    drain_events()


@worker_process_init.connect
def start_the_heartbeat(**kwargs: object) -> None:
    """Let each pool process say that it lives, and renew the lease of the run in its hands."""
    start_heartbeat(sorted(current_app.amqp.queues.consume_from))
