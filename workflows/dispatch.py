"""Telling a worker that there is something to do. By task name, so that nothing here imports the tasks."""

from __future__ import annotations

import logging
import time
from uuid import UUID

from celery import signature
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from workflows.engine import crash_points

log = logging.getLogger(__name__)
ADVANCE_RUN = "workflows.advance_run"
_REST_SECONDS = 2.0  # after the broker failed, leave the sending to the dispatcher for a moment
_broker_failed_at = float("-inf")


def enqueue_run(run_id: UUID, queue: str) -> None:
    """Send the run to a worker after the caller's transaction has committed.

    Never raises and never waits for a broker that is down: the run is in the database, and the dispatcher
    sends what was not taken.
    """

    def send() -> None:  # a partial would not do: Django logs a robust callback that raised by its __qualname__
        _send_after_commit(run_id, queue)

    transaction.on_commit(send, robust=True)


def send_run(run_id: UUID, queue: str) -> None:
    """Send the run to a worker now.

    :raises kombu.exceptions.OperationalError: if the broker cannot be reached.
    """
    signature(ADVANCE_RUN).apply_async(args=(str(run_id),), queue=queue, retry=False)


def _send_after_commit(run_id: UUID, queue: str) -> None:
    global _broker_failed_at
    crash_points.reach("starter.after_commit")
    if time.monotonic() - _broker_failed_at < _REST_SECONDS:
        return
    try:
        send_run(run_id, queue)
    except (BrokerError, RedisError, OSError) as exc:
        _broker_failed_at = time.monotonic()
        log.warning("The broker cannot be reached (%s); the dispatcher will send run %s.", exc, run_id)
