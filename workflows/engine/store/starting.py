"""Writing a new run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workflows.engine.store.statement import run_sql

_INSERT_RUN = """
WITH flow AS (
    SELECT id, paused_at FROM workflows_workflow
    WHERE id = %(workflow)s::bigint AND latest_version >= %(version)s::int
), made AS (
    INSERT INTO workflows_run (
        id, workflow_id, version, status, waiting_reason, waiting_on, input, idempotency_key, correlation_id,
        started_by, customer_key, amount, currency, current_step, undo_to_step, request, lease_owner, fence,
        dispatched_at, dispatch_count, event_count, retry_count, lost_count, queue, is_demo, created_at, due_at)
    SELECT
        %(id)s::uuid, flow.id, %(version)s::int, CASE WHEN paused_at IS NULL THEN 'queued' ELSE 'scheduled' END,
        '', '', %(input)s::jsonb, %(idempotency_key)s::text, %(correlation_id)s::text, %(started_by)s::text,
        %(customer_key)s::text, %(amount)s::numeric, %(currency)s::text, %(current_step)s::text, '', '', '',
        0, clock_timestamp(), 1, 1, 0, 0, %(queue)s::text, false, clock_timestamp(),
        clock_timestamp() + %(within)s::float * interval '1 second'
    FROM flow
    ON CONFLICT (workflow_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, status, created_at, dispatched_at, due_at
), events AS (
    INSERT INTO workflows_runevent (run_id, number, at, kind, step, data)
    SELECT id, 1, clock_timestamp(), 'run.accepted', '', %(event)s::jsonb FROM made
)
SELECT made.status, created_at, dispatched_at, due_at FROM flow LEFT JOIN made ON true
"""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A run as it was written: ``status`` is scheduled while its workflow is held."""

    status: str
    created_at: datetime
    dispatched_at: datetime
    due_at: datetime


def insert_run(values: dict[str, Any]) -> Accepted | None:
    """Write a new run and its first event; None if its idempotency key is taken already.

    :raises LookupError: if there is no workflow of this id, or not in this version.
    """
    rows = run_sql(_INSERT_RUN, values)
    if not rows:
        raise LookupError(values["workflow"])
    status, *times = rows[0]
    return None if status is None else Accepted(status, *times)


def workflow_state(slug: str) -> tuple[int, int, int, datetime | None] | None:
    """Return what may have changed of a workflow: (id, team's id, latest version, held since); None if unknown."""
    rows = run_sql(
        "SELECT id, team_id, latest_version, paused_at FROM workflows_workflow WHERE slug = %(slug)s::text",
        {"slug": slug},
    )
    return (rows[0][0], rows[0][1], rows[0][2], rows[0][3]) if rows else None
