"""Starting what is due, once for each time, whichever dispatcher comes first and whenever one dies.

The run, the note of the time and the schedule's next time are written in one transaction under the lock of the
schedule's row; the run's idempotency key names schedule and time besides.
"""

from __future__ import annotations

import logging
from collections import deque
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from pydantic import BaseModel

from portal.core.actor import SYSTEM, Actor
from portal.core.audit import record
from portal.core.clock import now
from workflows.definition.schedule import Schedule as Declared
from workflows.engine import crash_points
from workflows.engine.state import FINAL_RUN_STATUSES
from workflows.models import Run, Schedule, ScheduledTime
from workflows.schedules.registration import declared_schedule
from workflows.services.start import start_run

log = logging.getLogger(__name__)
LATE = timedelta(seconds=60)  # a time that nobody came to for longer than this was missed
LOOK_BACK = timedelta(days=7)  # times missed before that are not even listed
MOST_LISTED = 500
KEPT = timedelta(days=60)
_MAY_OVERLAP = 20  # of the latest runs, how many are looked at for one that is still under way
_Status = ScheduledTime.Status


def start_due(*, at_most: int = 50) -> int:
    """Do what is due for each schedule whose time has come; returns the number of runs started."""
    due = Schedule.objects.filter(retired_at=None, next_at__lte=now(), workflow__retired_at=None)
    return sum(map(_take_turn, list(due.order_by("next_at").values_list("pk", flat=True)[:at_most])))


def start_queued(*, at_most: int = 50) -> int:
    """Start the times that waited for the run before them to end; returns the number of runs started."""
    waiting = ScheduledTime.objects.filter(status=_Status.QUEUED).order_by("schedule", "due_at")
    first = {time.schedule_id: time.pk for time in reversed(waiting[:at_most])}
    return sum(map(_start_queued, first.values()))


def forget_old_times() -> None:
    """Drop the notes of times long past."""
    ScheduledTime.objects.filter(due_at__lt=now() - KEPT).delete()


@transaction.atomic
def _take_turn(pk: int) -> int:
    at = now()
    rows = Schedule.objects.select_for_update(of=("self",), skip_locked=True).select_related(
        "workflow__team", "paused_by"
    )
    row = rows.filter(pk=pk, retired_at=None, next_at__lte=at).first()
    declared = declared_schedule(row) if row else None
    if row is None or declared is None:  # another dispatcher has it, or this one's code is older
        return 0
    started = _Turn(row, declared, at).take()
    row.next_at = declared.times.after(at)
    row.save(update_fields=["next_at", "paused_at", "paused_until", "paused_by", "paused_reason"])
    crash_points.reach("dispatcher.before_schedule")
    transaction.on_commit(lambda: crash_points.reach("dispatcher.after_schedule"))
    return started


