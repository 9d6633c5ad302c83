"""Answering the doorbell: one worker process takes a queue's runs until there is none."""

from __future__ import annotations

import time

from workflows import dispatch
from workflows.engine import crash_points, runner
from workflows.engine.holder import identity
from workflows.engine.session import Relay
from workflows.events import inbox, store

# Then the process is free for a moment: to shut down, or for another queue.
DRAIN_SECONDS = 2.0
# Events are taken by the handful, as each is little work; whatever a worker leaves behind is taken again after this.
EVENTS_AT_ONCE = 20
EVENTS_LEASE_SECONDS = 30.0


def drain(queue: str) -> None:
    """Do the queue's runs, the oldest first, until there is none or the time is over.

    1. Take the sign away that the bell was rung.
    2. Take the first run. If there are more, ring: an idle worker joins in, and does the same.
    3. Take run after run, each with the statement that lets the one before go. When the time is over, ring, so that
       somebody goes on.
    """
    dispatch.answer(queue)
    ends_at = time.monotonic() + DRAIN_SECONDS
    claimed, is_more = runner.take_first(queue)
    if is_more:
        dispatch.ring_if_possible(queue)
    while claimed is not None:
        relay = Relay(queue, ends_at)
        runner.advance_claimed(claimed, relay)
        if relay.has_looked:
            claimed = relay.taken
        elif time.monotonic() < ends_at:
            claimed = runner.take_next(queue)
        else:
            dispatch.ring_if_possible(queue)
            return


def drain_events() -> None:
    """Act on the events that are due, until there is none or the time is over."""
    dispatch.answer(dispatch.EVENTS)
    ends_at = time.monotonic() + DRAIN_SECONDS
    while taken := store.take(EVENTS_AT_ONCE, by=identity(), lease=EVENTS_LEASE_SECONDS):
        crash_points.reach("consumer.after_take")
        if len(taken) == EVENTS_AT_ONCE or time.monotonic() >= ends_at:
            dispatch.ring_if_possible(dispatch.EVENTS)  # there may be more: an idle worker joins in
        for inbox_id, attempt in taken:
            inbox.handle(inbox_id, attempt)
        if time.monotonic() >= ends_at:
            return
