"""The list of runs: rows with how their duration compares, and how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from portal.core import clock
from portal.core.access import within_reach
from portal.core.actor import Actor
from portal.core.durations import duration_words
from portal.core.paging import CappedCount, capped_count, keyset_page
from portal.core.permissions import Permission
from workflows.engine.state import RunStatus, StepStatus
from workflows.gaps import Gap, gap_of
from workflows.models import Run, StepRun
from workflows.presentation import State, StateName, run_state, short_id, waiting_words

PAGE_SIZE = 50
FRESH_LIMIT = 99
SAMPLE = 200

# Durations of the latest successes of each workflow, through the index on (workflow, -id).
_USUAL_SQL = """
SELECT w.id,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY s.took),
       percentile_cont(0.95) WITHIN GROUP (ORDER BY s.took)
FROM unnest(%s::bigint[]) AS w(id)
CROSS JOIN LATERAL (
    SELECT r.ended_at - coalesce(r.started_at, r.created_at) AS took
    FROM workflows_run r
    WHERE r.workflow_id = w.id AND r.status = 'succeeded'
    ORDER BY r.id DESC
    LIMIT %s
) s
GROUP BY w.id
"""


@dataclass(frozen=True, slots=True)
class Usual:
    """How long a workflow's latest successful runs took."""

    median: timedelta
    p95: timedelta


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in a list. ``share`` is its duration in per cent of the bar, whose end is twice the workflow's p95."""

    run: Run
    state: State
    duration: timedelta | None
    usual: Usual | None
    now: datetime
    gaps: Sequence[Gap] = ()

    @property
    def short_id(self) -> str:
        """The end of the run's id, where ids of one time differ."""
        return short_id(self.run.pk)

    @property
    def began(self) -> datetime:
        """When it started; before that, when it was accepted."""
        return self.run.started_at or self.run.created_at

    @property
    def why(self) -> str:
        """Where it stands, and what it waits for or its latest error, in a few words; "" for one that is done."""
        if self.state.name == StateName.OK or self.run.status == RunStatus.QUEUED:
            return ""
        if self.gaps:
            return "; ".join(gap.words(gap.step.replace("_", " ").capitalize()) for gap in self.gaps)
        words = waiting_words(self.run)
        if self.state.name == StateName.FAILED and self.run.error:
            words = str(self.run.error.get("message", ""))
        step = self.run.current_step.replace("_", " ")
        return ": ".join(filter(None, (step, words)))

    @property
    def versus_words(self) -> str:
        """The comparison with the workflow's usual duration, as a sentence."""
        if self.usual is None or self.duration is None:
            return ""
        took, usual = duration_words(self.duration), duration_words(self.usual.median)
        return f"{took}; half of the latest successes took up to {usual}, 95 % up to {duration_words(self.usual.p95)}"

    @property
    def is_late(self) -> bool:
        """Whether it took, or has already taken, longer than promised."""
        return self.run.due_at is not None and (self.run.ended_at or self.now) > self.run.due_at

    @property
    def is_slow(self) -> bool:
        """Whether it took longer than 95 % of the workflow's latest successes."""
        return bool(self.usual and self.duration and self.duration > self.usual.p95)

    @property
    def share(self) -> float:
        """The duration in per cent of the bar, whose whole length is twice the p95."""
        return self._share(self.duration) if self.duration else 0.0

    @property
    def median_share(self) -> float:
        """Where the bar marks the median."""
        return self._share(self.usual.median) if self.usual else 0.0

    def _share(self, duration: timedelta) -> float:
        if not self.usual or not self.usual.p95:
            return 0.0
        return round(min(duration / (self.usual.p95 * 2), 1.0) * 100, 1)


@dataclass(frozen=True, slots=True)
class RunList:
    """One page of the list. ``fresh`` is how many newer runs match that the person has not asked to see."""

    rows: list[RunRow]
    total: CappedCount
    newer: str
    older: str
    fresh: CappedCount


def visible_runs(actor: Actor) -> QuerySet[Run]:
    """Return the runs that ``actor`` may see, each with its workflow."""
    return Run.objects.filter(within_reach(actor, Permission.VIEW_RUN)).select_related("workflow")


def run_list(runs: QuerySet[Run], *, before: str = "", after: str = "", pinned: str = "") -> RunList:
    """Return one page of ``runs``, newest first.

    ``pinned`` is the newest run that was on the screen: newer ones are counted instead of shown, so that rows do
    not move under the reader's eyes.
    """
    shown = runs.filter(pk__lte=pinned) if pinned else runs
    page = keyset_page(shown.defer("input", "output"), size=PAGE_SIZE, before=before, after=after)
    return RunList(
        rows=run_rows(page.rows),
        total=capped_count(runs),
        newer=page.newer,
        older=page.older,
        fresh=capped_count(runs.filter(pk__gt=pinned), FRESH_LIMIT) if pinned else CappedCount(0),
    )


def run_rows(runs: Iterable[Run]) -> list[RunRow]:
    """Return runs as rows of a list, in their order. One query for all of them together, two if some are degraded."""
    runs = list(runs)
    now = clock.now()
    usual = usual_durations({run.workflow_id for run in runs})
    gaps = gaps_of(run for run in runs if run.status == RunStatus.DEGRADED)
    return [
        RunRow(run, run_state(run), duration_of(run, now), usual.get(run.workflow_id), now, gaps.get(run.pk, ()))
        for run in runs
    ]


def gaps_of(runs: Iterable[Run]) -> dict[UUID, list[Gap]]:
    """Return what each of these runs lacks. One query, none for no runs."""
    ids = [run.pk for run in runs]
    gaps: dict[UUID, list[Gap]] = {}
    if not ids:
        return gaps
    with_gap = Q(status__in=[StepStatus.FAILED, StepStatus.FELL_BACK]) | Q(output__has_keys=["failed", "missing"])
    for row in StepRun.objects.filter(with_gap, run__in=ids).order_by("position"):
        if gap := gap_of(row):
            gaps.setdefault(row.run_id, []).append(gap)
    return gaps


def duration_of(run: Run, now: datetime) -> timedelta | None:
    """Return how long a run took or has been under way; None before it started."""
    if run.started_at is None and run.ended_at is None:
        return None
    return (run.ended_at or now) - (run.started_at or run.created_at)


def usual_durations(workflows: Iterable[int]) -> dict[int, Usual]:
    """Return the median and p95 of each workflow's latest successes; those without any are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_USUAL_SQL, [sorted(workflows), SAMPLE])
        return {key: Usual(median, p95) for key, median, p95 in cursor.fetchall()}


def is_under_way(run: Run) -> bool:
    """Whether a worker has the run in hand, so that what is shown of it changes from second to second."""
    return run.status in {RunStatus.RUNNING, RunStatus.ROLLING_BACK}
