"""What a run asks of its fan-outs: lay the items out, count them, take them back from lost workers, read them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from portal.core.errors import LeaseLost
from workflows.definition.values import Item
from workflows.engine.store.dispatching import MAX_LOSSES
from workflows.engine.store.items import ClaimedItem
from workflows.engine.store.statement import run_sql

NAMED_IN_SUMMARY = 10
_READ_AT_ONCE = 1000

_ELEMENTS = {
    "field": "SELECT e.place - 1 AS index, e.value FROM mine,"
    " jsonb_array_elements(mine.input -> %(source)s::text) WITH ORDINALITY AS e(value, place)",
    "step": "SELECT e.place - 1 AS index, e.value FROM mine"
    " JOIN workflows_steprun s ON s.run_id = mine.id AND s.step = %(source)s::text,"
    " jsonb_array_elements(s.output) WITH ORDINALITY AS e(value, place)",
    "items": "SELECT i.index,"
    " CASE WHEN i.status = 'succeeded' THEN COALESCE(i.output, 'null') ELSE 'null' END AS value"
    " FROM mine JOIN workflows_stepitem i ON i.run_id = mine.id AND i.step = %(source)s::text",
}

_LAY_OUT = """
WITH mine AS (
    SELECT id, input FROM workflows_run WHERE id = %(run)s::uuid AND fence = %(fence)s::bigint FOR UPDATE
), listed AS ({elements}
), laid_out AS (
    INSERT INTO workflows_stepitem AS i (
        run_id, step, index, generation, status, name, amount, currency, input, attempts, tries, slot, fence, worker)
    SELECT %(run)s::uuid, %(step)s::text, l.index, %(generation)s::int,
        CASE WHEN l.value = 'null' THEN 'skipped' ELSE 'pending' END,
        left(COALESCE(l.value ->> %(name)s::text,
             CASE WHEN jsonb_typeof(l.value) IN ('string', 'number') THEN l.value #>> '{{}}' END, ''), 200),
        CASE WHEN l.value ->> %(amount)s::text ~ '^-?[0-9]{{1,16}}([.][0-9]+)?$'
             THEN round((l.value ->> %(amount)s::text)::numeric, 2) END,
        left(COALESCE(l.value ->> %(currency)s::text, ''), 3), l.value, 0, '[]', 0, 0, ''
    FROM listed l
    ON CONFLICT (run_id, step, index) DO UPDATE SET
        generation = i.generation + (i.status = 'compensated' OR i.input IS DISTINCT FROM excluded.input)::int,
        status = excluded.status, name = excluded.name, amount = excluded.amount, currency = excluded.currency,
        input = excluded.input, output = NULL, error = NULL, attempts = 0, next_attempt_at = NULL
    WHERE i.input IS DISTINCT FROM excluded.input OR i.status IN ('pending', 'failed', 'compensated')
), gone AS (
    DELETE FROM workflows_stepitem USING mine
    WHERE run_id = mine.id AND step = %(step)s::text AND index >= (SELECT count(*) FROM listed)
), slots AS (
    INSERT INTO workflows_itemslot (run_id, step, number, fence, lease_owner, sent_count)
    SELECT mine.id, %(step)s::text, n, 0, '', 0
    FROM mine, generate_series(1, least(%(concurrency)s::int, (SELECT count(*) FROM listed))) AS n
    ON CONFLICT DO NOTHING
)
SELECT id FROM mine
"""

_COUNT = """
SELECT count(*), count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'running'),
    count(*) FILTER (WHERE status = 'succeeded'), count(*) FILTER (WHERE status = 'failed'),
    count(*) FILTER (WHERE status = 'skipped'),
    count(*) FILTER (WHERE status = 'pending' AND COALESCE(next_attempt_at <= clock_timestamp(), true)),
    extract(epoch FROM min(next_attempt_at) FILTER (WHERE status = 'pending') - clock_timestamp())::float
FROM workflows_stepitem WHERE run_id = %(run)s::uuid AND step = %(step)s::text
"""

_SLOTS = """
SELECT number, lease_owner, COALESCE(lease_expires_at < clock_timestamp(), false),
    extract(epoch FROM clock_timestamp() - sent_at)::float, sent_count
FROM workflows_itemslot WHERE run_id = %(run)s::uuid AND step = %(step)s::text ORDER BY number
"""

# Items are done in the order of their index: the first one that a lost worker had in hand is the one it died in.
_TAKE_BACK = """
WITH freed AS (
    UPDATE workflows_itemslot SET
        lease_owner = '', lease_expires_at = NULL, fence = fence + 1, sent_at = NULL, sent_count = 0
    WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND number = ANY(%(numbers)s::int[])
      AND lease_owner <> '' AND (lease_expires_at < clock_timestamp() OR lease_owner = ANY(%(dead)s::text[]))
    RETURNING number
), in_hand AS (
    SELECT index, index = min(index) OVER (PARTITION BY slot) AS is_first,
        (SELECT count(*) FROM jsonb_array_elements(tries) AS t WHERE t ->> 'outcome' = 'lost') AS losses
    FROM workflows_stepitem
    WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND status = 'running'
      AND slot IN (SELECT number FROM freed)
)
UPDATE workflows_stepitem i SET
    status = CASE WHEN h.is_first AND h.losses + 1 >= %(max_losses)s::int THEN 'failed' ELSE 'pending' END,
    error = CASE WHEN h.is_first THEN %(error)s::jsonb ELSE i.error END,
    tries = CASE WHEN NOT h.is_first THEN i.tries ELSE i.tries || jsonb_build_object('number', i.attempts + 1,
        'outcome', 'lost', 'error', %(error)s::jsonb, 'ended_at', clock_timestamp(), 'worker', i.worker) END
FROM in_hand h
WHERE i.run_id = %(run)s::uuid AND i.step = %(step)s::text AND i.index = h.index AND i.status = 'running'
RETURNING 1
"""

_FIRST_FAILED = """
SELECT COALESCE(NULLIF(name, ''), 'item ' || index + 1), error::text FROM workflows_stepitem
WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND status = 'failed' ORDER BY index LIMIT %(limit)s::int
"""

_WORTH_OF_FAILED = """
SELECT currency, sum(amount) FROM workflows_stepitem
WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND status = 'failed' AND amount IS NOT NULL
GROUP BY currency ORDER BY currency
"""

_MARK_UNDONE = """
WITH mine AS (SELECT id FROM workflows_run WHERE id = %(run)s::uuid AND fence = %(fence)s::bigint FOR UPDATE)
UPDATE workflows_stepitem i SET status = 'compensated', undone_at = clock_timestamp() FROM mine
WHERE i.run_id = mine.id AND i.step = %(step)s::text AND i.index = %(index)s::int AND i.status = 'succeeded'
RETURNING 1
"""

_LOSS = {
    "type": "WorkerLost",
    "code": "worker-lost",
    "message": "The worker died or could not be reached while it was at this item.",
    "context": {},
    "chain": [],
    "stack": [],
}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items are where. ``due``: could be done now; ``due_in``: seconds to the next pause's end, or None."""

    total: int
    pending: int
    running: int
    succeeded: int
    failed: int
    skipped: int
    due: int
    due_in: float | None

    def is_over(self, tolerated: int) -> bool:
        """Tell whether nothing more will be done: all is settled, or too many have failed for going on."""
        return not self.running and (not self.pending or self.failed > tolerated)


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot as the run sees it. ``asked_for``: seconds since a worker was asked to take it, None if none was."""

    number: int
    owner: str
    is_expired: bool
    asked_for: float | None
    asked_times: int


def lay_out(
    run_id: UUID, fence: int, step: str, *, source: tuple[str, str], generation: int, concurrency: int, item: Item
) -> None:
    """Write a row for each item of the list, and the slots; what is done already stays as it is.

    :param source: where the list is: ("field", of the input), ("step", with this output) or ("items", of this step).
    :raises LeaseLost: if the fencing token is no longer the run's; nothing was written then.
    """
    kind, name = source
    parameters = {
        "run": run_id,
        "fence": fence,
        "step": step,
        "source": name,
        "generation": generation,
        "concurrency": concurrency,
        "name": item.name,
        "amount": item.amount,
        "currency": item.currency,
    }
    if not run_sql(_LAY_OUT.format(elements=_ELEMENTS[kind]), parameters):
        raise LeaseLost


def count(run_id: UUID, step: str) -> Counts:
    """Return how many of the step's items are where."""
    return Counts(*run_sql(_COUNT, {"run": run_id, "step": step})[0])


def slots(run_id: UUID, step: str) -> list[Slot]:
    """Return the slots of a step."""
    return [Slot(*row) for row in run_sql(_SLOTS, {"run": run_id, "step": step})]


def take_back(run_id: UUID, step: str, numbers: Sequence[int], dead_owners: Sequence[str]) -> None:
    """Free slots whose lease expired or whose owner is known to be dead; their items are to be done again.

    An item that takes ``MAX_LOSSES`` workers down counts as failed.
    """
    parameters = {
        "run": run_id,
        "step": step,
        "numbers": list(numbers),
        "dead": list(dead_owners),
        "max_losses": MAX_LOSSES,
        "error": json.dumps(_LOSS),
    }
    run_sql(_TAKE_BACK, parameters)


def mark_asked(run_id: UUID, step: str, numbers: Sequence[int]) -> None:
    """Note that workers are asked to take these slots."""
    run_sql(
        "UPDATE workflows_itemslot SET sent_at = clock_timestamp(), sent_count = sent_count + 1"
        " WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND number = ANY(%(numbers)s::int[]) RETURNING 1",
        {"run": run_id, "step": step, "numbers": list(numbers)},
    )


def outputs(run_id: UUID, step: str) -> Iterator[Any]:
    """Yield what each item gave, in the order of the list, as plain JSON values; None for one that gave nothing."""
    after = -1
    while True:
        rows = run_sql(
            "SELECT index, CASE WHEN status = 'succeeded' THEN output::text END FROM workflows_stepitem"
            " WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND index > %(after)s::int"
            " ORDER BY index LIMIT %(limit)s::int",
            {"run": run_id, "step": step, "after": after, "limit": _READ_AT_ONCE},
        )
        for _, output in rows:
            yield None if output is None else json.loads(output)
        if len(rows) < _READ_AT_ONCE:
            return
        after = rows[-1][0]


def missing(run_id: UUID, step: str) -> tuple[list[str], dict[str, Decimal], dict[str, Any] | None]:
    """Return of the failed items (the first names, their worth by currency, the first one's error)."""
    first = run_sql(_FIRST_FAILED, {"run": run_id, "step": step, "limit": NAMED_IN_SUMMARY})
    worth = run_sql(_WORTH_OF_FAILED, {"run": run_id, "step": step})
    return (
        [row[0] for row in first],
        {row[0]: row[1] for row in worth},
        json.loads(first[0][1]) if first and first[0][1] else None,
    )


def latest_done(run_id: UUID, step: str, *, limit: int) -> list[tuple[ClaimedItem, Any]]:
    """Return the last items that are done, the last one first, each with what it gave."""
    rows = run_sql(
        "SELECT index, generation, attempts, input::text, output::text FROM workflows_stepitem"
        " WHERE run_id = %(run)s::uuid AND step = %(step)s::text AND status = 'succeeded'"
        " ORDER BY index DESC LIMIT %(limit)s::int",
        {"run": run_id, "step": step, "limit": limit},
    )
    return [
        (ClaimedItem(index, generation, attempts, json.loads(data)), json.loads(given) if given else None)
        for index, generation, attempts, data, given in rows
    ]


def mark_undone(run_id: UUID, fence: int, step: str, index: int) -> bool:
    """Note that an item's effect was taken back; returns True.

    :raises LeaseLost: if the fencing token is no longer the run's.
    """
    if not run_sql(_MARK_UNDONE, {"run": run_id, "fence": fence, "step": step, "index": index}):
        raise LeaseLost
    return True
