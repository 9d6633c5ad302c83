"""The locks that steps take: each held by one run, with a queue before it.

All that changes who holds a lock locks the lock's row first, so a queue and its lock cannot miss each other. Where
a run's row is locked too, it is the run's own (before the lock's) or that of the next in the queue, which is waiting.
"""

from __future__ import annotations

from uuid import UUID

from workflows.engine.store.statement import run_sql

KEEP_FREE_DAYS = 1

# The token is drawn again once the row is locked: one that was drawn before could be older than the row's.
_TAKE = """
WITH taken AS (
    INSERT INTO workflows_resourcelock AS l (key, run_id, step, token, since)
    VALUES (%(key)s::text, %(run)s::uuid, %(step)s::text, nextval('workflows_lock_token'), clock_timestamp())
    ON CONFLICT (key) DO UPDATE SET
        run_id = excluded.run_id, step = excluded.step, token = nextval('workflows_lock_token'),
        since = clock_timestamp()
    WHERE l.run_id IS NULL OR l.run_id = excluded.run_id
    RETURNING token
), left_queue AS (
    DELETE FROM workflows_lockticket WHERE run_id = %(run)s::uuid AND EXISTS (SELECT FROM taken)
)
SELECT token FROM taken
"""

_QUEUE_UP = """
INSERT INTO workflows_lockticket AS t (lock_id, run_id, step, queued_at)
VALUES (%(key)s::text, %(run)s::uuid, %(step)s::text, clock_timestamp())
ON CONFLICT (run_id) DO UPDATE SET
    id = CASE WHEN t.lock_id = excluded.lock_id THEN t.id ELSE excluded.id END,
    queued_at = CASE WHEN t.lock_id = excluded.lock_id THEN t.queued_at ELSE excluded.queued_at END,
    lock_id = excluded.lock_id, step = excluded.step
RETURNING 1
"""

_QUEUE_RUN = """
UPDATE workflows_run SET
    status = CASE WHEN status = 'waiting' THEN 'queued' ELSE status END, waiting_reason = '', waiting_on = '',
    wake_at = NULL, dispatched_at = clock_timestamp(), dispatch_count = dispatch_count + 1
WHERE id = %(run)s::uuid RETURNING id, queue
"""

_IS_HELD = """
SELECT 1 FROM workflows_resourcelock
WHERE key = %(key)s::text AND run_id = %(run)s::uuid AND token = %(token)s::bigint
"""

_HAND_ON = """
WITH next AS (
    SELECT t.id, t.run_id, t.step FROM workflows_lockticket t JOIN workflows_run r ON r.id = t.run_id
    WHERE t.lock_id = %(key)s::text AND r.waiting_on = %(key)s::text AND r.lease_owner = ''
      AND (r.status = 'waiting' AND r.waiting_reason = 'lock' OR r.status = 'rolling_back')
    ORDER BY t.id LIMIT 1
), left_queue AS (
    DELETE FROM workflows_lockticket t USING next n WHERE t.id = n.id
), given AS (
    UPDATE workflows_resourcelock SET
        run_id = (SELECT run_id FROM next), step = COALESCE((SELECT step FROM next), ''),
        token = nextval('workflows_lock_token'), since = clock_timestamp()
    WHERE key = %(key)s::text
)
UPDATE workflows_run r SET
    status = CASE WHEN r.status = 'waiting' THEN 'queued' ELSE r.status END, waiting_reason = '', waiting_on = '',
    wake_at = NULL, dispatched_at = clock_timestamp(), dispatch_count = r.dispatch_count + 1
FROM next n WHERE r.id = n.run_id AND r.lease_owner = '' AND r.waiting_on = %(key)s::text
RETURNING r.id, r.queue
"""

