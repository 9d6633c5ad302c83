"""What the dispatcher asks: which runs are due, which were left alone, and which dead workers held."""

from __future__ import annotations

import json
from uuid import UUID

from workflows.engine.store.claiming import IS_QUEUED
from workflows.engine.store.statement import run_sql

CHANNEL = "evenkeel_dispatch"  # also named in holding.py, where a release notifies
MAX_LOSSES = 5  # a step that takes this many workers down in a row goes to a person

_WAKE_DUE = """
WITH due AS (
    SELECT id FROM workflows_run
    WHERE wake_at <= clock_timestamp() AND lease_owner = '' AND status IN ('waiting', 'rolling_back')
    ORDER BY wake_at LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED
)
UPDATE workflows_run r SET
    status = CASE WHEN r.status = 'waiting' THEN 'queued' ELSE r.status END, waiting_reason = '', waiting_on = '',
    wake_at = NULL, dispatched_at = clock_timestamp(), dispatch_count = r.dispatch_count + 1
FROM due WHERE r.id = due.id RETURNING r.id, r.queue
"""

# Which queues hold a run is found by going from one to the next in the index, whatever their length.
_LEFT_ALONE = f"""
WITH RECURSIVE queues AS (
    (SELECT queue FROM workflows_run WHERE {IS_QUEUED} ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT queue FROM workflows_run WHERE queue > q.queue AND {IS_QUEUED} ORDER BY queue LIMIT 1)
    FROM queues q WHERE q.queue IS NOT NULL
)
SELECT q.queue FROM queues q WHERE q.queue IS NOT NULL AND EXISTS (
    SELECT 1 FROM workflows_run r WHERE r.queue = q.queue AND {IS_QUEUED}
        AND (dispatched_at IS NULL OR dispatched_at < clock_timestamp() - %(seconds)s::float * interval '1 second'))
"""  # noqa: S608 - of constants

_RECLAIM = """
WITH expired AS (
    SELECT id, lease_owner, status AS was FROM workflows_run
    WHERE status IN ('running', 'rolling_back') AND lease_owner <> ''
      AND (lease_expires_at < clock_timestamp() OR lease_owner = ANY(%(dead)s::text[]))
    LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED
), held AS (
    UPDATE workflows_run r SET
        status = CASE WHEN r.lost_count + 1 < %(max_losses)s::int AND e.was = 'running' THEN 'queued'
                      WHEN r.lost_count + 1 < %(max_losses)s::int THEN e.was
                      WHEN e.was = 'running' THEN 'failed' ELSE 'rollback_failed' END,
        ended_at = CASE WHEN r.lost_count + 1 < %(max_losses)s::int THEN NULL ELSE clock_timestamp() END,
        error = CASE WHEN r.lost_count + 1 < %(max_losses)s::int THEN r.error ELSE %(error)s::jsonb END,
        lease_owner = '', lease_expires_at = NULL, fence = r.fence + 1, lost_count = r.lost_count + 1,
        dispatched_at = clock_timestamp(), dispatch_count = r.dispatch_count + 1,
        event_count = r.event_count + CASE WHEN r.lost_count + 1 < %(max_losses)s::int THEN 1 ELSE 2 END
    FROM expired e WHERE r.id = e.id
    RETURNING r.id, r.queue, r.status, r.current_step, r.current_step_at, r.event_count, r.lost_count,
        e.lease_owner, e.was
), events AS (
    INSERT INTO workflows_runevent (run_id, number, at, kind, step, data)
    SELECT id, event_count - CASE WHEN status IN ('failed', 'rollback_failed') THEN 1 ELSE 0 END, clock_timestamp(),
        'run.reclaimed', current_step, jsonb_build_object('worker', lease_owner, 'losses', lost_count)
    FROM held
    UNION ALL
    SELECT id, event_count, clock_timestamp(),
        CASE status WHEN 'failed' THEN 'run.failed' ELSE 'run.rollback_failed' END, current_step,
        jsonb_build_object('error', %(error)s::jsonb)
    FROM held WHERE status IN ('failed', 'rollback_failed')
), attempts AS (
    INSERT INTO workflows_attempt (run_id, step, number, kind, outcome, error, worker, started_at, ended_at)
    SELECT id, current_step, lost_count, CASE was WHEN 'running' THEN 'run' ELSE 'compensate' END, 'lost',
        %(error)s::jsonb, lease_owner, current_step_at,
        clock_timestamp()
    FROM held WHERE current_step <> ''
)
SELECT id, queue FROM held WHERE status IN ('queued', 'rolling_back')
"""

_LOSS = {
    "type": "WorkerLost",
    "code": "worker-lost",
    "message": "The worker died or could not be reached while it was in this step.",
    "context": {},
    "chain": [],
    "stack": [],
}


def wake_due(limit: int) -> list[tuple[UUID, str]]:
    """Queue the runs whose time has come; returns (id, queue) of each."""
    return [(row[0], row[1]) for row in run_sql(_WAKE_DUE, {"limit": limit})]


def queues_left_alone(seconds: float) -> list[str]:
    """Return the queues that hold a run which no worker has taken for that long."""
    return [row[0] for row in run_sql(_LEFT_ALONE, {"seconds": seconds})]


def reclaim(limit: int, dead_owners: list[str]) -> list[tuple[UUID, str]]:
    """Take runs back whose lease expired or whose owner is known to be dead; returns those that are queued again.

    The fencing token grows, so the former owner can write no more. After ``MAX_LOSSES`` losses without a
    checkpoint in between the run fails and waits for a person.
    """
    parameters = {"limit": limit, "dead": dead_owners, "max_losses": MAX_LOSSES, "error": json.dumps(_LOSS)}
    return [(row[0], row[1]) for row in run_sql(_RECLAIM, parameters)]


def lease_owners() -> list[str]:
    """Return the owner of every lease that is held now."""
    rows = run_sql(
        "SELECT DISTINCT lease_owner FROM workflows_run"
        " WHERE status IN ('running', 'rolling_back') AND lease_owner <> ''",
        {},
    )
    return [row[0] for row in rows]


def seconds_to_next_wake() -> float | None:
    """Return the seconds until the next waiting run is due (0 or less: now), or None if none waits for a time."""
    rows = run_sql(
        "SELECT extract(epoch FROM min(wake_at) - clock_timestamp())::float FROM workflows_run"
        " WHERE wake_at IS NOT NULL",
        {},
    )
    value = rows[0][0]
    return None if value is None else float(value)
