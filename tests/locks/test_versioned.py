"""Who changes a record that somebody else has changed meanwhile is told, and the step is tried again."""

from __future__ import annotations

import pytest

from tests.engine import flows
from tests.engine.drive import drive, started
from tests.locks.flows import account_flow
from workflows import StaleRecord, update_versioned
from workflows.definition.values import Dependency as Declared
from workflows.dependencies.services import ensure_dependency
from workflows.models import Dependency, StepRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def record() -> Dependency:
    """Any row with a number that counts."""
    return ensure_dependency(Declared("shared"))


def change(record: Dependency, reason: str) -> None:
    update_versioned(record, version_field="opened_times", reason=reason)


def test_the_second_of_two_is_refused_and_writes_nothing(record: Dependency) -> None:
    first, second = Dependency.objects.get(), Dependency.objects.get()
    change(first, "first")
    assert (first.reason, first.opened_times) == ("first", 1)
    with pytest.raises(StaleRecord, match="has changed since version 0 was read"):
        change(second, "second")
    assert Dependency.objects.get().reason == "first"


def test_the_step_is_tried_again_with_what_is_there_now(record: Dependency) -> None:
    def come_too_late_once(ctx: object) -> flows.Note:
        row = Dependency.objects.get()
        if len(flows.calls) == 1:
            change(Dependency.objects.get(), "somebody else")
        change(row, f"after {row.reason}")
        return flows.Note(text=row.reason)

    flows.behaviour["change_balance"] = come_too_late_once
    run = drive(started(account_flow))
    assert run.status == "succeeded"
    assert StepRun.objects.get(run=run, step="change_balance").attempts == 2
