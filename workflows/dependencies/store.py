"""The breakers' rows. All times are the database's, so that workers' clocks may differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.backends.utils import CursorWrapper

from portal.core.ids import uuid7
from workflows.dependencies.breaker import SLOT_SECONDS, Breaker, Policy, State, Window

_COLUMNS = (
    "id, name, state, state_since, probe_at, opened_times, forced_until, reason, settings::text, clock_timestamp()"
)


@dataclass(frozen=True, slots=True)
class Tally:
    """Calls to one dependency that ended ``age_seconds`` ago, give or take a slot."""

    name: str
    age_seconds: float
    calls: int
    failures: int
    slow: int
    total_ms: int


@contextmanager
def own_transaction() -> Iterator[CursorWrapper]:
    """Give a cursor whose work is committed at the end, whatever becomes of a transaction that the caller is in."""
    if not connection.in_atomic_block:
        with transaction.atomic(), connection.cursor() as cursor:
            yield cursor
        return
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            yield cursor
        own.commit()
    finally:
        own.close()


def read_breakers(cursor: CursorWrapper) -> dict[str, Breaker]:
    """Return every breaker by its name."""
    cursor.execute(f"SELECT {_COLUMNS} FROM workflows_dependency")  # noqa: S608 - constant
    return {breaker.name: breaker for breaker in map(_breaker, cursor.fetchall())}


def lock_breaker(cursor: CursorWrapper, name: str) -> Breaker | None:
    """Return the breaker with its row locked until the end of the transaction, or None if it is not registered."""
    cursor.execute(f"SELECT {_COLUMNS} FROM workflows_dependency WHERE name = %s FOR UPDATE", [name])  # noqa: S608
    row = cursor.fetchone()
    return _breaker(row) if row else None


def _breaker(row: tuple[Any, ...]) -> Breaker:
    id_, name, state, since, probe_at, opened_times, forced_until, reason, settings, read_at = row
    policy = Policy.of(json.loads(settings))
    return Breaker(id_, name, State(state), since, probe_at, opened_times, forced_until, reason, policy, read_at)


def change_state(
    cursor: CursorWrapper,
    breaker: Breaker,
    new: State,
    *,
    reason: str,
    actor_label: str,
    opened_times: int | None = None,
    probe_in_seconds: float | None = None,
    forced_until: datetime | None = None,
    error: Mapping[str, object] | None = None,
) -> bool:
    """Move the breaker from the state that was read to ``new`` and write the event; False if it has moved meanwhile.

    Probes of the old state no longer count. A breaker that closes forgets the calls of the present slot, so that it
    is judged by what follows.
    """
    cursor.execute(
        """
        UPDATE workflows_dependency
        SET state = %s, state_since = clock_timestamp(), reason = %s, forced_until = %s, opened_times = %s,
            probe_at = clock_timestamp() + make_interval(secs => %s), last_error = COALESCE(%s::jsonb, last_error)
        WHERE id = %s AND state = %s AND state_since = %s
        """,
        [
            new,
            reason,
            forced_until,
            breaker.opened_times if opened_times is None else opened_times,
            probe_in_seconds,
            json.dumps(error) if error else None,
            breaker.id,
            breaker.state,
            breaker.state_since,
        ],
    )
    if cursor.rowcount != 1:
        return False
    cursor.execute("DELETE FROM workflows_breakerprobe WHERE dependency_id = %s", [breaker.id])
    if new is State.CLOSED:
        cursor.execute(
            "DELETE FROM workflows_callwindow WHERE dependency_id = %s"
            " AND slot_at > clock_timestamp() - make_interval(secs => %s)",
            [breaker.id, SLOT_SECONDS],
        )
    cursor.execute(
        "INSERT INTO workflows_breakerevent (dependency_id, at, old, new, reason, actor_label)"
        " VALUES (%s, clock_timestamp(), %s, %s, %s, %s)",
        [breaker.id, breaker.state, new, reason, actor_label],
    )
    return True


def record_calls(cursor: CursorWrapper, tallies: Iterable[Tally]) -> None:
    """Add the calls to the slots that they belong to. Calls to what is not registered are dropped."""
    rows = list(tallies)
    cursor.execute(
        """
        INSERT INTO workflows_callwindow AS w (dependency_id, slot_at, calls, failures, slow, total_ms)
        SELECT d.id,
               date_bin(make_interval(secs => %s), clock_timestamp() - make_interval(secs => t.age), 'epoch'),
               sum(t.calls), sum(t.failures), sum(t.slow), sum(t.total_ms)
        FROM unnest(%s::text[], %s::float[], %s::int[], %s::int[], %s::int[], %s::bigint[])
             AS t(name, age, calls, failures, slow, total_ms)
        JOIN workflows_dependency d ON d.name = t.name
        GROUP BY 1, 2 ORDER BY 1, 2  -- one order for all, so that writers do not lock each other out
        ON CONFLICT (dependency_id, slot_at) DO UPDATE
        SET calls = w.calls + excluded.calls, failures = w.failures + excluded.failures,
            slow = w.slow + excluded.slow, total_ms = w.total_ms + excluded.total_ms
        """,
        [
            SLOT_SECONDS,
            [t.name for t in rows],
            [t.age_seconds for t in rows],
            [t.calls for t in rows],
            [t.failures for t in rows],
            [t.slow for t in rows],
            [t.total_ms for t in rows],
        ],
    )


def read_window(cursor: CursorWrapper, breaker: Breaker) -> Window:
    """Return the calls of the policy's window, but none from before the breaker came into its present state."""
    cursor.execute(
        """
        SELECT COALESCE(sum(calls), 0), COALESCE(sum(failures), 0), COALESCE(sum(slow), 0)
        FROM workflows_callwindow
        WHERE dependency_id = %s AND slot_at > clock_timestamp() - make_interval(secs => %s)
          AND slot_at > %s - make_interval(secs => %s)
        """,
        [breaker.id, breaker.policy.window_seconds, breaker.state_since, SLOT_SECONDS],
    )
    return Window(*cursor.fetchone())


