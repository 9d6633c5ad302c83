"""A worker takes a run: one that it was told of, or the oldest that is queued."""

from __future__ import annotations

import json
from uuid import UUID

from psycopg.rows import TupleRow

from workflows.engine.state import RunStatus
from workflows.engine.store.statement import run_sql
from workflows.engine.store.writes import Claimed

LEASE_SECONDS = 12.0

# Word for word the condition of the index ``run_queued``, or PostgreSQL cannot use it in a prepared statement.
IS_QUEUED = "status IN ('queued', 'rolling_back') AND lease_owner = '' AND wake_at IS NULL"

_TAKE = """
claimed AS (
    UPDATE workflows_run SET
        status = CASE WHEN status = 'rolling_back' THEN status ELSE 'running' END,
        waiting_reason = '', waiting_on = '', wake_at = NULL,
        fence = fence + 1, lease_owner = %(owner)s::text,
        lease_expires_at = clock_timestamp() + %(lease)s::float * interval '1 second',
        started_at = COALESCE(started_at, clock_timestamp()), current_step_at = clock_timestamp()
    WHERE {which}
    RETURNING id, workflow_id, version, status, input, correlation_id, started_by, fence, undo_to_step, current_step,
        lost_count, request, parent_id
)"""

# The first claim of a run finds no checkpoints, so it need not look for any.
_TAKEN = """
c.id, w.slug, c.version, c.status, c.input::text, c.correlation_id, c.started_by, c.fence,
    c.undo_to_step, c.current_step, c.lost_count, c.request, c.parent_id IS NOT NULL,
    CASE WHEN c.fence > 1 THEN (
        SELECT jsonb_agg(jsonb_build_object(
            'step', s.step, 'status', s.status, 'attempts', s.attempts, 'helper_attempts', s.helper_attempts,
            'generation', s.generation, 'output', s.output, 'error', s.error,
            'waited', extract(epoch FROM clock_timestamp() - s.started_at)))
        FROM workflows_steprun s WHERE s.run_id = c.id)::text
    END"""
_FROM_TAKEN = "FROM claimed c JOIN workflows_workflow w ON w.id = c.workflow_id"
_BESIDE_HELD = "FROM held LEFT JOIN (claimed c JOIN workflows_workflow w ON w.id = c.workflow_id) ON true"

_THIS_ONE = """id = %(run)s::uuid AND status IN ('queued', 'rolling_back') AND lease_owner = ''
    AND (wake_at IS NULL OR wake_at <= clock_timestamp())"""
# The oldest first: what was interrupted, or has waited, is older than what was started meanwhile.
_OLDEST = f"""id = (
        SELECT id FROM workflows_run WHERE queue = %(queue)s::text AND {IS_QUEUED} {{condition}}
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"""  # noqa: S608 - of constants
_IS_MORE = f"""EXISTS (
        SELECT 1 FROM workflows_run m WHERE m.queue = %(queue)s::text AND m.id <> c.id AND {IS_QUEUED})"""  # noqa: S608 - of constants

_TAKE_OLDEST = _TAKE.format(which=_OLDEST.format(condition=""))
_CLAIM = f"WITH {_TAKE.format(which=_THIS_ONE)} SELECT false, {_TAKEN} {_FROM_TAKEN}"
_CLAIM_FIRST = f"WITH {_TAKE_OLDEST} SELECT {_IS_MORE}, {_TAKEN} {_FROM_TAKEN}"
_CLAIM_NEXT = f"WITH {_TAKE_OLDEST} SELECT false, {_TAKEN} {_FROM_TAKEN}"

# For the statement that lets a run go (``held``): takes the next one only if that was this worker's to let go.
TAKE_ANOTHER = _TAKE.format(which=_OLDEST.format(condition="AND EXISTS (SELECT 1 FROM held)"))
ANOTHER_TAKEN = f"SELECT held.request, {_TAKEN} {_BESIDE_HELD}"


def claim(run_id: UUID, owner: str) -> Claimed | None:
    """Take the run under a new lease and fencing token.

    Returns None when there is nothing to do: the run is finished, waits, or another worker holds it.
    """
    rows = run_sql(_CLAIM, {"run": run_id, "owner": owner, "lease": LEASE_SECONDS})
    return read_claimed(rows[0]) if rows else None


def claim_first(queue: str, owner: str) -> tuple[Claimed | None, bool]:
    """Take the queue's oldest run, None if there is none; and tell whether more are queued."""
    rows = run_sql(_CLAIM_FIRST, {"queue": queue, "owner": owner, "lease": LEASE_SECONDS})
    return (read_claimed(rows[0]), bool(rows[0][0])) if rows else (None, False)


def claim_next(queue: str, owner: str) -> Claimed | None:
    """Take the queue's oldest run; None if there is none that no other worker is taking this moment."""
    rows = run_sql(_CLAIM_NEXT, {"queue": queue, "owner": owner, "lease": LEASE_SECONDS})
    return read_claimed(rows[0]) if rows else None


def read_claimed(row: TupleRow) -> Claimed:
    """Return the run of a row of these statements."""
    _, run, slug, version, status, data, correlation, by, fence, undo_to, step, lost, request, is_child, steps = row
    return Claimed(
        run_id=run,
        workflow=slug,
        version=version,
        status=RunStatus(status),
        input=json.loads(data),
        correlation_id=correlation,
        started_by=by,
        fence=fence,
        undo_to_step=undo_to,
        current_step=step,
        lost_count=lost,
        request=request,
        is_child=is_child,
        steps=json.loads(steps) if steps else [],
    )
