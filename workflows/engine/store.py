"""The engine's SQL: the only module of the engine that talks to PostgreSQL.

Each call is one statement, so one round trip and, outside a transaction, one commit. Statements run on
Django's connection (a step's own ORM writes and its checkpoint commit together) but as prepared,
server-side-bound statements. Times are the database's: workers' clocks need not agree.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection
from psycopg.rows import TupleRow

from portal.core.errors import LeaseLost
from workflows.engine.state import FINAL_RUN_STATUSES, RunStatus, StepStatus, WaitingReason

LEASE_SECONDS = 12.0
RENEW_SECONDS = 4.0
MAX_LOSSES = 5  # a step that takes this many workers down in a row goes to a person
CHANNEL = "evenkeel_dispatch"  # also named in _WAKE_DISPATCHER


@dataclass(slots=True)
class Claimed:
    """A run that this worker holds, with its checkpoints as they were at the claim."""

    run_id: UUID
    workflow: str
    version: int
    status: RunStatus
    input: Any
    correlation_id: str
    started_by: str
    fence: int
    undo_to_step: str
    current_step: str
    lost_count: int
    request: str
    steps: list[dict[str, Any]]


@dataclass(slots=True, kw_only=True)
class Noted:
    """Something to write. ``at``: when it was noted (monotonic seconds), which may be a while before the commit."""

    at: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class StepWrite(Noted):
    """A checkpoint to write. ``seconds``: how long it took, None to keep the times; ``retry_in``: seconds or None."""

    step: str
    position: int
    status: StepStatus
    attempts: int
    helper_attempts: int
    generation: int
    output: Any
    error: dict[str, Any] | None
    seconds: float | None = None
    retry_in: float | None = None
    undone: bool = False


@dataclass(slots=True)
class EventWrite(Noted):
    """A line for the run's history."""

    kind: str
    step: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class AttemptWrite(Noted):
    """A try that did not become a checkpoint."""

    step: str
    number: int
    kind: str
    outcome: str
    error: dict[str, Any] | None
    seconds: float
    retry_in: float | None = None


@dataclass(slots=True)
class Release:
    """How a worker leaves a run. ``wake_in``: seconds until it goes on by itself, or None."""

    status: RunStatus
    waiting_reason: WaitingReason = WaitingReason.NONE
    waiting_on: str = ""
    wake_in: float | None = None
    output: Any = None
    error: dict[str, Any] | None = None
    current_step: str = ""


@dataclass(slots=True)
class Writes:
    """What goes along with a checkpoint or a release."""

    steps: list[StepWrite] = field(default_factory=list)
    events: list[EventWrite] = field(default_factory=list)
    attempts: list[AttemptWrite] = field(default_factory=list)


def _run_sql(sql: str, parameters: dict[str, Any]) -> list[TupleRow]:
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(sql, parameters, prepare=True).fetchall()


_CLAIM = """
WITH claimed AS (
    UPDATE workflows_run SET
        status = CASE WHEN status = 'rolling_back' THEN status ELSE 'running' END,
        waiting_reason = '', waiting_on = '', wake_at = NULL,
        fence = fence + 1, lease_owner = %(owner)s::text,
        lease_expires_at = clock_timestamp() + %(lease)s::float * interval '1 second',
        started_at = COALESCE(started_at, clock_timestamp()), current_step_at = clock_timestamp()
    WHERE id = %(run)s AND status IN ('queued', 'rolling_back') AND lease_owner = ''
      AND (wake_at IS NULL OR wake_at <= clock_timestamp())
    RETURNING *
)
SELECT c.id, w.slug, c.version, c.status, c.input::text, c.correlation_id, c.started_by, c.fence, c.undo_to_step,
       c.current_step, c.lost_count, c.request,
       (SELECT jsonb_agg(jsonb_build_object(
            'step', s.step, 'status', s.status, 'attempts', s.attempts, 'helper_attempts', s.helper_attempts,
            'generation', s.generation, 'output', s.output, 'error', s.error))
        FROM workflows_steprun s WHERE s.run_id = c.id)::text
FROM claimed c JOIN workflows_workflow w ON w.id = c.workflow_id
"""