def delete_old_calls(cursor: CursorWrapper, *, days: int) -> None:
    """Forget the calls that are older than any page shows."""
    cursor.execute(
        "DELETE FROM workflows_callwindow WHERE slot_at < clock_timestamp() - make_interval(days => %s)", [days]
    )


@dataclass(frozen=True, slots=True)
class Probes:
    """The probes of a half-open breaker: how many were good, and until when the others are leased."""

    good: int
    out: int
    lease_ends_at: datetime | None


def read_probes(cursor: CursorWrapper, breaker: Breaker) -> Probes:
    """Return the probes of the present half-open phase. A lease that has run out is not counted."""
    cursor.execute(
        """
        SELECT count(*) FILTER (WHERE succeeded), count(*) FILTER (WHERE NOT COALESCE(succeeded, false)),
               max(expires_at) FILTER (WHERE succeeded IS NULL)
        FROM workflows_breakerprobe
        WHERE dependency_id = %s AND (succeeded OR expires_at > clock_timestamp())
        """,
        [breaker.id],
    )
    return Probes(*cursor.fetchone())


def lease_probe(cursor: CursorWrapper, breaker: Breaker, holder: str) -> UUID:
    """Return the id of a new probe, leased to ``holder``."""
    probe = uuid7()
    cursor.execute(
        "INSERT INTO workflows_breakerprobe (id, dependency_id, holder, expires_at)"
        " VALUES (%s, %s, %s, clock_timestamp() + make_interval(secs => %s))",
        [probe, breaker.id, holder[:200], breaker.policy.probe_lease_seconds],
    )
    return probe


def mark_probe_good(cursor: CursorWrapper, probe: UUID) -> None:
    """Record that the probe's call succeeded."""
    cursor.execute("UPDATE workflows_breakerprobe SET succeeded = true WHERE id = %s", [probe])


def return_probe(cursor: CursorWrapper, probe: UUID) -> None:
    """Give a probe back that was not made."""
    cursor.execute("DELETE FROM workflows_breakerprobe WHERE id = %s", [probe])


def has_probe(cursor: CursorWrapper, probe: UUID) -> bool:
    """Tell whether the probe belongs to the present half-open phase."""
    cursor.execute("SELECT 1 FROM workflows_breakerprobe WHERE id = %s", [probe])
    return cursor.fetchone() is not None


def remember_error(cursor: CursorWrapper, breaker: Breaker, error: Mapping[str, object]) -> None:
    """Keep the latest error of the dependency for the page."""
    cursor.execute(
        "UPDATE workflows_dependency SET last_error = %s::jsonb WHERE id = %s", [json.dumps(error), breaker.id]
    )


def wake_waiting_runs(cursor: CursorWrapper, name: str, *, per_second: float) -> int:
    """Let the runs that wait on ``name`` go on, oldest first, ``per_second`` of them a second; return how many.

    A rollback that waits on it goes on too; it keeps its status while it waits.
    """
    cursor.execute(
        """
        UPDATE workflows_run r
        SET wake_at = clock_timestamp() + make_interval(secs => w.place / %s::float)
        FROM (
            SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM workflows_run
            WHERE waiting_on = %s AND lease_owner = '' AND wake_at IS NOT NULL
              AND (status = 'waiting' AND waiting_reason = 'dependency' OR status = 'rolling_back')
        ) w
        WHERE r.id = w.id AND r.lease_owner = '' AND r.wake_at IS NOT NULL
        """,
        [per_second, name],
    )
    return int(cursor.rowcount)
