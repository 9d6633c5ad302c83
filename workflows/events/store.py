"""The statements of events that are sent as SQL: those in the engine's way, and those of the dispatcher."""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

from workflows.definition.event import Message
from workflows.engine.store.statement import run_sql

_EMIT = """
WITH sent AS (
    INSERT INTO workflows_outboxmessage (
        id, name, version, key, payload, origin, workflow_id, run_id, step, emitted_by, source_id, correlation_id,
        customer_key, amount, currency, emitted_at, routed_at, is_demo)
    SELECT x.id, x.name, x.version, x.key, x.payload, 'run', r.workflow_id, r.id, %(step)s::text, '', NULL,
        r.correlation_id, x.customer, x.amount, x.currency, clock_timestamp(), NULL, false
    FROM workflows_run r, jsonb_to_recordset(%(messages)s::jsonb) AS x(
        id uuid, name text, version int, key text, payload jsonb, customer text, amount numeric, currency text)
    WHERE r.id = %(run)s::uuid
)
SELECT pg_notify('evenkeel_dispatch', '')
"""

_TAKE = """
WITH due AS (
    SELECT id FROM workflows_inboxmessage
    WHERE status = 'pending' AND next_attempt_at <= clock_timestamp() AND {which}
    ORDER BY next_attempt_at LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED
)
UPDATE workflows_inboxmessage i SET attempts = i.attempts + 1, taken_at = clock_timestamp(), taken_by = %(by)s::text,
    next_attempt_at = clock_timestamp() + %(lease)s::float * interval '1 second'
FROM due WHERE i.id = due.id RETURNING i.id, i.attempts
"""
_TAKE_FRESH = _TAKE.format(which="attempts = 0")
_TAKE_AGAIN = _TAKE.format(which="attempts > 0")

_TAKE_BACK = """
UPDATE workflows_inboxmessage SET taken_by = '', next_attempt_at = clock_timestamp()
WHERE status = 'pending' AND taken_by = ANY(%(dead)s::text[]) RETURNING id
"""

_OPEN_WAIT = """
INSERT INTO workflows_eventwait (run_id, step, generation, consumer, event, key, since, expires_at)
VALUES (%(run)s::uuid, %(step)s::text, %(generation)s::int, %(consumer)s::text, %(event)s::text, %(key)s::text,
    clock_timestamp(), clock_timestamp() + %(timeout)s::float * interval '1 second')
ON CONFLICT (run_id, step, generation) DO NOTHING RETURNING id
"""

_CLOSE_IF_OVER = """
UPDATE workflows_eventwait SET closed_at = clock_timestamp()
WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND generation = %(generation)s::int
  AND closed_at IS NULL AND expires_at <= clock_timestamp() RETURNING id
"""


def write_emitted(run_id: UUID, step: str, messages: Sequence[Message]) -> None:
    """Write what a step of the run emitted, and wake the dispatcher when that commits."""
    lines = [
        {
            "id": str(message.id),
            "name": message.name,
            "version": message.version,
            "key": message.key,
            "payload": message.payload,
            "customer": message.customer,
            "amount": None if message.amount is None else str(message.amount),
            "currency": message.currency,
        }
        for message in messages
    ]
    run_sql(_EMIT, {"run": run_id, "step": step, "messages": json.dumps(lines)})


def wake_dispatcher() -> None:
    """Let the dispatcher look at once when this transaction commits."""
    run_sql("SELECT pg_notify('evenkeel_dispatch', '')", {})


def take(limit: int, *, by: str, lease: float) -> list[tuple[UUID, int]]:
    """Give inbox rows that are due to a worker; returns (id, attempt) of each.

    What was tried before is given alone: if it takes its worker down, it takes nothing else along.

    :param lease: seconds after which somebody else may take what nothing came of.
    """
    rows = run_sql(_TAKE_FRESH, {"limit": limit, "by": by, "lease": lease})
    rows = rows or run_sql(_TAKE_AGAIN, {"limit": 1, "by": by, "lease": lease})
    return [(row[0], row[1]) for row in rows]


def takers() -> list[str]:
    """Return the workers that have something in hand."""
    sql = "SELECT DISTINCT taken_by FROM workflows_inboxmessage WHERE status = 'pending' AND taken_by <> ''"
    return [row[0] for row in run_sql(sql, {})]


def take_back(dead: list[str]) -> int:
    """Let somebody else take what dead workers had in hand; returns how much that was."""
    return len(run_sql(_TAKE_BACK, {"dead": dead}))


def is_left_alone(seconds: float) -> bool:
    """Tell whether something is due that no worker has taken for that long."""
    return bool(
        run_sql(
            "SELECT 1 FROM workflows_inboxmessage WHERE status = 'pending'"
            " AND next_attempt_at < clock_timestamp() - %(seconds)s::float * interval '1 second' LIMIT 1",
            {"seconds": seconds},
        )
    )


def open_wait(
    *, run_id: UUID, step: str, generation: int, consumer: str, event: str, key: str, timeout: float
) -> None:
    """Write that the run waits at the step, if it does not yet. ``timeout``: seconds."""
    values = {"consumer": consumer, "event": event, "key": key, "timeout": timeout}
    run_sql(_OPEN_WAIT, {"run": run_id, "step": step, "generation": generation, **values})


def close_if_over(run_id: UUID, step: str, generation: int) -> None:
    """End a wait whose time is up: no event is given to it any more."""
    run_sql(_CLOSE_IF_OVER, {"run": run_id, "step": step, "generation": generation})


def one_at_a_time(consumer: str, key: str) -> None:
    """Let nobody else deliver to this consumer and key, or begin to wait, until this transaction has ended."""
    run_sql(
        "SELECT pg_advisory_xact_lock(hashtextextended(%(consumer)s::text || chr(31) || %(key)s::text, 0))",
        {"consumer": consumer, "key": key},
    )


def seconds_left(run_id: UUID, step: str, generation: int) -> float | None:
    """Return the seconds until an open wait is over, by the database's clock; None if there is no open wait."""
    rows = run_sql(
        "SELECT extract(epoch FROM expires_at - clock_timestamp())::float FROM workflows_eventwait"
        " WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND generation = %(generation)s::int"
        " AND closed_at IS NULL",
        {"run": run_id, "step": step, "generation": generation},
    )
    return rows[0][0] if rows else None
