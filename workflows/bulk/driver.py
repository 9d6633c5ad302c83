"""What a dispatcher process does for bulk operations, in a thread beside its own work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import Error as DatabaseError
from django.db import connection, transaction

from portal.core import clock
from workflows.bulk import engine
from workflows.models import BulkOperation

log = structlog.get_logger(__name__)
POLL_SECONDS = 1.0


def tick() -> float:
    """Take each running operation one item further; returns the seconds until there may be more to do."""
    running = BulkOperation.objects.filter(status=BulkOperation.Status.RUNNING)
    took = [_advance(operation_id) for operation_id in running.values_list("pk", flat=True)]
    if not any(took):
        return POLL_SECONDS
    due = running.order_by("next_at").values_list("next_at", flat=True).first()
    wait = (due - clock.now()) / timedelta(seconds=1) if due else POLL_SECONDS
    return min(max(wait, 0.0), POLL_SECONDS)


@contextmanager
def running_driver() -> Iterator[None]:
    """Drive bulk operations in a thread for the length of a ``with`` block."""
    stop = threading.Event()
    thread = threading.Thread(target=_drive, args=(stop,), name="bulk-operations", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=POLL_SECONDS)


def _drive(stop: threading.Event) -> None:
    seconds = 0.0
    while not stop.wait(seconds):
        try:
            seconds = tick()
        except DatabaseError as exc:
            log.warning("bulk_waits_for_database", error=str(exc))
            connection.close()
            seconds = POLL_SECONDS
    connection.close()


def _advance(operation_id: UUID) -> bool:
    try:
        return engine.advance(operation_id)
    except DatabaseError:
        raise
    except Exception as exc:  # one operation's mistake must not stop the others, nor go unnoticed
        log.exception("bulk_operation_failed", operation=str(operation_id))
        _halt(operation_id, f"The portal itself failed at this ({type(exc).__name__}); its log says more.")
        return False


@transaction.atomic
def _halt(operation_id: UUID, because: str) -> None:
    operation = BulkOperation.objects.select_for_update().get(pk=operation_id)
    if operation.status == BulkOperation.Status.RUNNING:
        engine.halt(operation, because)
        operation.save()
