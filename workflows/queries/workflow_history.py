"""The past of one workflow: its last runs step by step, how long they took, which steps fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet

from portal.core.access import within_reach
from portal.core.actor import Actor
from portal.core.permissions import Permission
from workflows.engine.state import RunStatus, StepStatus
from workflows.models import Attempt, Run, StepRun, Workflow
from workflows.presentation import State, StateName, run_state, step_state
from workflows.queries.activity import Percentile, last_month
from workflows.queries.catalogue import definition_of
from workflows.queries.concerns import ENDED_BADLY
from workflows.queries.trend import Trend, duration_trend

COLUMNS = 25
SAMPLE = 500
_FAILED_TRIES = (Attempt.Outcome.FAILED, Attempt.Outcome.TIMED_OUT, Attempt.Outcome.LOST)


@dataclass(frozen=True, slots=True)
class GridColumn:
    """A run of the grid."""

    run: Run
    state: State

    @property
    def short_id(self) -> str:
        """The end of the run's id, which differs most between neighbours."""
        return str(self.run.pk)[-6:]


@dataclass(frozen=True, slots=True)
class GridCell:
    """A step in a run. ``is_ahead``: the run has not come to it, and nothing keeps it from doing so."""

    column: GridColumn
    state: State
    is_ahead: bool


@dataclass(frozen=True, slots=True)
class GridRow:
    """A step of the grid, with its state in each run. ``is_gone``: no longer in the latest version."""

    name: str
    title: str
    cells: tuple[GridCell, ...]
    is_gone: bool


@dataclass(frozen=True, slots=True)
class StepStats:
    """How one step went in the last runs."""

    name: str
    title: str
    reached: int
    failed: int
    tries_failed: int
    p50: timedelta | None
    p95: timedelta | None

    @property
    def failure_share(self) -> float | None:
        """The share of runs in which at least one try of the step failed."""
        return self.tries_failed / self.reached if self.reached else None


@dataclass(frozen=True, slots=True)
class WorkflowHistory:
    """What the history page shows. ``columns`` are newest first."""

    columns: tuple[GridColumn, ...]
    rows: tuple[GridRow, ...]
    failed_only: bool
    stats: tuple[StepStats, ...]
    trend: Trend
    sample: int = SAMPLE


def workflow_history(actor: Actor, workflow: Workflow, *, failed_only: bool = False) -> WorkflowHistory:
    """Return the history of ``workflow`` (from ``access_workflow``). Five queries."""
    mine = Q(workflow=workflow) & within_reach(actor, Permission.VIEW_RUN)
    titles = {step["name"]: step["title"] for step in definition_of(workflow)["steps"]}
    runs = Run.objects.filter(mine).defer("input", "output", "error")
    shown = runs.filter(status__in=ENDED_BADLY) if failed_only else runs
    columns = tuple(GridColumn(run, run_state(run)) for run in shown.order_by("-id")[:COLUMNS])
    months = last_month(mine)
    return WorkflowHistory(
        columns=columns,
        rows=_grid(columns, titles),
        failed_only=failed_only,
        stats=_stats(runs.order_by("-id").values("pk")[:SAMPLE], titles),
        trend=duration_trend(months[workflow.pk].spans if workflow.pk in months else ()),
    )


def _grid(columns: Sequence[GridColumn], titles: Mapping[str, str]) -> tuple[GridRow, ...]:
    found: dict[tuple[UUID, str], StepStatus] = {}
    names = dict.fromkeys(titles)
    steps = StepRun.objects.filter(run__in=[column.run.pk for column in columns]).order_by("position")
    for run_id, name, status in steps.values_list("run_id", "step", "status"):
        found[run_id, name] = StepStatus(status)
        names.setdefault(name)
    return tuple(
        GridRow(
            name,
            titles.get(name, name),
            tuple(_cell(column, found.get((column.run.pk, name), StepStatus.PENDING)) for column in columns),
            name not in titles,
        )
        for name in names
    )


def _cell(column: GridColumn, status: StepStatus) -> GridCell:
    state = step_state(status, RunStatus(column.run.status))
    return GridCell(column, state, status == StepStatus.PENDING and state.name != StateName.BLOCKED)


def _stats(sample: QuerySet[Run, Any], titles: Mapping[str, str]) -> tuple[StepStats, ...]:
    """Return the steps' figures over ``sample``. Two queries, on the primary keys of steps and attempts."""
    took = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    done = Q(status=StepStatus.SUCCEEDED)
    rows: dict[str, dict[str, Any]] = {
        row["step"]: dict(row)
        for row in StepRun.objects.filter(run__in=sample)
        .order_by()
        .values("step")
        .annotate(
            reached=Count("run_id", filter=~Q(status=StepStatus.SKIPPED)),
            failed=Count("run_id", filter=Q(status__in=[StepStatus.FAILED, StepStatus.UNCERTAIN])),
            p50=Percentile(took, share=0.5, filter=done),
            p95=Percentile(took, share=0.95, filter=done),
        )
    }
    tries = Attempt.objects.filter(run__in=sample, outcome__in=_FAILED_TRIES, kind=Attempt.Kind.RUN).order_by()
    tries_failed = dict(tries.values_list("step").annotate(Count("run", distinct=True)))
    nothing: dict[str, Any] = {"reached": 0, "failed": 0, "p50": None, "p95": None}
    return tuple(
        StepStats(
            name=name,
            title=title,
            reached=row["reached"],
            failed=row["failed"],
            tries_failed=tries_failed.get(name, 0),
            p50=row["p50"],
            p95=row["p95"],
        )
        for name, title in titles.items()
        for row in [rows.get(name, nothing)]
    )
