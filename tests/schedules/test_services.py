"""What people do to schedules: pause, resume, start now, catch up, skip; with a reason and on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portal.core.clock import now
from portal.core.errors import Forbidden, InvalidInput, InvalidTransition, NotFound
from portal.core.models import AuditEntry
from tests.personas import Personas
from tests.schedules import flows
from workflows.models import Run, Schedule, ScheduledTime
from workflows.schedules.services import (
    catch_up_time,
    pause_schedule,
    resume_schedule,
    skip_time,
    start_schedule_now,
)
from workflows.services.registration import ensure_workflow

pytestmark = pytest.mark.django_db
WHY = "The bank is being moved."
NIGHTLY: dict[str, Any] = {"workflow": "test-nightly", "name": "main"}


@pytest.fixture
def schedule() -> Schedule:
    return Schedule.objects.get(workflow=ensure_workflow(flows.nightly))


def missed(schedule: Schedule) -> ScheduledTime:
    due_at = now().replace(microsecond=0) - timedelta(hours=1)
    return ScheduledTime.objects.create(schedule=schedule, due_at=due_at, status="missed", noted_at=now())


def test_a_pause_has_a_reason_an_end_and_an_entry(schedule: Schedule, personas: Personas) -> None:
    until = now() + timedelta(days=1)
    pause_schedule(actor=personas.actor("operator"), **NIGHTLY, reason=WHY, until=until)
    schedule.refresh_from_db()
    assert schedule.is_paused_at(now())
    assert not schedule.is_paused_at(until)
    entry = AuditEntry.objects.get(action="workflows.schedule.pause")
    assert (entry.reason, (entry.after or {})["until"]) == (WHY, until.isoformat())
    with pytest.raises(InvalidTransition, match="paused already"):
        pause_schedule(actor=personas.actor("operator"), **NIGHTLY, reason=WHY)


def test_a_resume_starts_with_the_next_time(schedule: Schedule, personas: Personas) -> None:
    olga = personas.actor("operator")
    with pytest.raises(InvalidTransition, match="is not paused"):
        resume_schedule(actor=olga, **NIGHTLY, reason=WHY)
    pause_schedule(actor=olga, **NIGHTLY, reason=WHY)
    Schedule.objects.update(next_at=now() - timedelta(days=3))
    row = resume_schedule(actor=olga, **NIGHTLY, reason=WHY)
    assert row.next_at is not None
    assert row.next_at > now()
    assert not row.is_paused_at(now())


@pytest.mark.parametrize("days", [-1, 100])
def test_a_pause_ends_within_reason(schedule: Schedule, personas: Personas, days: int) -> None:
    until = now() + timedelta(days=days)
    with pytest.raises(InvalidInput, match="92 days"):
        pause_schedule(actor=personas.actor("operator"), **NIGHTLY, reason=WHY, until=until)


def test_starting_now_with_one_token_starts_one_run(schedule: Schedule, personas: Personas) -> None:
    for _ in range(2):
        start_schedule_now(actor=personas.actor("support"), **NIGHTLY, reason=WHY, token="0" * 32)
    run = Run.objects.get()
    assert run.started_by == "Support"
    assert AuditEntry.objects.filter(action="workflows.run.start").count() == 1


def test_a_missed_time_is_caught_up_once(schedule: Schedule, personas: Personas) -> None:
    time = missed(schedule)
    catch_up_time(actor=personas.actor("support"), **NIGHTLY, due_at=time.due_at, reason=WHY)
    time.refresh_from_db()
    assert time.status == "caught_up"
    assert time.run_id == Run.objects.get().pk
    with pytest.raises(InvalidTransition, match="not missed"):
        catch_up_time(actor=personas.actor("support"), **NIGHTLY, due_at=time.due_at, reason=WHY)


def test_a_missed_time_may_be_let_be(schedule: Schedule, personas: Personas) -> None:
    time = missed(schedule)
    skip_time(actor=personas.actor("support"), **NIGHTLY, due_at=time.due_at, reason=WHY)
    time.refresh_from_db()
    assert (time.status, time.why) == ("skipped", f"Skipped by Support: {WHY}")
    assert not Run.objects.exists()


def test_who_may_not_is_refused(schedule: Schedule, personas: Personas) -> None:
    with pytest.raises(Forbidden):
        pause_schedule(actor=personas.actor("support"), **NIGHTLY, reason=WHY)
    with pytest.raises(Forbidden):
        start_schedule_now(actor=personas.actor("viewer"), **NIGHTLY, reason=WHY)
    with pytest.raises(NotFound):
        pause_schedule(actor=personas.actor("outsider"), **NIGHTLY, reason=WHY)
    with pytest.raises(NotFound):
        pause_schedule(actor=personas.actor("operator"), workflow="test-nightly", name="other", reason=WHY)
