"""Runs that steps of other runs have started: telling the other run when one has ended."""

from __future__ import annotations

from uuid import UUID

from workflows import dispatch
from workflows.engine import store


def tell_parent(child_id: UUID) -> None:
    """Let the run go on whose step waits for this one. In the transaction in which this one ends.

    If the other run is locked at this moment it is not told; it looks again by itself.
    """
    for run_id, queue in store.wake_parent(child_id):
        dispatch.enqueue_run(run_id, queue)
