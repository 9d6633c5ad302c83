"""What is due starts once: on time, late, beside or behind the run before it, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
import time_machine
from django.db import connection

from portal.core.models import AuditEntry
from tests.engine.drive import drive
from tests.schedules import flows
from workflows.definition.workflow import WorkflowDefinition
from workflows.models import Run, Schedule, ScheduledTime
from workflows.schedules.starting import LATE, forget_old_times, start_due, start_queued
from workflows.services.registration import ensure_workflow

pytestmark = pytest.mark.django_db
NOON = datetime(2027, 3, 26, 12, 0, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _whole_input() -> Iterator[None]:
    yield
    flows.broken = False


def registered(workflow: WorkflowDefinition[Any], at: datetime = NOON) -> Schedule:
    """Return the schedule of a workflow that was registered at this time."""
    with time_machine.travel(at, tick=False):
        row = ensure_workflow(workflow)
    return Schedule.objects.get(workflow=row)


def come_round(at: datetime) -> int:
    """Let a dispatcher come at this time; returns how many runs it started."""
    with time_machine.travel(at, tick=False):
        return start_due()


def noted(row: Schedule) -> list[tuple[str, str]]:
    """Return each time with what became of it, the earliest first."""
    times = ScheduledTime.objects.filter(schedule=row).order_by("due_at")
    return [(f"{time.due_at:%d %H:%M}", time.status) for time in times]


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def test_a_schedule_starts_its_run_on_time_with_the_input_of_that_time() -> None:
    row = registered(flows.nightly)
    assert row.next_at == datetime(2027, 3, 27, 1, tzinfo=UTC)
    assert come_round(row.next_at - timedelta(seconds=1)) == 0
    assert come_round(row.next_at + timedelta(seconds=1)) == 1
    run = Run.objects.get()
    assert (run.input, run.started_by) == ({"day": "2027-03-27 02:00"}, "Schedule main of test-nightly")
    assert noted(row) == [("27 01:00", "started")]


def test_the_next_time_is_that_of_the_zone_after_clocks_have_changed() -> None:
    row = registered(flows.nightly)
    come_round(datetime(2027, 3, 27, 1, 0, 1, tzinfo=UTC))
    drive(Run.objects.get())
    come_round(datetime(2027, 3, 28, 1, 0, 1, tzinfo=UTC))
    row.refresh_from_db()
    assert row.next_at == datetime(2027, 3, 29, 0, tzinfo=UTC)
    days = Run.objects.values_list("input__day", flat=True)
    assert sorted(days) == ["2027-03-27 02:00", "2027-03-28 03:00"]


def test_coming_round_again_starts_nothing_twice() -> None:
    registered(flows.nightly)
    assert [come_round(NOON + hours(13.01)) for _ in range(3)] == [1, 0, 0]


def test_the_latest_of_the_missed_times_is_caught_up() -> None:
    row = registered(flows.nightly)
    assert come_round(NOON + hours(65)) == 1
    assert noted(row) == [("27 01:00", "missed"), ("28 01:00", "missed"), ("29 00:00", "caught_up")]


def test_missed_times_may_be_skipped_by_policy_and_are_listed() -> None:
    row = registered(flows.skipping)
    assert come_round(NOON + hours(3)) == 1
    assert noted(row) == [("26 13:00", "missed"), ("26 14:00", "missed"), ("26 15:00", "started")]


def test_all_missed_times_may_be_caught_up_but_not_without_end() -> None:
    row = registered(flows.allowing)
    assert come_round(NOON + hours(5.5)) == 3
    assert [status for _, status in noted(row)] == ["missed", "missed", "caught_up", "caught_up", "caught_up"]


def test_a_little_late_is_not_missed() -> None:
    row = registered(flows.skipping)
    assert come_round(NOON.replace(hour=13, second=0) + LATE) == 1
    assert noted(row) == [("26 13:00", "started")]


def test_a_time_is_passed_over_while_the_run_before_it_is_under_way() -> None:
    row = registered(flows.skipping)
    come_round(NOON + hours(1))
    assert come_round(NOON + hours(2)) == 0
    assert noted(row) == [("26 13:00", "started"), ("26 14:00", "skipped")]
    assert "was still under way" in ScheduledTime.objects.get(status="skipped").why
    drive(Run.objects.get())
    assert come_round(NOON + hours(3)) == 1


def test_a_time_may_wait_for_the_run_before_it_to_end() -> None:
    row = registered(flows.queueing)
    come_round(NOON + hours(1))
    come_round(NOON + hours(2))
    come_round(NOON + hours(3))
    assert start_queued() == 0
    drive(Run.objects.get())
    assert start_queued() == 1
    assert noted(row) == [("26 13:00", "started"), ("26 14:00", "started"), ("26 15:00", "queued")]
    assert Run.objects.get(status="queued").input == {"day": "2027-03-26 14:00"}


def test_runs_that_are_caught_up_follow_one_another() -> None:
    row = registered(flows.queueing)
    assert come_round(NOON + hours(3.5)) == 1
    assert noted(row) == [("26 13:00", "caught_up"), ("26 14:00", "queued"), ("26 15:00", "queued")]


def test_a_time_may_start_beside_the_run_before_it() -> None:
    registered(flows.allowing)
    assert [come_round(NOON + hours(n)) for n in (1, 2)] == [1, 1]


def test_an_input_that_fails_is_noted_and_stops_no_other_schedule() -> None:
    row, other = registered(flows.nightly), registered(flows.skipping)
    flows.broken = True
    assert come_round(NOON + hours(13)) == 0
    flows.broken = False
    assert noted(row) == [("27 01:00", "missed")]
    assert "there is no such day" in ScheduledTime.objects.get(schedule=row).why
    assert come_round(NOON + hours(14)) == 1
    assert ("27 02:00", "started") in noted(other)


def test_a_time_within_a_pause_is_passed_over_and_the_pause_ends_by_itself() -> None:
    row = registered(flows.skipping)
    row.paused_at, row.paused_until, row.paused_reason = NOON, NOON + hours(1.5), "The bank is being moved."
    row.save()
    assert [come_round(NOON + hours(n)) for n in (1, 2)] == [0, 1]
    assert noted(row) == [("26 13:00", "skipped"), ("26 14:00", "started")]
    row.refresh_from_db()
    assert row.paused_at is None
    assert AuditEntry.objects.filter(action="workflows.schedule.resume", actor_kind="system").count() == 1


def test_a_schedule_that_was_changed_is_due_by_its_new_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    row = registered(flows.skipping)
    monkeypatch.setattr(flows.skipping, "schedules", ())
    registered(flows.skipping, NOON + hours(1))
    row.refresh_from_db()
    assert (row.retired_at is not None, row.next_at) == (True, None)
    monkeypatch.undo()
    assert registered(flows.skipping, NOON + hours(9)).next_at == NOON.replace(second=0) + hours(10)
    assert come_round(NOON + hours(9.5)) == 0


def test_notes_of_times_long_past_are_dropped() -> None:
    row = registered(flows.skipping)
    come_round(NOON + hours(1))
    with time_machine.travel(NOON + timedelta(days=70), tick=False):
        forget_old_times()
    assert noted(row) == []


@pytest.mark.django_db(transaction=True)
def test_many_dispatchers_start_a_time_once() -> None:
    row = registered(flows.nightly)
    Schedule.objects.filter(pk=row.pk).update(next_at=datetime.now(UTC) - timedelta(seconds=1))
    started: list[int] = []

    def come() -> None:
        try:
            started.append(start_due())
        finally:
            connection.close()

    threads = [Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Run.objects.count() == sum(started) <= 1
