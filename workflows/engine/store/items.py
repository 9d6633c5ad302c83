"""A worker's statements about the items of a fan-out: take a slot, claim items, write down what became of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from portal.core.errors import LeaseLost
from workflows.engine.state import ItemStatus
from workflows.engine.store.claiming import LEASE_SECONDS
from workflows.engine.store.statement import run_sql

# A person who pauses or cancels the run, or a breaker that opens, stops its items through this.
_GOES_ON = """r.request = '' AND
    (r.status IN ('queued', 'running') OR (r.status = 'waiting' AND r.waiting_reason = 'items'))"""

_OPEN = """
WITH slot AS (
    UPDATE workflows_itemslot SET
        lease_owner = %(owner)s::text, lease_expires_at = clock_timestamp() + %(lease)s::float * interval '1 second',
        fence = fence + 1, sent_at = NULL, sent_count = 0
    WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND number = %(slot)s::int AND lease_owner = ''
    RETURNING fence
)
SELECT slot.fence, w.slug, r.version, r.correlation_id, r.started_by,
    (SELECT count(*) FROM workflows_stepitem i WHERE i.run_id = r.id AND i.step = %(step)s::text)
FROM slot, workflows_run r JOIN workflows_workflow w ON w.id = r.workflow_id WHERE r.id = %(run)s::uuid
"""

_SHARED = """
SELECT CASE WHEN %(input)s::bool THEN r.input::text END,
    (SELECT jsonb_object_agg(s.step, jsonb_build_object('status', s.status, 'output', s.output))
     FROM workflows_steprun s WHERE s.run_id = r.id AND s.step = ANY(%(steps)s::text[]))::text
FROM workflows_run r WHERE r.id = %(run)s::uuid
"""

# An array of indexes, here and below, lets PostgreSQL look each up: joined, it would read the whole list.
# The slot's row is locked, so that a command that has taken the slots back is seen here.
_CLAIM = """
WITH mine AS (
    SELECT number FROM workflows_itemslot
    WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND number = %(slot)s::int AND fence = %(fence)s::bigint
    FOR SHARE
), is_open AS (
    SELECT 1 FROM mine, workflows_run r JOIN workflows_steprun s ON s.run_id = r.id AND s.step = %(step)s::text
    WHERE r.id = %(run)s::uuid AND s.status = 'waiting' AND {goes_on} AND %(tolerated)s::int >= (
        SELECT count(*) FROM workflows_stepitem
        WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND status = 'failed')
), chosen AS (
    SELECT index FROM workflows_stepitem
    WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND status = 'pending'
      AND (next_attempt_at IS NULL OR next_attempt_at <= clock_timestamp()) AND EXISTS (SELECT 1 FROM is_open)
    ORDER BY index LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE workflows_stepitem i SET
        status = 'running', slot = %(slot)s::int, fence = %(fence)s::bigint, worker = %(owner)s::text
    WHERE i.run_id = %(run)s::uuid AND i.step = %(step)s::text AND i.index = ANY(ARRAY(SELECT index FROM chosen))
    RETURNING i.index, i.generation, i.attempts, i.input
)
SELECT index, generation, attempts, input::text FROM claimed ORDER BY index
""".replace("{goes_on}", _GOES_ON)

_SETTLE = """
WITH settled AS (
    UPDATE workflows_stepitem i SET
        status = x.status, attempts = x.attempts, output = x.output, error = x.error,
        tries = CASE WHEN x.outcome IS NULL THEN i.tries ELSE i.tries || jsonb_build_object('number', x.attempts,
            'outcome', x.outcome, 'error', x.error,
            'started_at', clock_timestamp() - (x.ago + x.seconds) * interval '1 second',
            'ended_at', clock_timestamp() - x.ago * interval '1 second', 'worker', i.worker) END,
        started_at = clock_timestamp() - (x.ago + x.seconds) * interval '1 second',
        ended_at = clock_timestamp() - x.ago * interval '1 second',
        next_attempt_at = clock_timestamp() + x.retry_in * interval '1 second'
    FROM jsonb_to_recordset(%(items)s::jsonb) AS x(index int, status text, attempts int, output jsonb, error jsonb,
        outcome text, seconds float, retry_in float, ago float)
    WHERE i.run_id = %(run)s::uuid AND i.step = %(step)s::text AND i.index = x.index
      AND i.index = ANY(%(indexes)s::int[])
      AND i.status = 'running' AND i.slot = %(slot)s::int AND i.fence = %(fence)s::bigint
    RETURNING 1
)
SELECT (SELECT count(*) FROM settled), {goes_on} FROM workflows_run r WHERE r.id = %(run)s::uuid
""".replace("{goes_on}", _GOES_ON)

_LEAVE = """
WITH slot AS (
    UPDATE workflows_itemslot SET lease_owner = '', lease_expires_at = NULL,
        sent_at = CASE WHEN %(again)s::bool THEN clock_timestamp() END
    WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND number = %(slot)s::int AND fence = %(fence)s::bigint
    RETURNING number, fence
), given_back AS (
    UPDATE workflows_stepitem i SET status = 'pending', worker = '' FROM slot
    WHERE i.run_id = %(run)s::uuid AND i.step = %(step)s::text AND i.status = 'running'
      AND i.slot = slot.number AND i.fence = slot.fence
)
SELECT 1 FROM slot
"""

_AWAIT_DEPENDENCY = """
WITH held AS (
    UPDATE workflows_run SET waiting_reason = 'dependency', waiting_on = %(name)s::text,
        wake_at = clock_timestamp() + %(delay)s::float * interval '1 second', event_count = event_count + 1
    WHERE id = %(run)s::uuid AND status = 'waiting' AND waiting_reason = 'items'
    RETURNING id, event_count
)
INSERT INTO workflows_runevent (run_id, number, at, kind, step, data)
SELECT id, event_count, clock_timestamp(), 'step.unavailable', %(step)s::text,
    jsonb_build_object('dependency', %(name)s::text, 'error', %(error)s::jsonb)
