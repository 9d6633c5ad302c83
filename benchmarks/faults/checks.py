"""What must be true when the storm is over. Each check yields a line for each violation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults.installation import Installation
from benchmarks.faults.money import money_agrees
from benchmarks.faults.rules import LAST_WORDS, may_be_seen_as
from benchmarks.faults.shared import events_acted_once, items_happened_once, locks_lost_nothing
from workflows.engine.state import RunStatus, StepStatus, may_become

_UNDER_WAY = (
    "SELECT id, status, waiting_reason, waiting_on, lease_owner FROM workflows_run WHERE lease_owner <> ''"
    " OR (ended_at IS NULL AND status <> 'paused' AND waiting_reason <> 'approval')"
)


def standing_still(at: Installation) -> bool:
    """Tell whether every run has come to an end, or waits for a person, and nobody holds anything.

    The slot of a worker that was killed over the last item of a run is free once its lease has run out.
    """
    return not at.ask(f"{_UNDER_WAY} LIMIT 1") and not at.ask(
        "SELECT 1 FROM workflows_outboxmessage WHERE routed_at IS NULL"
        " UNION ALL SELECT 1 FROM workflows_inboxmessage WHERE status = 'pending'"
        " UNION ALL SELECT 1 FROM workflows_itemslot WHERE lease_expires_at > clock_timestamp() LIMIT 1"
    )


def none_is_stuck(at: Installation) -> Iterator[str]:
    """Every run ends or waits for a person, and nobody holds one any more."""
    for row in at.facts(_UNDER_WAY):
        yield f"run {row['id']} is {row['status']} {row['waiting_reason']} {row['waiting_on']} {row['lease_owner']}"


def accepted_runs_are_there(at: Installation) -> Iterator[str]:
    """What a caller was told to be accepted is there, once, under the key that was sent."""
    wanted, told = _read_log(at.accepted)
    runs: defaultdict[str, list[str]] = defaultdict(list)
    for row in at.facts(
        "SELECT id, idempotency_key AS key FROM workflows_run WHERE idempotency_key LIKE 'torture:%%'"
    ):
        runs[row["key"]].append(row["id"])
    for key, ids in told.items():
        if len(ids) > 1:
            yield f"key {key} was answered with {len(ids)} runs"
        if runs[key] != sorted(ids):
            yield f"key {key} was accepted as {', '.join(ids)}, and the database has {runs[key]}"
    for key in runs.keys() - wanted:
        yield f"a run has the key {key}, which nobody asked for"


def changes_are_allowed(at: Installation) -> Iterator[str]:
    """Each change of a run's and of a step's status that was made is in the transition table."""
    runs = at.facts("SELECT old, new, count(*) AS times, min(run::text) AS run FROM torture_run GROUP BY old, new")
    for row in runs:
        old, new = RunStatus(row["old"]), RunStatus(row["new"])
        if old is not new and not may_become(old, new):
            yield f"{row['times']} times a run went from {old} to {new}, as {row['run']}"
    steps = at.facts(
        "SELECT old, new, count(*) AS times, min(run::text || ' ' || step) AS step FROM torture_step"
        " GROUP BY old, new"
    )
    for row in steps:
        old_step, new_step = StepStatus(row["old"] or "pending"), StepStatus(row["new"])
        if not may_be_seen_as(old_step, new_step):
            yield f"{row['times']} times a step went from {old_step} to {new_step}, as {row['step']}"


def one_worker_at_a_time(at: Installation) -> Iterator[str]:
    """A run is claimed when nobody holds it, with the next fencing token; no checkpoint has an old token."""
    for row in at.facts(
        "SELECT run, count(*) AS times FROM torture_run"
        " WHERE old_owner <> '' AND owner <> '' AND fence <> old_fence GROUP BY run"
    ):
        yield f"run {row['run']} was claimed {row['times']} times while somebody held it"
    for row in at.facts("SELECT run, old_fence, fence FROM torture_run WHERE fence - old_fence NOT IN (0, 1)"):
        yield f"run {row['run']} went from token {row['old_fence']} to {row['fence']}"
    for row in at.facts(
        "SELECT run, step, who, fence, run_fence FROM torture_step WHERE who LIKE 'worker%%' AND fence <> run_fence"
    ):
        yield (
            f"run {row['run']}: {row['who']} wrote {row['step']} with token {row['fence']}"
            f" when the run's was {row['run_fence']}"
        )
    for row in at.facts(
        "SELECT s.run_id, s.step FROM workflows_steprun s JOIN workflows_run r ON r.id = s.run_id"
        " WHERE s.fence > r.fence"
    ):
        yield f"run {row['run_id']}: the checkpoint of {row['step']} has a token from the future"


def histories_are_whole(at: Installation) -> Iterator[str]:
    """Events are numbered without a gap, and the last about the run itself says what the run is."""
    for row in at.facts(
        "SELECT r.id, r.event_count, count(e.number) AS events, max(e.number) AS last FROM workflows_run r"
        " LEFT JOIN workflows_runevent e ON e.run_id = r.id GROUP BY r.id"
        " HAVING count(e.number) <> r.event_count OR max(e.number) <> r.event_count"
    ):
        yield f"run {row['id']} counts {row['event_count']} events and has {row['events']}, up to {row['last']}"
    kinds = sorted({kind for kinds in LAST_WORDS.values() for kind in kinds})
    for row in at.facts(
        "SELECT r.id, r.status, (SELECT e.kind FROM workflows_runevent e WHERE e.run_id = r.id"
        " AND e.kind = ANY(%s) ORDER BY e.number DESC LIMIT 1) AS said FROM workflows_run r", kinds
    ):  # fmt: skip
        if row["status"] in LAST_WORDS and row["said"] not in LAST_WORDS[row["status"]]:
            yield f"run {row['id']} is {row['status']}, and its history says {row['said']}"


def ends_match_steps(at: Installation) -> Iterator[str]:
    """A run that succeeded has no step that did not, and one that was rolled back none that is still done."""
    for row in at.facts(
        "SELECT r.id, r.status, s.step, s.status AS step_status FROM workflows_run r"
        " JOIN workflows_steprun s ON s.run_id = r.id WHERE r.status = 'succeeded'"
        " AND s.status NOT IN ('succeeded', 'skipped')"
    ):
        yield f"run {row['id']} is {row['status']}, and its step {row['step']} is {row['step_status']}"


def the_audit_chain_verifies(at: Installation) -> Iterator[str]:
    """No entry of the audit trail is missing or changed."""
    if problem := at.verified_audit():
        yield problem


CHECKS: tuple[Callable[[Installation], Iterable[str]], ...] = (
    none_is_stuck,
    accepted_runs_are_there,
    changes_are_allowed,
    one_worker_at_a_time,
    histories_are_whole,
    ends_match_steps,
    money_agrees,
    items_happened_once,
    events_acted_once,
    locks_lost_nothing,
    the_audit_chain_verifies,
)


def violations(at: Installation) -> list[dict[str, str]]:
    """Return everything that should not be."""
    return [{"check": check.__name__, "what": what} for check in CHECKS for what in check(at)]


def counts(at: Installation) -> dict[str, Any]:
    """Return what was done, for the report."""
    wanted, told = _read_log(at.accepted)

    def grouped(sql: str) -> dict[str, int]:
        return {str(name): int(number) for name, number in at.ask(sql)}

    return {
        "asked_for": len(wanted),
        "accepted": len(told),
        "answers": sum(told.total() for told in _answers(at.accepted).values()),
        "runs": grouped("SELECT w.slug, count(*) FROM workflows_run r JOIN workflows_workflow w"
                        " ON w.id = r.workflow_id GROUP BY 1 ORDER BY 1"),
        "by_status": grouped("SELECT status, count(*) FROM workflows_run GROUP BY 1 ORDER BY 2 DESC"),
        "events": grouped("SELECT status, count(*) FROM workflows_inboxmessage GROUP BY 1"),
        "items": grouped("SELECT status, count(*) FROM workflows_stepitem GROUP BY 1"),
        "commands": grouped("SELECT action, count(*) FROM core_auditentry WHERE action LIKE 'workflows.%%'"
                            " GROUP BY 1 ORDER BY 2 DESC"),
        "recoveries": {
            **grouped("SELECT 'reclaimed', count(*) FROM workflows_runevent WHERE kind = 'run.reclaimed'"),
            **grouped("SELECT 'looked_up', count(*) FROM workflows_runevent WHERE kind = 'step.verified'"),
            **grouped("SELECT 'retries', count(*) FROM workflows_runevent WHERE kind = 'step.retry_scheduled'"),
            **grouped("SELECT 'waits', count(*) FROM workflows_runevent WHERE kind = 'step.unavailable'"),
        },
        "checkpoints": at.ask("SELECT count(*) FROM torture_step")[0][0],
    }  # fmt: skip


def _answers(path: Path) -> dict[str, Counter[str]]:
    answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in path.read_text().splitlines():
        verb, key, *rest = line.split()
        if verb == "accepted":
            answers[key][rest[0]] += 1
    return dict(answers)


def _read_log(path: Path) -> tuple[set[str], dict[str, list[str]]]:
    """Return the keys that were wanted, and the ids that each was answered with."""
    wanted = {line.split()[1] for line in path.read_text().splitlines() if line.startswith("wanted")}
    return wanted, {key: sorted(ids) for key, ids in _answers(path).items()}
