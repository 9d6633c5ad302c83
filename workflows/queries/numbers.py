"""The state of everything at once, as few numbers: for monitoring, not for pages.

Each statement walks an index over what is unfinished or recent, never the whole history. Generated demo history
is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from workflows.engine.state import FINAL_RUN_STATUSES, RunStatus


@dataclass(frozen=True, slots=True)
class Number:
    """One measured quantity with a value for each combination of labels."""

    name: str
    help: str
    labels: Sequence[str]
    values: Sequence[tuple[Sequence[str], float]]


# Of what is over, only what somebody may still have to see to.
_OPEN = sorted(set(RunStatus) - FINAL_RUN_STATUSES | {RunStatus.FAILED, RunStatus.ROLLBACK_FAILED})

# name, help, labels, statement that returns the labels and then the value
_NUMBERS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (
        "runs",
        "Runs that are not over or that failed, by workflow and status",
        ("workflow", "status"),
        """SELECT w.slug, r.status, count(*) FROM workflows_run r JOIN workflows_workflow w ON w.id = r.workflow_id
            WHERE r.status = ANY(%(open)s) AND NOT r.is_demo GROUP BY 1, 2""",
    ),
    (
        "runs_ended_last_hour",
        "Runs that ended within the last hour, by workflow and status",
        ("workflow", "status"),
        """SELECT w.slug, r.status, count(*) FROM workflows_run r JOIN workflows_workflow w ON w.id = r.workflow_id
            WHERE r.ended_at > now() - interval '1 hour' AND NOT r.is_demo GROUP BY 1, 2""",
    ),
    (
        "runs_waiting",
        "Waiting runs, by reason",
        ("reason",),
        "SELECT waiting_reason, count(*) FROM workflows_run WHERE status = 'waiting' AND NOT is_demo GROUP BY 1",
    ),
    (
        "runs_late",
        "Runs that are not over and past the time of their objective, by workflow",
        ("workflow",),
        """SELECT w.slug, count(*) FROM workflows_run r JOIN workflows_workflow w ON w.id = r.workflow_id
            WHERE r.status = ANY(%(open)s) AND NOT r.is_demo AND r.ended_at IS NULL
            AND r.due_at < now() GROUP BY 1""",
    ),
    (
        "oldest_queued_seconds",
        "Age of the run that has been queued longest without having started, by queue",
        ("queue",),
        """SELECT queue, extract(epoch FROM now() - min(created_at)) FROM workflows_run
            WHERE status = 'queued' AND started_at IS NULL AND NOT is_demo GROUP BY 1""",
    ),
    (
        "steps",
        "Steps of runs that are not over or that failed, by workflow and status",
        ("workflow", "status"),
        """SELECT w.slug, s.status, count(*) FROM workflows_run r JOIN workflows_workflow w ON w.id = r.workflow_id
            JOIN workflows_steprun s ON s.run_id = r.id
            WHERE r.status = ANY(%(open)s) AND NOT r.is_demo GROUP BY 1, 2""",
    ),
    (
        "breaker_open",
        "1 while calls to the dependency are held back",
        ("dependency",),
        """SELECT name, CASE WHEN state IN ('open', 'forced_open', 'half_open') THEN 1 ELSE 0 END
            FROM workflows_dependency""",
    ),
    (
        "heartbeat_age_seconds",
        "Seconds since a process of this kind was last heard",
        ("kind",),
        "SELECT kind, extract(epoch FROM now() - max(seen_at)) FROM workflows_heartbeat GROUP BY 1",
    ),
)


def fleet_numbers() -> list[Number]:
    """Return every number, with one statement each."""
    with connection.cursor() as cursor:
        numbers = []
        for name, about, labels, statement in _NUMBERS:
            cursor.execute(statement, {"open": _OPEN})
            values = [(tuple(map(str, row[:-1])), float(row[-1])) for row in cursor.fetchall()]
            numbers.append(Number(name, about, labels, values))
    return numbers
