"""What must be true after any fault: nothing lost, nothing stuck, nothing done twice."""

from __future__ import annotations

from decimal import Decimal

from tests.faults.fleet import Fleet


def books_agree(fleet: Fleet, batch: str, runs: int) -> None:
    """Compare runs, ledger and the outside world's own records, to the cent and to the operation key."""
    started = fleet.ask(
        "SELECT r.id::text, w.slug, r.status FROM workflows_run r JOIN workflows_workflow w ON w.id = r.workflow_id"
        " WHERE idempotency_key LIKE %s",
        f"{batch}:%",
    )
    assert len(started) == runs, "one run per idempotency key"
    settlements = {run for run, slug, _ in started if slug == "settle-invoice"}
    payouts = {run for run, slug, _ in started if slug == "partner-payout"}
    _effects_happened_once(fleet, "charges", {f"{run}:charge:0" for run in settlements})
    _effects_happened_once(fleet, "payouts", {f"{run}:send_payout:0" for run in payouts})
    expected = {f"{run}:post_to_ledger:0" for run in settlements}
    expected |= {f"{run}:{step}:0" for run in payouts for step in ("reserve_funds", "book_payout")}
    booked = _ledger(fleet, [run for run, _, _ in started])
    assert set(booked) == expected, "each booking exactly once, and no other"
    charged = _total(fleet, "charges", settlements)
    posted = sum((booked[f"{run}:post_to_ledger:0"] for run in settlements), Decimal(0))
    assert charged == posted, "the gateway charged what the ledger says"


def rollbacks_agree(fleet: Fleet, batch: str) -> None:
    """Compare what was undone with what had been done."""
    runs = fleet.ask(
        "SELECT r.id::text, w.slug FROM workflows_run r JOIN workflows_workflow w ON w.id = r.workflow_id"
        " WHERE idempotency_key LIKE %s",
        f"{batch}:%",
    )
    undone = fleet.sandbox.client.records("refunds").by_key | fleet.sandbox.client.records("recalls").by_key
    mine = {key: effects for key, (_, effects) in undone.items() if key.split(":")[0] in {run for run, _ in runs}}
    assert len(mine) == len(runs)
    assert set(mine.values()) == {1}
    (balance,) = fleet.ask(
        "SELECT coalesce(sum(CASE WHEN reverses_id IS NULL THEN amount ELSE -amount END), 0) FROM demo_ledgerentry"
        " WHERE split_part(operation_key, ':', 1) = ANY(%s)",
        [run for run, _ in runs],
    )
    assert balance == (0,), "every booking is reversed, to the cent"


def histories_are_whole(fleet: Fleet) -> None:
    """Each run's events are numbered without a gap, no lease is left, and no checkpoint has a foreign token."""
    gaps = fleet.ask(
        "SELECT r.id FROM workflows_run r JOIN workflows_runevent e ON e.run_id = r.id"
        " GROUP BY r.id, r.event_count HAVING count(*) <> r.event_count OR max(e.number) <> r.event_count"
    )
    assert gaps == []
    assert fleet.ask("SELECT id FROM workflows_run WHERE lease_owner <> ''") == []
    stale = fleet.ask(
        "SELECT s.run_id FROM workflows_steprun s JOIN workflows_run r ON r.id = s.run_id WHERE s.fence > r.fence"
    )
    assert stale == []
    unfinished = fleet.ask(
        "SELECT r.id FROM workflows_run r JOIN workflows_steprun s ON s.run_id = r.id"
        " WHERE r.status = 'succeeded' AND s.status NOT IN ('succeeded', 'skipped')"
    )
    assert unfinished == []


def _effects_happened_once(fleet: Fleet, collection: str, keys: set[str]) -> None:
    seen = fleet.sandbox.client.records(collection).by_key
    assert keys <= set(seen), f"{collection}: each operation reached the outside"
    doubled = {key: seen[key] for key in keys if seen[key][1] != 1}
    assert doubled == {}, f"{collection}: each operation had exactly one effect"


def _ledger(fleet: Fleet, runs: list[str]) -> dict[str, Decimal]:
    rows = fleet.ask(
        "SELECT operation_key, amount FROM demo_ledgerentry"
        " WHERE split_part(operation_key, ':', 1) = ANY(%s) AND reverses_id IS NULL",
        runs,
    )
    return dict(rows)


def _total(fleet: Fleet, collection: str, runs: set[str]) -> Decimal:
    records = fleet.sandbox.client.records(collection).records
    mine = [r for r in records if r["operation_key"].split(":")[0] in runs]
    return sum((Decimal(r["amount"]) for r in mine), Decimal(0))
