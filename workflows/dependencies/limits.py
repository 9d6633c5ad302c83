"""How many calls to a dependency may be out at once, and how many in a time: only where its author says so.

A bulkhead has one row for each call that may be out. Taking one is one statement that locks that row alone, so
workers do not wait for each other; a holder that dies gives its row back when the lease is over.

The rate is kept by the generic cell rate algorithm (ITU-T I.371): one moment per dependency, at which the next call
would be due if all came evenly. A call moves it on by one interval, and is refused while it is more than ``burst``
intervals ahead. One UPDATE, no counters to reset.
"""

from __future__ import annotations

import random
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from portal.core.ids import uuid7
from workflows.dependencies.breaker import PROBE_GRACE_SECONDS, Breaker
from workflows.errors import AtCapacity

NOTIFIED = "evenkeel_dispatch"  # who wakes runs listens here; also named in workflows.engine.store


def ensure_limits(cursor: CursorWrapper, dependency_id: int, *, at_once: int | None, has_rate: bool) -> None:
    """Make the rows that the limits are kept in. Rows beyond a limit that was lowered are left unused."""
    if at_once:
        cursor.execute(
            "INSERT INTO workflows_callslot (dependency_id, number, holder, expires_at)"
            " SELECT %s, n, '', 'epoch' FROM generate_series(1, %s) n ON CONFLICT DO NOTHING",
            [dependency_id, at_once],
        )
    if has_rate:
        cursor.execute(
            "INSERT INTO workflows_callrate (dependency_id, next_at) VALUES (%s, 'epoch') ON CONFLICT DO NOTHING",
            [dependency_id],
        )


def take_slot(cursor: CursorWrapper, breaker: Breaker, holder: str, *, seconds: float) -> UUID | None:
    """Return the lease of one of the calls that may be out at once, or None if all are.

    :param seconds: how long the call lasts at most.
    """
    lease = uuid7()
    cursor.execute(
        """
        UPDATE workflows_callslot
        SET lease = %s, holder = %s, expires_at = clock_timestamp() + make_interval(secs => %s)
        WHERE id = (
            SELECT id FROM workflows_callslot
            WHERE dependency_id = %s AND number <= %s AND expires_at <= clock_timestamp()
            ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED
        )
        """,
        [lease, holder[:200], seconds + PROBE_GRACE_SECONDS, breaker.id, breaker.policy.max_concurrency],
    )
    return lease if cursor.rowcount == 1 else None


def give_slot_back(cursor: CursorWrapper, name: str, lease: UUID) -> None:
    """End the lease, and wake the run that has waited longest for one. Does nothing if the lease was taken over."""
    cursor.execute(
        "UPDATE workflows_callslot SET lease = NULL, holder = '', expires_at = 'epoch' WHERE lease = %s", [lease]
    )
    if cursor.rowcount == 1:
        cursor.execute(
            f"""
            WITH woken AS (
                UPDATE workflows_run SET wake_at = clock_timestamp() WHERE id = (
                    SELECT id FROM workflows_run
                    WHERE status = 'waiting' AND waiting_reason = 'capacity' AND waiting_on = %s
                      AND wake_at > clock_timestamp()
                    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
                ) RETURNING id
            )
            SELECT pg_notify('{NOTIFIED}', '') FROM woken
            """,  # noqa: S608 - a constant
            [name],
        )


def take_turn(cursor: CursorWrapper, breaker: Breaker) -> None:
    """Count a call against the rate.

    :raises AtCapacity: if it comes too early. When to look again is spread over the time that those who wait
        already will take, so that they do not all come at once.
    """
    policy = breaker.policy
    assert policy.rate_calls is not None  # noqa: S101 - the caller has looked
    interval = policy.rate_per_seconds / policy.rate_calls
    values = {"id": breaker.id, "interval": interval, "ahead": interval * (policy.rate_burst - 1)}
    cursor.execute(
        """
        UPDATE workflows_callrate
        SET next_at = greatest(next_at, clock_timestamp()) + make_interval(secs => %(interval)s)
        WHERE dependency_id = %(id)s AND next_at <= clock_timestamp() + make_interval(secs => %(ahead)s)
        """,
        values,
    )
    if cursor.rowcount == 1:
        return
    cursor.execute(
        """
        SELECT extract(epoch FROM next_at - clock_timestamp())::float - %(ahead)s, (
            SELECT count(*) FROM workflows_run
            WHERE status = 'waiting' AND waiting_reason = 'capacity' AND waiting_on = %(name)s)
        FROM workflows_callrate WHERE dependency_id = %(id)s
        """,
        values | {"name": breaker.name},
    )
    wait, others = cursor.fetchone() or (0.0, 0)
    pause = max(0.0, wait) + random.uniform(0, interval * (others + 1))  # noqa: S311 - spreads load, keeps no secret
    why = f"{breaker.name} takes {policy.rate_calls} calls in {policy.rate_per_seconds:g} s"
    raise AtCapacity(why, dependency=breaker.name, seconds=pause)
