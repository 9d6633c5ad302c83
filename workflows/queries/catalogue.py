"""The list of workflows: how each is doing, against what is usual for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Subquery

from portal.core.access import within_reach
from portal.core.actor import Actor
from portal.core.permissions import Permission
from workflows.engine.state import RunStatus, WaitingReason
from workflows.health import Signs, badness, state_of
from workflows.models import Run, Workflow, WorkflowVersion
from workflows.presentation import State
from workflows.queries.activity import Day, Month, last_day, last_month, quiet_day
from workflows.queries.concerns import RunGroup, run_groups
from workflows.queries.fleet import Fleet, fleet


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    """One workflow in a list. ``month`` is empty where nobody asked for what is usual."""

    workflow: Workflow
    state: State
    signs: Signs
    day: Day
    month: Month
    backlog: int
    last_run_at: datetime | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All workflows that somebody may see, and whether they move at all."""

    rows: tuple[WorkflowRow, ...]
    fleet: Fleet
    sort: str


_Key = Callable[[WorkflowRow], Any]
# What the list can be sorted by; each key puts the order that people want first.
SORTS: dict[str, _Key] = {
    "state": lambda row: (badness(row.state), row.workflow.tier, -row.signs.troubled, row.workflow.title),
    "name": lambda row: row.workflow.title.lower(),
    "success": lambda row: _missing_last(row.month.latest.success),
    "p95": lambda row: _missing_last(row.month.latest.p95, most_first=True),
    "backlog": lambda row: -row.backlog,
    "failure": lambda row: _missing_last(row.month.last_bad_at, most_first=True),
    "owner": lambda row: row.workflow.team.name.lower(),
    "tier": lambda row: row.workflow.tier,
    "run": lambda row: _missing_last(row.last_run_at, most_first=True),
}


def catalogue(actor: Actor, *, sort: str = "state") -> Catalogue:
    """Return the workflows that ``actor`` may see, in the order of ``sort``, a "-" in front turns it round.

    Five queries.
    """
    workflows = visible_workflows(actor)
    within = within_reach(actor, Permission.VIEW_RUN)
    alive = fleet()
    month = last_month(within)
    rows = workflow_rows(workflows, run_groups(within), last_day(within), month, alive)
    key = SORTS.get(sort.removeprefix("-"))
    rows.sort(key=SORTS["state"])
    if key is not None:
        rows.sort(key=key, reverse=sort.startswith("-"))
    return Catalogue(tuple(rows), alive, sort if key else "state")


def visible_workflows(actor: Actor) -> list[Workflow]:
    """Return the workflows that ``actor`` may see and that are still in the code. One query.

    Each carries ``last_run_at``, and of its latest version the ``definition`` and ``version_seen_at``.
    """
    latest = WorkflowVersion.objects.filter(workflow=OuterRef("pk"), number=OuterRef("latest_version"))
    last_run = Run.objects.filter(workflow=OuterRef("pk")).order_by("-id").values("created_at")[:1]
    return list(
        Workflow.objects.filter(within_reach(actor, Permission.VIEW_WORKFLOW, workflow=""), retired_at=None)
        .select_related("team", "paused_by")
        .annotate(
            last_run_at=Subquery(last_run),
            definition=Subquery(latest.values("definition")[:1]),
            version_seen_at=Subquery(latest.values("first_seen_at")[:1]),
        )
    )


def definition_of(described: Workflow | Run) -> Mapping[str, Any]:
    """Return the ``definition`` that a query put on a row; an empty one where that version is not known."""
    empty = {"title": "", "steps": [], "dependencies": [], "requires": [], "input": {}}
    return getattr(described, "definition", None) or empty


def step_title(described: Workflow | Run, name: str) -> str:
    """Return what people call a step; its name where it is no longer in the definition, "" for none."""
    return next((step["title"] for step in definition_of(described)["steps"] if step["name"] == name), name)


def seen_at(workflow: Workflow) -> datetime | None:
    """Return when the latest version of a workflow (of ``visible_workflows``) was seen for the first time."""
    return getattr(workflow, "version_seen_at", None)


def workflow_rows(
    workflows: Iterable[Workflow],
    groups: Iterable[RunGroup],
    days: Mapping[int, Day],
    months: Mapping[int, Month],
    alive: Fleet,
) -> list[WorkflowRow]:
    """Return the workflows with their state, the worst first."""
    of_workflow: dict[int, list[RunGroup]] = defaultdict(list)
    for group in groups:
        of_workflow[group.workflow_id].append(group)
    rows = []
    for workflow in workflows:
        last_run_at = getattr(workflow, "last_run_at", None)
        mine, day = of_workflow[workflow.pk], days.get(workflow.pk) or quiet_day()
        signs = signs_of(workflow, mine, day, has_run=last_run_at is not None)
        state = state_of(signs, can_see=alive.can_see)
        month = months.get(workflow.pk, Month())
        rows.append(WorkflowRow(workflow, state, signs, day, month, backlog_of(mine), last_run_at))
    return sorted(rows, key=SORTS["state"])


def backlog_of(groups: Iterable[RunGroup]) -> int:
    """Return how many runs are accepted and not finished."""
    return sum(group.runs for group in groups if not group.ended_badly)


def signs_of(workflow: Workflow, groups: Iterable[RunGroup], day: Day, *, has_run: bool) -> Signs:
    """Return what is counted of one workflow."""
    groups = list(groups)
    return Signs(
        has_run=has_run,
        is_paused=workflow.paused_at is not None,
        good_last_hour=day.good_last_hour,
        bad_last_hour=day.bad_last_hour,
        ended_badly=sum(g.recent for g in groups if g.ended_badly and not g.is_undecided),
        blocked=sum(g.runs for g in groups if is_blocked(g)),
        stuck=sum(g.unattended for g in groups),
        late=sum(g.late for g in groups),
        undecided=sum(g.runs for g in groups if g.is_undecided),
    )


def is_blocked(group: RunGroup) -> bool:
    """Whether the runs wait for something outside of them to be mended; a rollback that waits at all does."""
    if group.status == RunStatus.ROLLING_BACK:
        return bool(group.waits_on)
    reasons = (WaitingReason.DEPENDENCY, WaitingReason.CONFIGURATION)
    return group.status == RunStatus.WAITING and group.reason in reasons


def _missing_last(value: Any, *, most_first: bool = False) -> tuple[bool, Any]:
    if value is None:
        return (True, 0)
    if not most_first:
        return (False, value)
    return (False, -(value.timestamp() if isinstance(value, datetime) else value.total_seconds()))
