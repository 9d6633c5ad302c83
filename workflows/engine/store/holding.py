"""A worker's statements about the run it holds: checkpoint, release, renew."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import TupleRow

from portal.core.errors import LeaseLost
from workflows.engine.state import FINAL_RUN_STATUSES
from workflows.engine.store.claiming import ANOTHER_TAKEN, LEASE_SECONDS, TAKE_ANOTHER, read_claimed
from workflows.engine.store.statement import run_sql
from workflows.engine.store.writes import Claimed, Noted, Release, Writes

RENEW_SECONDS = 4.0

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
_RELEASE_AND_TAKE = f"WITH {_LET_GO}, {_WRITE_STEPS}, {_WRITE_EVENTS}, {TAKE_ANOTHER} {ANOTHER_TAKEN}"
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
    return _one_request(run_sql(_CHECKPOINT_WITH_ATTEMPTS if writes.attempts else _CHECKPOINT, parameters))


def release(run_id: UUID, fence: int, owner: str, writes: Writes, how: Release) -> None:
    """Write checkpoints and events, and let the run go in a new state, in one statement.

    :raises LeaseLost: if the fencing token is no longer the run's; nothing was written then.
    """
    parameters = _release_parameters(run_id, fence, owner, writes, how)
    _one_request(run_sql(_RELEASE_WITH_ATTEMPTS if writes.attempts else _RELEASE, parameters))


def release_and_take(
    run_id: UUID, fence: int, owner: str, writes: Writes, how: Release, *, queue: str
) -> Claimed | None:
    """Let the run go as ``release`` does, and take the queue's oldest run, all in one statement.

    :raises LeaseLost: if the fencing token is no longer the run's; nothing was written or taken then.
    """
    rows = run_sql(_RELEASE_AND_TAKE, _release_parameters(run_id, fence, owner, writes, how) | {"queue": queue})
    _one_request(rows)
    return None if rows[0][1] is None else read_claimed(rows[0])


def _release_parameters(run_id: UUID, fence: int, owner: str, writes: Writes, how: Release) -> dict[str, Any]:
    return _parameters(run_id, fence, owner, writes) | {
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


def renew(run_id: UUID, fence: int) -> bool:
    """Make the lease last longer; False if the run was taken over or is done."""
    return bool(
        run_sql(
            "UPDATE workflows_run SET lease_expires_at = clock_timestamp() + %(lease)s::float * interval '1 second'"
            " WHERE id = %(run)s::uuid AND fence = %(fence)s::bigint AND lease_owner <> '' RETURNING 1",
            {"run": run_id, "fence": fence, "lease": LEASE_SECONDS},
        )
    )
