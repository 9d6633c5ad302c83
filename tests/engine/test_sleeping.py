"""A step that lets time pass: the run waits without a worker and goes on when the time is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection

from tests.engine import flows
from tests.engine.drive import advance_once, drive, started, steps_of, wake
from workflows import DefinitionError, Effect, Workflow
from workflows.definition import registry
from workflows.models import Run, StepRun

pytestmark = pytest.mark.django_db


def sleepy(name: str, length: object) -> Workflow[flows.Order]:
    """A workflow that sleeps between two steps."""
    workflow = Workflow(
        name, version=1, owner="test-team", input=flows.Order, objective=flows.OBJECTIVE, runbook="test"
    )

    @workflow.step(effect=Effect.PURE)
    def before(order: flows.Order) -> flows.Note:
        return flows.Note(text=order.number)

    cool_off = workflow.sleep("cool_off", length, after=[before])  # type: ignore[arg-type]

    @workflow.step(effect=Effect.PURE, after=[cool_off])
    def after(before: flows.Note) -> flows.Note:
        return before

    return workflow


hour_flow = sleepy("test-sleep-an-hour", timedelta(hours=1))
DAWN = datetime(2030, 1, 1, 6, tzinfo=UTC)
dawn_flow = sleepy("test-sleep-till-dawn", lambda order: DAWN)
never_flow = sleepy("test-sleep-badly", lambda order: "tomorrow")


def time_left(run: Run) -> timedelta:
    """From the moment the run came to the sleep until it is woken."""
    since = StepRun.objects.get(run=run, step="cool_off").started_at
    assert run.wake_at is not None
    assert since is not None
    return run.wake_at - since


def let_pass(run: Run, hours: float) -> None:
    """Move the run's past back, as the database's clock cannot be turned forward."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflows_steprun SET started_at = started_at - %s * interval '1 hour' WHERE run_id = %s",
            [hours, run.pk],
        )


def test_a_sleeping_run_holds_no_worker_and_says_until_when() -> None:
    run = advance_once(started(hour_flow))
    assert (run.status, run.waiting_reason, run.waiting_on) == ("waiting", "timer", "cool_off")
    assert run.lease_owner == ""
    assert timedelta(minutes=59) < time_left(run) < timedelta(minutes=61)


def test_a_run_that_is_woken_early_sleeps_on_for_the_rest() -> None:
    run = advance_once(started(hour_flow))
    let_pass(run, 0.75)
    advance_once(wake(run))
    assert run.status == "waiting"
    assert timedelta(minutes=59) < time_left(run) < timedelta(minutes=61)


def test_a_run_goes_on_when_the_time_is_over() -> None:
    run = advance_once(started(hour_flow))
    let_pass(run, 1)
    advance_once(wake(run))
    assert run.status == "succeeded"
    assert steps_of(run) == {"before": "succeeded", "cool_off": "succeeded", "after": "succeeded"}


def test_a_run_can_sleep_until_a_moment() -> None:
    with time_machine.travel(DAWN - timedelta(minutes=1)):
        run = advance_once(started(dawn_flow))
    assert run.status == "waiting"
    with time_machine.travel(DAWN + timedelta(seconds=1)):
        assert drive(wake(run)).status == "succeeded"


def test_something_that_is_no_time_fails_the_step_in_words() -> None:
    run = drive(started(never_flow))
    assert run.status == "failed"
    assert run.error
    assert "must sleep for a timedelta or until a datetime with a zone" in run.error["message"]


@pytest.mark.parametrize("name", ["cool off", "order", "before", "_hidden"])
def test_a_name_that_cannot_be_used_is_told_with_its_line(name: str) -> None:
    workflow = Workflow(
        "test-badly-named-sleep",
        version=1,
        owner="test-team",
        input=flows.Order,
        objective=flows.OBJECTIVE,
        runbook="test",
    )
    try:

        @workflow.step(effect=Effect.PURE)
        def before(order: flows.Order) -> None:
            return None

        with pytest.raises(DefinitionError, match=r"engine/test_sleeping\.py:\d+: test-badly-named-sleep\."):
            workflow.sleep(name, timedelta(hours=1), after=[before])
    finally:
        registry.forget(workflow)