def claim(run_id: UUID, owner: str) -> Claimed | None:
    """Take the run under a new lease and fencing token.

    Returns None when there is nothing to do: the run is finished, waits, or another worker holds it. That is
    what makes a message that is delivered twice harmless.
    """
    rows = _run_sql(_CLAIM, {"run": run_id, "owner": owner, "lease": LEASE_SECONDS})
    if not rows:
        return None
    run, slug, version, status, data, correlation, by, fence, undo_to, step, lost, request, steps = rows[0]
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
        steps=json.loads(steps) if steps else [],
    )


_WRITE_STEPS = """
steps AS (
    INSERT INTO workflows_steprun AS s (
        run_id, step, position, status, attempts, helper_attempts, generation, output, error, worker, fence,
        started_at, ended_at, next_attempt_at, undone_at)
    SELECT h.id, x.step, x.position, x.status, x.attempts, x.helper_attempts, x.generation, x.output, x.error,
        %(owner)s::text, %(fence)s::bigint,
        clock_timestamp() - (x.ago + x.seconds) * interval '1 second',
        CASE WHEN x.seconds IS NOT NULL THEN clock_timestamp() - x.ago * interval '1 second' END,
        clock_timestamp() + x.retry_in * interval '1 second',
        CASE WHEN x.undone THEN clock_timestamp() END
    FROM held h, jsonb_to_recordset(%(steps)s::jsonb) AS x(
        step text, position int, status text, attempts int, helper_attempts int, generation int,
        output jsonb, error jsonb, seconds float, retry_in float, undone bool, ago float)
    ON CONFLICT (run_id, step) DO UPDATE SET
        status = excluded.status, attempts = excluded.attempts, helper_attempts = excluded.helper_attempts,
        generation = excluded.generation, output = excluded.output, error = excluded.error,
        worker = excluded.worker, fence = excluded.fence,
        started_at = COALESCE(excluded.started_at, s.started_at),
        ended_at = COALESCE(excluded.ended_at, s.ended_at),
        next_attempt_at = excluded.next_attempt_at,
        undone_at = COALESCE(excluded.undone_at, s.undone_at)
)"""

_WRITE_EVENTS = """
events AS (
    INSERT INTO workflows_runevent (run_id, number, at, kind, step, data)
    SELECT h.id, h.event_count - %(event_count)s::int + x.number,
        clock_timestamp() - x.ago * interval '1 second', x.kind, x.step, x.data
    FROM held h, jsonb_to_recordset(%(events)s::jsonb) AS x(number int, kind text, step text, data jsonb, ago float)
)"""

_WRITE_ATTEMPTS = """
attempts AS (
    INSERT INTO workflows_attempt (run_id, step, number, kind, outcome, error, worker, started_at, ended_at, retry_at)
    SELECT h.id, x.step, x.number, x.kind, x.outcome, x.error, %(owner)s::text,
        clock_timestamp() - (x.ago + x.seconds) * interval '1 second',
        clock_timestamp() - x.ago * interval '1 second',
        clock_timestamp() + x.retry_in * interval '1 second'
    FROM held h, jsonb_to_recordset(%(attempts)s::jsonb) AS x(
        step text, number int, kind text, outcome text, error jsonb, seconds float, retry_in float, ago float)
)"""

_HOLD = """
held AS (
    UPDATE workflows_run SET
        lease_expires_at = clock_timestamp() + %(lease)s::float * interval '1 second', lost_count = 0,
        current_step = %(current_step)s::text, current_step_at = clock_timestamp(),
        event_count = event_count + %(event_count)s::int
    WHERE id = %(run)s::uuid AND fence = %(fence)s::bigint
    RETURNING id, event_count, request
)"""

_LET_GO = """
held AS (
    UPDATE workflows_run SET
        lease_owner = '', lease_expires_at = NULL, lost_count = 0,
        status = %(status)s::text, waiting_reason = %(waiting_reason)s::text, waiting_on = %(waiting_on)s::text,
        wake_at = clock_timestamp() + %(wake_in)s::float * interval '1 second',
        output = COALESCE(%(output)s::jsonb, output), error = %(error)s::jsonb,
        ended_at = CASE WHEN %(ended)s::bool THEN clock_timestamp() END,
        request = CASE WHEN %(status)s::text = 'waiting' THEN request ELSE '' END,
        current_step = %(current_step)s::text, current_step_at = clock_timestamp(),
        retry_count = retry_count + %(retries)s::int,
        event_count = event_count + %(event_count)s::int
    WHERE id = %(run)s::uuid AND fence = %(fence)s::bigint
    RETURNING id, event_count, request
)"""

