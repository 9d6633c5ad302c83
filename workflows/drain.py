"""Answering the doorbell: one worker process takes a queue's runs until there is none."""

from __future__ import annotations

import time

from workflows import dispatch
from workflows.engine import runner

# Then the process is free for a moment: to shut down, or for another queue.
DRAIN_SECONDS = 2.0


def drain(queue: str) -> None:
    """Do the queue's runs, the oldest first, until there is none or the time is over.

    1. Take the sign away that the bell was rung.
    2. Take the first run. If there are more, ring: an idle worker joins in, and does the same.
    3. Take run after run. When the time is over, ring, so that somebody goes on.
    """
    dispatch.answer(queue)
    ends_at = time.monotonic() + DRAIN_SECONDS
    claimed, is_more = runner.take_first(queue)
    if is_more:
        dispatch.ring_if_possible(queue)
    while claimed is not None:
        runner.advance_claimed(claimed)
        if time.monotonic() >= ends_at:
            dispatch.ring_if_possible(queue)
            return
        claimed = runner.take_next(queue)