# A holder in any other state does not work on its step: it failed, was cancelled, or waits for something else.
_ORPHANED = """
SELECT l.key FROM workflows_resourcelock l JOIN workflows_run r ON r.id = l.run_id
WHERE r.status NOT IN ('queued', 'running', 'rolling_back')
UNION
SELECT l.key FROM workflows_resourcelock l JOIN workflows_lockticket t ON t.lock_id = l.key
JOIN workflows_run r ON r.id = t.run_id
WHERE l.run_id IS NULL AND r.waiting_on = l.key AND r.lease_owner = ''
LIMIT %(limit)s::int
"""

_LOCK_ORPHANED = """
SELECT 1 FROM workflows_resourcelock l LEFT JOIN workflows_run r ON r.id = l.run_id
WHERE l.key = %(key)s::text AND (r.id IS NULL OR r.status NOT IN ('queued', 'running', 'rolling_back'))
FOR UPDATE OF l SKIP LOCKED
"""

_TIDY = """
WITH left_queue AS (
    DELETE FROM workflows_lockticket t USING workflows_run r
    WHERE r.id = t.run_id AND r.status NOT IN ('waiting', 'queued', 'running', 'rolling_back')
)
DELETE FROM workflows_resourcelock l
WHERE run_id IS NULL AND since < clock_timestamp() - make_interval(days => %(days)s::int)
  AND NOT EXISTS (SELECT FROM workflows_lockticket t WHERE t.lock_id = l.key)
RETURNING 1
"""

Queued = list[tuple[UUID, str]]


def take_lock(key: str, run_id: UUID, step: str) -> int | None:
    """Take the lock if it is free or the run's already, and return its fencing token; None if another run has it."""
    rows = run_sql(_TAKE, {"key": key, "run": run_id, "step": step})
    return int(rows[0][0]) if rows else None


def queue_up(key: str, run_id: UUID, step: str) -> Queued:
    """Put the run, which waits now, into the lock's queue; a run that is in it keeps its place.

    Call it in the transaction that lets the run go. If the lock has become free meanwhile the run has it, and is
    returned as (id, queue), to be sent.
    """
    parameters = {"key": key, "run": run_id, "step": step}
    if run_sql(_TAKE, parameters):
        return _queued(_QUEUE_RUN, {"run": run_id})
    run_sql(_QUEUE_UP, parameters)
    return []


def give_back(key: str, run_id: UUID, token: int) -> Queued | None:
    """Hand the lock to the next in the queue; returns who got it, to be sent, or None if it is not held any more.

    Call it in the transaction of the checkpoint.
    """
    if not run_sql(f"{_IS_HELD} FOR UPDATE", {"key": key, "run": run_id, "token": token}):
        return None
    return hand_on(key)


def holds_lock(key: str, run_id: UUID, token: int) -> bool:
    """Tell whether the lock is still the one that was taken under this token."""
    return bool(run_sql(_IS_HELD, {"key": key, "run": run_id, "token": token}))


def hand_on(key: str) -> Queued:
    """Take the lock from whoever has it and give it to the next in the queue; returns who got it, to be sent.

    The caller has locked the lock's row in this transaction, by an earlier statement: who queued up just before
    is seen then.
    """
    return _queued(_HAND_ON, {"key": key})


def orphaned_locks(limit: int) -> list[str]:
    """Return the keys of locks whose holder works no more, and of free ones that somebody waits for."""
    return [row[0] for row in run_sql(_ORPHANED, {"limit": limit})]


def hand_on_orphan(key: str) -> Queued:
    """Hand the lock on if it is still without a working holder. Call it in a transaction."""
    return hand_on(key) if run_sql(_LOCK_ORPHANED, {"key": key}) else []


def tidy_locks() -> None:
    """Drop the tickets of runs that wait no more, and locks that have been free for a day."""
    run_sql(_TIDY, {"days": KEEP_FREE_DAYS})


def _queued(sql: str, parameters: dict[str, object]) -> Queued:
    return [(row[0], row[1]) for row in run_sql(sql, parameters)]
