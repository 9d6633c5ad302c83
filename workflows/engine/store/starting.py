"""Writing a new run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from workflows.engine.store.statement import run_sql

_INSERT_RUN = """
WITH made AS (
    INSERT INTO workflows_run (
        id, workflow_id, version, status, waiting_reason, waiting_on, input, idempotency_key, correlation_id,
        started_by, customer_key, amount, currency, current_step, undo_to_step, request, lease_owner, fence,
        dispatched_at, dispatch_count, event_count, retry_count, lost_count, queue, is_demo, created_at, due_at)
    VALUES (
        %(id)s, %(workflow)s, %(version)s, %(status)s, '', '', %(input)s::jsonb, %(idempotency_key)s::text,
        %(correlation_id)s, %(started_by)s, %(customer_key)s, %(amount)s, %(currency)s, %(current_step)s, '', '', '',
        0, clock_timestamp(), 1, 1, 0, 0, %(queue)s, false, clock_timestamp(),
        clock_timestamp() + %(within)s::float * interval '1 second')
    ON CONFLICT (workflow_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, created_at, dispatched_at, due_at
), events AS (
    INSERT INTO workflows_runevent (run_id, number, at, kind, step, data)
    SELECT id, 1, clock_timestamp(), 'run.accepted', '', %(event)s::jsonb FROM made
)
SELECT created_at, dispatched_at, due_at FROM made
"""


def insert_run(values: dict[str, Any]) -> tuple[datetime, datetime, datetime] | None:
    """Write a new run and its first event.

    Returns (created at, dispatched at, due at), or None if its idempotency key is taken already.
    """
    rows = run_sql(_INSERT_RUN, values)
    return (rows[0][0], rows[0][1], rows[0][2]) if rows else None


def workflow_state(slug: str) -> tuple[int, int, int, datetime | None] | None:
    """Return what may have changed of a workflow: (id, team's id, latest version, held since); None if unknown."""
    rows = run_sql(
        "SELECT id, team_id, latest_version, paused_at FROM workflows_workflow WHERE slug = %(slug)s::text",
        {"slug": slug},
    )
    return (rows[0][0], rows[0][1], rows[0][2], rows[0][3]) if rows else None