_RESULT = "SELECT request FROM held"
_WAKE_DISPATCHER = "SELECT request, pg_notify('evenkeel_dispatch', '') FROM held"
_CHECKPOINT = f"WITH {_HOLD}, {_WRITE_STEPS}, {_WRITE_EVENTS} {_RESULT}"
_RELEASE = f"WITH {_LET_GO}, {_WRITE_STEPS}, {_WRITE_EVENTS} {_RESULT}"
_CHECKPOINT_WITH_ATTEMPTS = f"WITH {_HOLD}, {_WRITE_STEPS}, {_WRITE_EVENTS}, {_WRITE_ATTEMPTS} {_RESULT}"
_RELEASE_WITH_ATTEMPTS = f"WITH {_LET_GO}, {_WRITE_STEPS}, {_WRITE_EVENTS}, {_WRITE_ATTEMPTS} {_WAKE_DISPATCHER}"


def _lines(writes: Sequence[Noted]) -> list[dict[str, Any]]:
    """Return the writes as JSON objects, each with the seconds that have passed since it was noted."""
    now = time.monotonic()
    # Not dataclasses.asdict: it copies deeply, which costs more than the rest of a checkpoint's preparation.
    return [{name: getattr(write, name) for name in write.__slots__} | {"ago": now - write.at} for write in writes]


def _parameters(run_id: UUID, fence: int, owner: str, writes: Writes) -> dict[str, Any]:
    events = [{"number": number, **line} for number, line in enumerate(_lines(writes.events), 1)]
    parameters: dict[str, Any] = {
        "run": run_id,
        "fence": fence,
        "owner": owner,
        "lease": LEASE_SECONDS,
        "steps": json.dumps(_lines(writes.steps)),
        "events": json.dumps(events),
        "event_count": len(events),
    }
    if writes.attempts:
        parameters["attempts"] = json.dumps(_lines(writes.attempts))
    return parameters


def _one_request(rows: list[TupleRow]) -> str:
    if not rows:
        raise LeaseLost
    return str(rows[0][0])


def checkpoint(run_id: UUID, fence: int, owner: str, writes: Writes, current_step: str) -> str:
    """Write checkpoints and events, renew the lease, and return what a person has asked of the run ("" mostly).

    :raises LeaseLost: if the fencing token is no longer the run's; nothing was written then.
    """
    parameters = _parameters(run_id, fence, owner, writes) | {"current_step": current_step}
    return _one_request(_run_sql(_CHECKPOINT_WITH_ATTEMPTS if writes.attempts else _CHECKPOINT, parameters))


def release(run_id: UUID, fence: int, owner: str, writes: Writes, how: Release) -> str:
    """Write checkpoints and events, and let the run go in a new state, in one statement.

    Returns a request that is still to be obeyed (of a run that waits), else "".

    :raises LeaseLost: if the fencing token is no longer the run's; nothing was written then.
    """
    parameters = _parameters(run_id, fence, owner, writes) | {
        "status": how.status.value,
        "waiting_reason": how.waiting_reason.value,
        "waiting_on": how.waiting_on[:200],
        "wake_in": how.wake_in,
        "output": None if how.output is None else json.dumps(how.output),
        "error": None if how.error is None else json.dumps(how.error),
        "ended": how.status in FINAL_RUN_STATUSES,
        "current_step": how.current_step,
        "retries": sum(attempt.kind == "run" for attempt in writes.attempts),
    }
    return _one_request(_run_sql(_RELEASE_WITH_ATTEMPTS if writes.attempts else _RELEASE, parameters))


