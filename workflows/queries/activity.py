"""How runs ended over time: the last day hour by hour, and what is usual."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from django.db.models import (
    Aggregate,
    Count,
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    Max,
    Q,
)
from django.db.models import Value as V
from django.db.models.functions import Cast, Extract, Floor, TruncHour

from portal.core import clock
from portal.core.charts import StripCell
from workflows.engine.state import RunStatus
from workflows.models import Run

GOOD = (RunStatus.SUCCEEDED, RunStatus.DEGRADED)
# A run that was rolled back did not do what it was started for; a cancelled one was not wanted any more.
BAD = (RunStatus.FAILED, RunStatus.ROLLBACK_FAILED, RunStatus.ROLLED_BACK)
HOURS = 24
DAYS = 28
FEWEST_DAYS = 3


class Percentile(Aggregate):
    """The duration that ``share`` of the rows do not exceed."""

    template = "percentile_cont(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()

    def __init__(self, expression: ExpressionWrapper[Any], *, share: float, filter: Q) -> None:
        super().__init__(expression, share=share, filter=filter)


@dataclass(frozen=True, slots=True)
class Hour:
    """How runs of one workflow ended within an hour of the clock."""

    at: datetime
    good: int = 0
    gaps: int = 0
    bad: int = 0

    @property
    def runs(self) -> int:
        return self.good + self.bad

    def cell(self) -> StripCell:
        """Return the hour as a cell of a strip, with words."""
        span = f"{self.at:%H:%M}"
        if not self.runs:
            return StripCell("none", f"{span}: no run ended")
        words = f"{span}: {self.runs} ended"
        if self.bad:
            return StripCell("failed" if self.bad * 2 >= self.runs else "degraded", f"{words}, {self.bad} badly")
        return StripCell("degraded", f"{words}, {self.gaps} with gaps") if self.gaps else StripCell("ok", words)


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours of a workflow, oldest hour first."""

    hours: tuple[Hour, ...]
    good_last_hour: int = 0
    bad_last_hour: int = 0

    @property
    def good(self) -> int:
        return sum(hour.good for hour in self.hours)

    @property
    def bad(self) -> int:
        return sum(hour.bad for hour in self.hours)

    @property
    def runs(self) -> int:
        return self.good + self.bad

    @property
    def success(self) -> float | None:
        """The share of runs that ended well; None where none ended."""
        return self.good / self.runs if self.runs else None

    @property
    def cells(self) -> list[StripCell]:
        return [hour.cell() for hour in self.hours]

    @property
    def summary(self) -> str:
        """The strip in one sentence."""
        if self.success is None:
            return "No run ended in the last 24 hours."
        trouble = sum(bool(hour.bad) for hour in self.hours)
        ended = f"{self.runs} {'run' if self.runs == 1 else 'runs'} ended in the last 24 hours"
        if not self.bad:
            return f"{ended}, all well."
        return f"{ended}, {self.bad} badly, in {trouble} {'hour' if trouble == 1 else 'different hours'}."


@dataclass(frozen=True, slots=True)
class DaySpan:
    """How runs ended, and how long those that ended well took, in a span of 24 hours that ends ``age`` days ago."""

    age: int
    good: int
    bad: int
    p50: timedelta | None
    p95: timedelta | None

    @property
    def runs(self) -> int:
        return self.good + self.bad

    @property
    def success(self) -> float | None:
        """The share of runs that ended well; None where none ended."""
        return self.good / self.runs if self.runs else None


@dataclass(frozen=True, slots=True)
class Month:
    """The last 28 times 24 hours of a workflow, the latest first; spans in which nothing ended are left out."""

    spans: tuple[DaySpan, ...] = ()
    last_bad_at: datetime | None = None

    @property
    def latest(self) -> DaySpan:
        """The last 24 hours."""
        return next((span for span in self.spans if span.age == 0), DaySpan(0, 0, 0, None, None))

    @property
    def usual_success(self) -> float | None:
        """The median of the days before; None if fewer than three had runs."""
        return _median([span.success for span in self.spans if span.age and span.success is not None])

    @property
    def usual_p95(self) -> timedelta | None:
        """The median of the days before; None if fewer than three had runs that ended well."""
        seconds = _median([span.p95.total_seconds() for span in self.spans if span.age and span.p95 is not None])
        return None if seconds is None else timedelta(seconds=seconds)


