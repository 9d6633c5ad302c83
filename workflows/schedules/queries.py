"""What the page and the API show of schedules: what runs next, what was missed, what somebody has paused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from portal.core import clock
from portal.core.access import may, within_reach
from portal.core.actor import Actor
from portal.core.errors import NotFound
from portal.core.permissions import Permission
from workflows.models import Schedule, ScheduledTime
from workflows.presentation import State, StateName
from workflows.schedules.cron import Cron, CronError

AHEAD = timedelta(hours=24)
MANY = 96  # times a day; more than that are one band
LISTED = 50
_CATCH_UP = {"skip": "not caught up", "latest": "the latest is caught up", "all": "all are caught up"}
_OVERLAP = {
    "skip": "passed over while the run before it is under way",
    "queue": "starts when the run before it has ended",
    "allow": "starts beside the run before it",
}
_Status = ScheduledTime.Status


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on the lane of the next 24 hours, in per cent of its width."""

    x: float
    words: str


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule as one person sees it. ``times``: when it is due within a day, the first ``MANY`` of them."""

    row: Schedule
    latest: ScheduledTime | None
    times: Sequence[datetime]
    now: datetime
    may_start: bool
    may_pause: bool

    @property
    def title(self) -> str:
        """The workflow's title, with the schedule's name where it has one of its own."""
        title = self.row.workflow.title
        return title if self.row.name == "main" else f"{title}, {self.row.name}"

    @property
    def cron(self) -> Cron | None:
        """The times; None for an expression that this process cannot read."""
        try:
            return Cron(self.row.cron, self.row.zone)
        except CronError:
            return None

    @property
    def words(self) -> str:
        """When it is due, in words."""
        return self.cron.words if self.cron else self.row.cron

    @property
    def clock_note(self) -> str:
        """What the next change of clocks does to it."""
        return self.cron.clock_note(self.now) if self.cron else ""

    @property
    def policy(self) -> str:
        """What becomes of times that were missed, or that come too early."""
        return f"Missed: {_CATCH_UP[self.row.catch_up]}. Overlapping: {_OVERLAP[self.row.overlap]}."

    @property
    def is_paused(self) -> bool:
        """Whether nothing starts now because somebody said so."""
        return self.row.is_paused_at(self.now)

    @property
    def state(self) -> State:
        """Paused, overdue, or waiting for its time."""
        if self.is_paused:
            return State(StateName.PAUSED, "Paused")
        if self.row.next_at and self.row.next_at < self.now - timedelta(minutes=1):
            return State(StateName.DEGRADED, "Overdue")
        return State(StateName.OK, "On")

    @property
    def next_at(self) -> datetime | None:
        """When it starts its next run, as far as that is known; None while it is paused without an end."""
        if not self.is_paused:
            return self.row.next_at
        until = self.row.paused_until
        return self.cron.after(until - timedelta(seconds=1)) if until and self.cron else None

    @property
    def is_dense(self) -> bool:
        """Whether its times of a day are drawn as one band."""
        return len(self.times) >= MANY

    @property
    def ticks(self) -> list[Tick]:
        """Its times within a day on the lane."""
        zone = ZoneInfo(self.row.zone)
        return [Tick(_place(at, self.now), f"{at.astimezone(zone):%H:%M} {self.row.zone}") for at in self.times]


@dataclass(frozen=True, slots=True)
class ScheduleList:
    """Every schedule that somebody may see, what runs next first; and what was missed."""

    schedules: Sequence[ScheduleView]
    missed: Sequence[ScheduledTime]
    hours: Sequence[Tick]

    @property
    def paused(self) -> list[ScheduleView]:
        """Those that somebody has paused."""
        return [view for view in self.schedules if view.is_paused]

    @property
    def overdue(self) -> list[ScheduleView]:
        """Those whose time has come without anybody starting them."""
        return [view for view in self.schedules if view.state.name == StateName.DEGRADED]


def schedule_list(actor: Actor) -> ScheduleList:
    """Return the schedules of the workflows that ``actor`` may see. Three queries."""
    now = clock.now()
    rows = list(_visible(actor))
    latest = ScheduledTime.objects.select_related("run").in_bulk({row.latest_time for row in rows if row.latest_time})
    views = [_view(actor, row, latest.get(row.latest_time), now) for row in rows]
    views.sort(key=lambda view: (view.next_at is None, view.next_at or now, view.row.pk))
    missed = ScheduledTime.objects.filter(schedule__in=[row.pk for row in rows], status=_Status.MISSED)
    return ScheduleList(views, list(missed.select_related("schedule__workflow")[:LISTED]), _hours(now))


def access_schedule(actor: Actor, slug: str, name: str) -> ScheduleView:
    """Return a schedule.

    :raises NotFound: if there is none, or none that the actor may see.
    """
    row = _visible(actor).filter(workflow__slug=slug, name=name).first()
    if row is None:
        raise NotFound("There is no such schedule, or none that you may see.")
    return _view(actor, row, None, clock.now())


def next_starts(actor: Actor, *, at_most: int) -> list[ScheduleView]:
    """Return the schedules that start next. Two queries at most."""
    rows = _visible(actor).filter(next_at__isnull=False).order_by("next_at")[: 2 * at_most]
    now = clock.now()
    views = [_view(actor, row, None, now) for row in rows]
    return [view for view in views if not view.is_paused][:at_most]


def schedules_of(actor: Actor, slug: str) -> list[ScheduleView]:
    """Return the schedules of one workflow. One query."""
    now = clock.now()
    return [_view(actor, row, None, now) for row in _visible(actor).filter(workflow__slug=slug)]


def _visible(actor: Actor) -> QuerySet[Any]:
    """Return the schedules in force, each with ``latest_time``, the key of the latest time that has a run."""
    latest = ScheduledTime.objects.filter(schedule=OuterRef("pk"), run__isnull=False).order_by("-due_at")
    return (
        Schedule.objects.filter(
            within_reach(actor, Permission.VIEW_WORKFLOW), retired_at=None, workflow__retired_at=None
        )
        .select_related("workflow__team", "paused_by")
        .annotate(latest_time=Subquery(latest.values("pk")[:1]))
    )


def _view(actor: Actor, row: Schedule, latest: ScheduledTime | None, now: datetime) -> ScheduleView:
    try:
        times = Cron(row.cron, row.zone).between(now, now + AHEAD, at_most=MANY)
    except CronError:
        times = []
    return ScheduleView(
        row=row,
        latest=latest,
        times=[at for at in times if not row.is_paused_at(at)],
        now=now,
        may_start=may(actor, Permission.START_RUN, row),
        may_pause=may(actor, Permission.PAUSE_WORKFLOW, row),
    )


def _place(at: datetime, now: datetime) -> float:
    return round((at - now) / AHEAD * 100, 2)


def _hours(now: datetime) -> list[Tick]:
    """Return every third full hour of the next 24, in the viewer's zone."""
    first = timezone.localtime(now).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    hours = [first + timedelta(hours=n) for n in range(24)]
    return [Tick(_place(at, now), f"{at:%H:%M}") for at in hours if at.hour % 3 == 0]