def renew(run_id: UUID, fence: int) -> bool:
    """Make the lease last longer; False if the run was taken over or is done."""
    return bool(
        _run_sql(
            "UPDATE workflows_run SET lease_expires_at = clock_timestamp() + %(lease)s::float * interval '1 second'"
            " WHERE id = %(run)s::uuid AND fence = %(fence)s::bigint AND lease_owner <> '' RETURNING 1",
            {"run": run_id, "fence": fence, "lease": LEASE_SECONDS},
        )
    )


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
    rows = _run_sql(_INSERT_RUN, values)
    return (rows[0][0], rows[0][1], rows[0][2]) if rows else None


# --- what the dispatcher asks ------------------------------------------------------------------

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

_REDISPATCH = """
WITH lost AS (
    SELECT id FROM workflows_run
    WHERE status IN ('queued', 'rolling_back') AND lease_owner = '' AND wake_at IS NULL
      AND (dispatched_at IS NULL OR dispatched_at < clock_timestamp() - interval '1 second' *
           CASE WHEN queue = ANY(%(empty_queues)s::text[]) THEN %(patience_empty)s::float
                ELSE %(patience)s::float * power(2, least(dispatch_count, 5)) END)
    ORDER BY dispatched_at NULLS FIRST LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED
)
UPDATE workflows_run r SET dispatched_at = clock_timestamp(), dispatch_count = r.dispatch_count + 1
FROM lost WHERE r.id = lost.id RETURNING r.id, r.queue
"""

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
    """Queue the runs whose time has come; returns (id, queue) of each, to be sent before the commit."""
    return [(row[0], row[1]) for row in _run_sql(_WAKE_DUE, {"limit": limit})]


def take_undelivered(
    limit: int, *, patience: float, patience_empty: float, empty_queues: list[str]
) -> list[tuple[UUID, str]]:
    """Return queued runs that no worker has taken for too long (seconds), to be sent again.

    ``empty_queues`` are those that the broker says hold nothing: what was sent there is lost, or about to start.
    """
    parameters = {
        "limit": limit,
        "patience": patience,
        "patience_empty": patience_empty,
        "empty_queues": empty_queues,
    }
    return [(row[0], row[1]) for row in _run_sql(_REDISPATCH, parameters)]


def reclaim(limit: int, dead_owners: list[str]) -> list[tuple[UUID, str]]:
    """Take runs back whose lease expired or whose owner is known to be dead; returns those to be sent again.

    The fencing token grows, so the former owner can write no more. After ``MAX_LOSSES`` losses without a
    checkpoint in between the run fails and waits for a person.
    """
    parameters = {"limit": limit, "dead": dead_owners, "max_losses": MAX_LOSSES, "error": json.dumps(_LOSS)}
    return [(row[0], row[1]) for row in _run_sql(_RECLAIM, parameters)]


def lease_owners() -> list[str]:
    """Return the owner of every lease that is held now."""
    rows = _run_sql(
        "SELECT DISTINCT lease_owner FROM workflows_run"
        " WHERE status IN ('running', 'rolling_back') AND lease_owner <> ''",
        {},
    )
    return [row[0] for row in rows]


def seconds_to_next_wake() -> float | None:
    """Return the seconds until the next waiting run is due (0 or less: now), or None if none waits for a time."""
    rows = _run_sql(
        "SELECT extract(epoch FROM min(wake_at) - clock_timestamp())::float FROM workflows_run"
        " WHERE wake_at IS NOT NULL",
        {},
    )
    value = rows[0][0]
    return None if value is None else float(value)


def beat(name: str, kind: str, queues: list[str]) -> None:
    """Note that this process lives."""
    _run_sql(
        "INSERT INTO workflows_heartbeat (name, kind, queues, started_at, seen_at)"
        " VALUES (%(name)s, %(kind)s, %(queues)s::jsonb, clock_timestamp(), clock_timestamp())"
        " ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at RETURNING 1",
        {"name": name, "kind": kind, "queues": json.dumps(queues)},
    )


def forget_silent(seconds: float) -> None:
    """Drop the heartbeats of processes that have been silent for this long."""
    _run_sql(
        "DELETE FROM workflows_heartbeat WHERE seen_at < clock_timestamp() - %(seconds)s::float * interval '1 second'"
        " RETURNING 1",
        {"seconds": seconds},
    )