def last_day(within: Q) -> dict[int, Day]:
    """Return the last 24 hours of each workflow that had a run end in them. One query on the index run_by_end."""
    now = clock.now()
    in_last_hour = Q(ended_at__gt=now - timedelta(hours=1))
    rows: dict[int, dict[datetime, Any]] = defaultdict(dict)
    for row in (
        Run.objects.filter(within, ended_at__gt=now - timedelta(hours=HOURS))
        .order_by()
        .annotate(hour=TruncHour("ended_at"))
        .values("workflow_id", "hour")
        .annotate(
            good=Count("pk", filter=Q(status__in=GOOD)),
            gaps=Count("pk", filter=Q(status=RunStatus.DEGRADED)),
            bad=Count("pk", filter=Q(status__in=BAD)),
            good_now=Count("pk", filter=Q(status__in=GOOD) & in_last_hour),
            bad_now=Count("pk", filter=Q(status__in=BAD) & in_last_hour),
        )
    ):
        rows[row["workflow_id"]][row["hour"]] = row
    return {workflow: _day(of_workflow) for workflow, of_workflow in rows.items()}


def quiet_day() -> Day:
    """Return the last 24 hours of a workflow in which nothing ended."""
    return Day(tuple(Hour(at) for at in _hours()))


def last_month(within: Q) -> dict[int, Month]:
    """Return the last four weeks of each workflow. One query on the index run_by_end.

    It reads the whole window: half a second for 100 000 runs, so nothing polls it every few seconds.
    """
    age = Cast(Floor(Extract(V(clock.now(), DateTimeField()) - F("ended_at"), "epoch") / 86_400), IntegerField())
    took = ExpressionWrapper(F("ended_at") - F("created_at"), output_field=DurationField())
    rows: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in (
        Run.objects.filter(within, ended_at__gt=clock.now() - timedelta(days=DAYS))
        .order_by()
        .annotate(age=age)
        .values("workflow_id", "age")
        .annotate(
            good=Count("pk", filter=Q(status__in=GOOD)),
            bad=Count("pk", filter=Q(status__in=BAD)),
            bad_at=Max("ended_at", filter=Q(status__in=BAD)),
            p50=Percentile(took, share=0.5, filter=Q(status__in=GOOD)),
            p95=Percentile(took, share=0.95, filter=Q(status__in=GOOD)),
        )
        .order_by("age")
    ):
        rows[row["workflow_id"]].append(row)
    return {workflow: _month(of_workflow) for workflow, of_workflow in rows.items()}


def _month(rows: Sequence[Mapping[str, Any]]) -> Month:
    spans = tuple(DaySpan(max(r["age"], 0), r["good"], r["bad"], r["p50"], r["p95"]) for r in rows)
    return Month(spans, max((r["bad_at"] for r in rows if r["bad_at"]), default=None))


def _hours() -> list[datetime]:
    """Return the hours of the clock that the last 24 hours touch: 25, the first and the last in part."""
    last = clock.now().replace(minute=0, second=0, microsecond=0)
    return [last - timedelta(hours=ago) for ago in range(HOURS, -1, -1)]


def _day(rows: Mapping[datetime, Mapping[str, Any]]) -> Day:
    return Day(
        tuple(
            Hour(at, rows[at]["good"], rows[at]["gaps"], rows[at]["bad"]) if at in rows else Hour(at)
            for at in _hours()
        ),
        sum(row["good_now"] for row in rows.values()),
        sum(row["bad_now"] for row in rows.values()),
    )


def _median(values: Sequence[float]) -> float | None:
    return median(values) if len(values) >= FEWEST_DAYS else None
