"""A run does its steps, keeps each, and goes on after whatever happens: the engine against real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.engine import flows
from tests.engine.drive import drive, started, steps_of
from workflows.models import Run, RunEvent, StepRun

pytestmark = pytest.mark.django_db


def test_a_run_does_its_steps_in_order_and_ends() -> None:
    run = drive(started(flows.order_flow))
    assert run.status == "succeeded"
    assert steps_of(run) == {
        "prepare": "succeeded",
        "reserve": "succeeded",
        "pay": "succeeded",
        "book": "succeeded",
        "wrap": "skipped",
        "tell": "succeeded",
    }
    assert [name for name, _, _ in flows.calls] == ["prepare", "reserve", "pay", "book", "tell"]
    assert run.output == {"text": "told"}
    assert run.ended_at is not None
    assert run.amount == 100
    assert run.customer_key == "A-1"
    assert list(RunEvent.objects.filter(run=run).values_list("number", flat=True)) == list(
        range(1, run.event_count + 1)
    )


def test_times_are_those_of_the_step_though_it_is_written_with_the_next() -> None:
    run = drive(started(flows.order_flow))
    ends = list(StepRun.objects.filter(run=run).order_by("position").values_list("started_at", "ended_at"))
    moments = [moment for pair in ends for moment in pair if moment]
    assert moments == sorted(moments)
    events = list(RunEvent.objects.filter(run=run).values_list("at", flat=True))
    assert events == sorted(events)


def test_a_run_says_that_it_is_in_a_call_while_it_is() -> None:
    flows.behaviour["reserve"] = lambda ctx: flows.Note(text=Run.objects.get(pk=ctx.run_id).current_step)
    run = drive(started(flows.order_flow))
    assert StepRun.objects.get(run=run, step="reserve").output == {"text": "reserve"}
