"""Whether the portal, the ledger and the outside world tell the same story of every single operation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from benchmarks.faults.installation import Installation

MAY_HAVE = {"pending", "running", "waiting", "failed", "uncertain", "skipped"}


@dataclass(frozen=True, slots=True)
class Outside:
    """A step's effect in the outside world: where it is recorded, where what undoes it is, and how that names it."""

    workflow: str
    step: str
    effects: str
    undos: str
    names: str
    repeatable: bool


OUTSIDE = (
    Outside("settle-invoice", "charge", "charges", "refunds", "charge", True),
    Outside("partner-payout", "send_payout", "payouts", "recalls", "payout", False),
)
# Steps whose whole effect is one entry in the ledger.
BOOKINGS = (
    ("settle-invoice", "post_to_ledger"),
    ("partner-payout", "reserve_funds"),
    ("partner-payout", "book_payout"),
)


def money_agrees(at: Installation) -> Iterator[str]:
    """Nothing was charged, paid, booked or given back twice, and what the portal says was done was done."""
    runs = _runs(at)
    yield from _bookings(at, runs)
    for outside in OUTSIDE:
        yield from _effects(at, outside, runs)
    yield from _receipts(at)


def _runs(at: Installation) -> dict[str, dict[str, Any]]:
    """Return each run with its steps: {id: {workflow, status, amount, steps: {name: row}}}."""
    runs = {
        row["id"]: row | {"steps": {}}
        for row in at.facts(
            "SELECT r.id, w.slug AS workflow, r.status FROM workflows_run r"
            " JOIN workflows_workflow w ON w.id = r.workflow_id"
        )
    }
    for row in at.facts("SELECT run_id, step, status, generation, output FROM workflows_steprun"):
        runs[row["run_id"]]["steps"][row["step"]] = row
    return runs


def _bookings(at: Installation, runs: dict[str, dict[str, Any]]) -> Iterator[str]:
    """An entry is there exactly if its step is done, and reversed exactly if that is undone."""
    entries = at.facts(
        "SELECT e.operation_key AS key,"
        " (SELECT count(*) FROM demo_ledgerentry u WHERE u.reverses_id = e.id) AS undone"
        " FROM demo_ledgerentry e WHERE e.reverses_id IS NULL"
    )
    booked = {entry["key"]: entry["undone"] for entry in entries if not entry["key"].startswith("trust:")}
    expected: dict[str, int] = {}
    for run in runs.values():
        for workflow, step in BOOKINGS:
            row = run["steps"].get(step)
            if run["workflow"] != workflow or row is None:
                continue
            last = row["generation"] if row["status"] in {"succeeded", "compensated", "compensating"} else -1
            # Before it is done anew, every former time was undone.
            expected |= {f"{run['id']}:{step}:{n}": 1 for n in range(row["generation"])}
            if last >= 0:
                expected[f"{run['id']}:{step}:{last}"] = int(row["status"] == "compensated")
    for key in sorted(booked.keys() | expected.keys()):
        if booked.get(key) != expected.get(key):
            yield f"ledger, {key}: {_entry(booked.get(key))}, and by the checkpoint {_entry(expected.get(key))}"


def _entry(undone: int | None) -> str:
    return {None: "no entry", 0: "an entry", 1: "an entry that is reversed"}.get(undone, f"{undone} reversals")


def _effects(at: Installation, outside: Outside, runs: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Each operation had at most one effect; one that is done has one, one that is undone has none left."""
    made = at.sandbox.client.records(outside.effects)
    undone = {record[outside.names] for record in at.sandbox.client.records(outside.undos).records}
    by_run: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in made.records:
        by_run[record["operation_key"].partition(":")[0]].append(record)
    for key, (_, effects) in made.by_key.items():
        if effects > 1:
            yield f"{outside.effects}: {key} was done {effects} times"
    for run_id, run in runs.items():
        if run["workflow"] == outside.workflow:
            left = [record for record in by_run[run_id] if record["id"] not in undone]
            yield from _agrees(outside, run, left)
    for run_id in by_run.keys() - runs.keys():
        yield f"{outside.effects}: something was done for {run_id}, which is no run"
    if not outside.repeatable:
        yield from _intents(at, outside, made.records)


def _agrees(outside: Outside, run: dict[str, Any], left: list[dict[str, Any]]) -> Iterator[str]:
    """Compare what is left in the world of a run's effect with what its checkpoint says."""
    row = run["steps"].get(outside.step)
    status = row["status"] if row else "pending"
    total = sum((Decimal(record["amount"]) for record in left), Decimal(0))
    where = f"{outside.effects} of {run['id']} ({run['status']}, {outside.step} {status})"
    if status == "succeeded":
        said = Decimal(row["output"]["amount"])
        if len(left) != 1 or total != said:
            yield f"{where}: {len(left)} worth {total} are left, and the checkpoint says {said}"
    elif status == "compensated" or run["status"] == "rolled_back":
        if left:
            yield f"{where}: {total} was not given back"
    elif len(left) > 1:
        yield f"{where}: {len(left)} are left"


def _intents(at: Installation, outside: Outside, records: list[dict[str, Any]]) -> Iterator[str]:
    """What must not be repeated was announced before it was done."""
    announced = {
        (row["run"], row["generation"]): row["at"]
        for row in at.facts(
            "SELECT run, generation, min(at)::text AS at FROM torture_step WHERE step = %s AND new = 'running'"
            " GROUP BY run, generation",
            outside.step,
        )
    }
    for record in records:
        run, _, generation = record["operation_key"].split(":")
        if (run, int(generation)) not in announced:
            yield f"{outside.effects}: {record['operation_key']} was done without an intent before"


def _receipts(at: Installation) -> Iterator[str]:
    """No mail was sent twice."""
    for key, (_, effects) in at.sandbox.client.records("receipts").by_key.items():
        if effects > 1:
            yield f"receipts: {key} was sent {effects} times"