FROM held RETURNING 1
"""

_WAKE = """
UPDATE workflows_run SET status = 'queued', waiting_reason = '', waiting_on = '', wake_at = NULL,
    dispatched_at = clock_timestamp(), dispatch_count = dispatch_count + 1
WHERE id = %(run)s::uuid AND status = 'waiting' AND waiting_reason = 'items' RETURNING queue
"""


@dataclass(frozen=True, slots=True)
class Place:
    """One slot of one step of one run, under one fencing token."""

    run_id: UUID
    step: str
    slot: int
    fence: int

    @property
    def parameters(self) -> dict[str, Any]:
        """The place as a statement's parameters."""
        return {"run": self.run_id, "step": self.step, "slot": self.slot, "fence": self.fence}


@dataclass(frozen=True, slots=True)
class Opened:
    """A slot in this worker's hands, and what it needs to know of the run."""

    place: Place
    workflow: str
    version: int
    correlation_id: str
    started_by: str
    total: int


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """An item in this worker's hands; ``input`` as plain JSON values, ``attempts`` those before."""

    index: int
    generation: int
    attempts: int
    input: Any


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """What became of an item. ``outcome``: of a try that failed; ``at``: when, in monotonic seconds."""

    index: int
    status: ItemStatus
    attempts: int
    at: float
    seconds: float
    output: Any = None
    error: dict[str, Any] | None = None
    outcome: str | None = None
    retry_in: float | None = None


def open_slot(run_id: UUID, step: str, slot: int, owner: str) -> Opened | None:
    """Take a slot under a new lease and fencing token; None if another worker has it, or it is not there."""
    rows = run_sql(_OPEN, {"run": run_id, "step": step, "slot": slot, "owner": owner, "lease": LEASE_SECONDS})
    if not rows:
        return None
    fence, slug, version, correlation, by, total = rows[0]
    return Opened(Place(run_id, step, slot, fence), slug, version, correlation, by, total)


def shared_values(run_id: UUID, *, with_input: bool, steps: Sequence[str]) -> tuple[Any, dict[str, dict[str, Any]]]:
    """Return (the run's input or None, {step: {status, output}}), as plain JSON values."""
    (row,) = run_sql(_SHARED, {"run": run_id, "input": with_input, "steps": list(steps)})
    return (json.loads(row[0]) if row[0] else None, json.loads(row[1]) if row[1] else {})


def claim(place: Place, owner: str, *, limit: int, tolerated: int) -> list[ClaimedItem]:
    """Take up to ``limit`` items that can be done now; none if the run was stopped or too many have failed."""
    parameters = place.parameters | {"owner": owner, "limit": limit, "tolerated": tolerated}
    return [
        ClaimedItem(index, generation, attempts, json.loads(data))
        for index, generation, attempts, data in run_sql(_CLAIM, parameters)
    ]


def settle(place: Place, writes: Sequence[ItemWrite], now: float) -> bool:
    """Write what became of items; returns whether to go on with others.

    :param now: monotonic seconds.
    :raises LeaseLost: if one of them is no longer this worker's. In a transaction, nothing was written then.
    """
    lines = [
        {name: getattr(write, name) for name in write.__slots__ if name != "at"} | {"ago": now - write.at}
        for write in writes
    ]
    told = {"items": json.dumps(lines), "indexes": [write.index for write in writes]}
    ((settled, goes_on),) = run_sql(_SETTLE, place.parameters | told)
    if settled < len(writes):
        raise LeaseLost
    return bool(goes_on)


def leave(place: Place, *, again: bool) -> None:
    """Give the slot back with the items that were not done; ``again``: somebody is asked to take it next."""
    run_sql(_LEAVE, place.parameters | {"again": again})


def renew(place: Place) -> bool:
    """Make the slot's lease last longer; False if it was taken back."""
    return bool(
        run_sql(
            "UPDATE workflows_itemslot SET"
            " lease_expires_at = clock_timestamp() + %(lease)s::float * interval '1 second'"
            " WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND number = %(slot)s::int"
            " AND fence = %(fence)s::bigint AND lease_owner <> '' RETURNING 1",
            place.parameters | {"lease": LEASE_SECONDS},
        )
    )


def await_dependency(run_id: UUID, step: str, name: str, delay: float, error: dict[str, Any]) -> None:
    """Let the run wait on a service instead of its items, and note that in its history, once."""
    parameters = {"run": run_id, "step": step, "name": name, "delay": delay, "error": json.dumps(error)}
    run_sql(_AWAIT_DEPENDENCY, parameters)


def wake_run(run_id: UUID) -> str:
    """Queue the run that waits for its items, because there is nothing more to wait for; returns its queue, or ""."""
    rows = run_sql(_WAKE, {"run": run_id})
    return str(rows[0][0]) if rows else ""


def wake_run_in(run_id: UUID, seconds: float) -> None:
    """Wake the run that waits for its items at the latest in so many seconds."""
    run_sql(
        "UPDATE workflows_run SET wake_at = least(wake_at, clock_timestamp() + %(in)s::float * interval '1 second')"
        " WHERE id = %(run)s::uuid AND status = 'waiting' AND waiting_reason = 'items' RETURNING 1",
        {"run": run_id, "in": seconds},
    )
