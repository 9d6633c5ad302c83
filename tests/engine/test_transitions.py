"""The transition tables themselves: closed, without dead ends, and left at the end only by a person."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from workflows.engine.state import (
    DONE_STEP_STATUSES,
    FINAL_RUN_STATUSES,
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    RunStatus,
    StepStatus,
    may_become,
    step_may_become,
)

Table = Mapping[Any, frozenset[Any]]
S = TypeVar("S", RunStatus, StepStatus)
# What a person's command can put a run into; everything else is set by the engine.
COMMANDED = {RunStatus.QUEUED, RunStatus.ROLLING_BACK, RunStatus.CANCELLED}
TABLES = [
    pytest.param(RUN_TRANSITIONS, RunStatus, id="run"),
    pytest.param(STEP_TRANSITIONS, StepStatus, id="step"),
]


def reachable(table: Mapping[S, frozenset[S]], start: S) -> set[S]:
    """Return every state that ``start`` can lead to, itself included."""
    seen, ahead = {start}, [start]
    while ahead:
        fresh = table[ahead.pop()] - seen
        seen |= fresh
        ahead.extend(fresh)
    return seen


@pytest.mark.parametrize(("table", "states"), TABLES)
def test_each_state_has_its_row_and_leads_to_known_states_only(table: Table, states: type[StrEnum]) -> None:
    assert set(table) == set(states)
    assert frozenset().union(*table.values()) <= set(states)


@pytest.mark.parametrize(("table", "states"), TABLES)
def test_no_state_follows_itself_and_none_is_a_trap(table: Table, states: type[StrEnum]) -> None:
    assert [state for state in states if state in table[state]] == []
    assert [state for state in states if not table[state]] == []


def test_every_status_can_be_reached_from_the_start() -> None:
    assert reachable(RUN_TRANSITIONS, RunStatus.SCHEDULED) == set(RunStatus)
    assert reachable(STEP_TRANSITIONS, StepStatus.PENDING) == set(StepStatus)


@pytest.mark.parametrize("status", sorted(FINAL_RUN_STATUSES))
def test_a_run_leaves_its_end_only_by_a_persons_command(status: RunStatus) -> None:
    assert RUN_TRANSITIONS[status] <= COMMANDED


@pytest.mark.parametrize("status", sorted(set(RunStatus) - FINAL_RUN_STATUSES))
def test_every_other_status_can_reach_an_end(status: RunStatus) -> None:
    assert reachable(RUN_TRANSITIONS, status) & FINAL_RUN_STATUSES


def test_a_worker_takes_hold_only_from_the_queue_or_by_rolling_back() -> None:
    before_running = {status for status in RunStatus if may_become(status, RunStatus.RUNNING)}
    assert before_running == {RunStatus.QUEUED}


def test_only_what_was_done_or_may_have_been_is_undone() -> None:
    undone = {StepStatus.COMPENSATING, StepStatus.COMPENSATED, StepStatus.COMPENSATION_FAILED}
    came_from = {old for old in StepStatus for new in undone if step_may_become(old, new)}
    looked_up_first = {StepStatus.RUNNING, StepStatus.WAITING, StepStatus.FAILED, StepStatus.UNCERTAIN}
    assert came_from - undone == DONE_STEP_STATUSES - {StepStatus.SKIPPED} | looked_up_first


def test_an_uncertain_step_never_runs_again_without_a_decision() -> None:
    assert StepStatus.RUNNING not in STEP_TRANSITIONS[StepStatus.UNCERTAIN]


class AnyRun(RuleBasedStateMachine):
    """A run that the engine and people push around as they like, within the table."""

    def __init__(self) -> None:
        super().__init__()
        self.status = RunStatus.SCHEDULED

    @precondition(lambda self: self.status not in FINAL_RUN_STATUSES)
    @rule(data=st.data())
    def the_engine_moves_it(self, data: st.DataObject) -> None:
        """Go to any status that may follow."""
        self.status = RunStatus(data.draw(st.sampled_from(sorted(RUN_TRANSITIONS[self.status]))))

    @rule(wanted=st.sampled_from(sorted(COMMANDED)))
    def a_person_commands(self, wanted: RunStatus) -> None:
        """Obey if the table lets it."""
        if may_become(self.status, wanted):
            self.status = wanted

    @invariant()
    def it_can_still_end(self) -> None:
        """Wherever it stands, an end is in reach."""
        assert reachable(RUN_TRANSITIONS, self.status) & FINAL_RUN_STATUSES

    @invariant()
    def a_person_can_always_stop_it(self) -> None:
        """Whatever is under way can be ended without a worker's help, or is being undone already."""
        done = FINAL_RUN_STATUSES | {RunStatus.ROLLING_BACK}
        assert self.status in done or may_become(self.status, RunStatus.CANCELLED)


TestAnyRun = AnyRun.TestCase
TestAnyRun.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
