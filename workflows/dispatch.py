"""Telling workers that there is something to do. By task name, so that nothing here imports the tasks.

The message is a doorbell: it names a queue, and whoever answers it takes that queue's runs from the database until
there is none. One ring is enough for any number of runs, so a key in Redis says that it has been rung and nobody has
come yet:

1. Whoever queues a run commits first, then sets the key if it is not set, and sends the message only if it was not.
2. Whoever answers takes the key away first, then looks for runs.

So either the answer comes after the commit and finds the run, or it took the key away before, and the bell is rung
again. The key expires, and the dispatcher rings where runs stay: a message or a broker that is lost costs seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cache
from uuid import UUID

from celery import signature
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from workflows.engine import crash_points

log = logging.getLogger(__name__)
ADVANCE_RUNS = "workflows.advance_runs"
DO_ITEMS = "workflows.do_items"
HANDLE_EVENTS = "workflows.handle_events"
EVENTS = "events"  # the queue of inbox rows; all others are queues of runs
RUNG_MS = 1500  # a bell that nobody answered for this long may be rung again
UNREACHABLE = (BrokerError, RedisError, OSError)
_REST_SECONDS = 2.0  # after the broker failed, leave the ringing to the dispatcher for a moment
_broker_failed_at = float("-inf")


def enqueue_run(run_id: UUID, queue: str) -> None:
    """Ring for the run's queue after the caller's transaction has committed.

    Never raises and never waits for a broker that is down: the run is in the database, and the dispatcher
    rings for what was not taken.
    """

    def ring_for_it() -> None:  # a partial would not do: Django logs a robust callback that raised by __qualname__
        crash_points.reach("starter.after_commit")
        ring_if_possible(queue)

    transaction.on_commit(ring_for_it, robust=True)


def enqueue_events() -> None:
    """Ring for the inboxes after the caller's transaction has committed. Never raises, as above."""

    def ring_for_them() -> None:
        ring_if_possible(EVENTS)

    transaction.on_commit(ring_for_them, robust=True)


def ring_if_possible(queue: str) -> None:
    """Call a worker to the queue now; leave it to the dispatcher if the broker cannot be reached."""
    _if_possible(lambda: ring(queue), queue)


def enqueue_items(run_id: UUID, step: str, slots: Sequence[int], queue: str) -> None:
    """Ask a worker for each of these slots of a fan-out, after the caller's transaction has committed.

    These are no bells: each names what is to be done. Never raises: the run looks again after a while, and asks
    for the slots that nobody has taken.
    """

    def send() -> None:
        for slot in slots:
            signature(DO_ITEMS).apply_async(args=(str(run_id), step, slot), queue=queue, retry=False)

    def send_if_possible() -> None:
        _if_possible(send, queue)

    transaction.on_commit(send_if_possible, robust=True)


def _if_possible(send: Callable[[], None], queue: str) -> None:
    global _broker_failed_at
    if time.monotonic() - _broker_failed_at < _REST_SECONDS:
        return
    try:
        send()
    except UNREACHABLE as exc:
        _broker_failed_at = time.monotonic()
        log.warning("The broker cannot be reached (%s); what queue %s holds is sent for later.", exc, queue)


def ring(queue: str) -> None:
    """Call a worker to the queue now, unless one was called a moment ago and has not come yet.

    :raises kombu.exceptions.OperationalError, redis.RedisError, OSError: if the broker cannot be reached.
    """
    if broker().set(_key(queue), b"1", nx=True, px=RUNG_MS):
        task, arguments = (HANDLE_EVENTS, ()) if queue == EVENTS else (ADVANCE_RUNS, (queue,))
        signature(task).apply_async(args=arguments, queue=queue, retry=False)


def answer(queue: str) -> None:
    """Take the sign away that the bell was rung: who queues a run from now on rings again."""
    try:
        broker().delete(_key(queue))
    except UNREACHABLE as exc:
        log.warning("The broker cannot be reached (%s); queue %s is answered without it.", exc, queue)


def is_silent(queue: str) -> bool:
    """Tell whether no message for this queue waits at the broker.

    :raises redis.RedisError: if the broker cannot be reached.
    """
    return broker().llen(queue) == 0


@cache
def broker() -> Redis:
    """Return this process's client of the broker (its connections notice a fork).

    A connection that the broker has closed meanwhile is opened once more, without waiting.
    """
    return Redis.from_url(
        settings.CACHES["default"]["LOCATION"],
        socket_connect_timeout=1,
        socket_timeout=2,
        retry=Retry(NoBackoff(), 1),
    )


def _key(queue: str) -> str:
    return f"evenkeel:doorbell:{queue}"
