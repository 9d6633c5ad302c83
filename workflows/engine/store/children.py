"""A run that another one's step has started tells it that it has ended."""

from __future__ import annotations

from uuid import UUID

from workflows.engine.store.statement import run_sql

# Never waits for the parent's row: who holds it (a person who cancels both, its own worker) looks at the child next.
_WAKE_PARENT = """
WITH parent AS (
    SELECT p.id FROM workflows_run c JOIN workflows_run p ON p.id = c.parent_id
    WHERE c.id = %(child)s::uuid AND p.current_step = c.parent_step AND p.lease_owner = ''
      AND (p.status = 'waiting' AND p.waiting_reason = 'event' OR p.status = 'rolling_back' AND p.wake_at IS NOT NULL)
    FOR UPDATE OF p SKIP LOCKED
)
UPDATE workflows_run r SET
    status = CASE WHEN r.status = 'waiting' THEN 'queued' ELSE r.status END, waiting_reason = '', waiting_on = '',
    wake_at = NULL, dispatched_at = clock_timestamp(), dispatch_count = r.dispatch_count + 1
FROM parent WHERE r.id = parent.id RETURNING r.id, r.queue
"""


def wake_parent(child_id: UUID) -> list[tuple[UUID, str]]:
    """Queue the run whose step waits for this one; returns (id, queue) of it, or nothing if none does."""
    return [(row[0], row[1]) for row in run_sql(_WAKE_PARENT, {"child": child_id})]