class _Turn:
    """One schedule whose time has come, perhaps for the second and third time since anybody looked."""

    def __init__(self, row: Schedule, declared: Declared, at: datetime) -> None:
        self.row, self.declared, self.at = row, declared, at

    def take(self) -> int:
        """Start, queue or note each time that is due; returns the number of runs started."""
        due = self._due()
        late = [time for time in due if self.at - time > LATE and not self.row.is_paused_at(time)]
        caught_up = set(late[-self._to_catch_up() :] if self._to_catch_up() else [])
        started = 0
        for time in due:
            if self.row.is_paused_at(time):
                note(self.row, time, _Status.SKIPPED, f"Paused: {self.row.paused_reason}")
            elif time in late and time not in caught_up:
                note(self.row, time, _Status.MISSED, "No dispatcher was there at that time.")
            else:
                started += self._begin(time, is_late=time in caught_up)
        self._end_pause()
        return started

    def _due(self) -> list[datetime]:
        first = max(self.row.next_at or self.at, self.at - LOOK_BACK) - timedelta(seconds=1)
        times: deque[datetime] = deque(maxlen=MOST_LISTED)
        for time in self.declared.times.times_after(first):
            if time > self.at:
                break
            times.append(time)
        return list(times)

    def _to_catch_up(self) -> int:
        return {"skip": 0, "latest": 1, "all": self.declared.catch_up_at_most}[self.declared.catch_up]

    def _begin(self, time: datetime, *, is_late: bool) -> int:
        status = _Status.CAUGHT_UP if is_late else _Status.STARTED
        why = "Started late: no dispatcher was there at that time." if is_late else ""
        if self.declared.overlap != "allow" and (earlier := run_under_way(self.row)):
            # Those that are caught up follow one another; they were not skipped for the sake of each other.
            waits = self.declared.overlap == "queue" or is_late
            words = f"The run before it, {str(earlier)[-8:]}, was still under way."
            note(self.row, time, _Status.QUEUED if waits else _Status.SKIPPED, words)
            return 0
        return int(start_at(self.row, self.declared, time, status, why))

    def _end_pause(self) -> None:
        """Forget a pause whose time is over."""
        if self.row.paused_until is None or self.row.paused_until > self.at:
            return
        self.row.paused_at = self.row.paused_until = self.row.paused_by = None
        self.row.paused_reason = ""
        reason = "The pause has ended at the time that was set for it."
        record(actor=SYSTEM, action="workflows.schedule.resume", obj=self.row, reason=reason)


@transaction.atomic
def _start_queued(pk: UUID) -> int:
    times = ScheduledTime.objects.select_for_update(of=("self",), skip_locked=True)
    time = times.select_related("schedule__workflow__team").filter(pk=pk, status=_Status.QUEUED).first()
    declared = declared_schedule(time.schedule) if time else None
    if time is None or declared is None or run_under_way(time.schedule):
        return 0
    return int(start_at(time.schedule, declared, time.due_at, _Status.STARTED, time.why))


def start_at(row: Schedule, declared: Declared, due_at: datetime, status: _Status, why: str) -> bool:
    """Start the run of a time and note it; a time whose run cannot be started is noted as missed."""
    actor = Actor(kind="system", id=f"schedule-{row.pk}", label=f"Schedule {row.name} of {row.workflow.slug}")
    try:
        with transaction.atomic():
            given = input_at(row, declared, due_at)
            key = f"schedule:{row.name}:{due_at:%Y-%m-%dT%H:%MZ}"
            run = start_run(actor=actor, workflow=row.workflow.slug, input=given, idempotency_key=key).run
    except Exception as exc:  # of the author's function too: one schedule's mistake must not stop the others
        log.exception("Schedule %s of %s could not start a run.", row.name, row.workflow.slug)
        note(row, due_at, _Status.MISSED, f"The run could not be started: {exc}"[:500])
        return False
    note(row, due_at, status, why, run)
    return True


def input_at(row: Schedule, declared: Declared, moment: datetime) -> BaseModel | dict[str, object]:
    """Return the input of a run that is started for ``moment``, as the author's function gives it."""
    return declared.input(moment.astimezone(ZoneInfo(row.zone))) if declared.input else {}


def note(row: Schedule, due_at: datetime, status: _Status, why: str = "", run: Run | None = None) -> None:
    """Write down what became of a time."""
    values = {"status": status, "why": why, "run": run, "noted_at": now()}
    ScheduledTime.objects.update_or_create(schedule=row, due_at=due_at, defaults=values)


def run_under_way(row: Schedule) -> UUID | None:
    """Return a run of this schedule that has not ended yet, None if all have."""
    latest = ScheduledTime.objects.filter(schedule=row, run__isnull=False).order_by("-due_at")
    runs = Run.objects.filter(pk__in=list(latest.values_list("run_id", flat=True)[:_MAY_OVERLAP]))
    return runs.exclude(status__in=FINAL_RUN_STATUSES).values_list("pk", flat=True).first()
