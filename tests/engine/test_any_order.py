"""Whatever people and the world do to a run, in whatever order: money moves once, and the tables agree.

Hypothesis plays the operator, the shop and the clock against the real engine, services and database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from portal.core.actor import SYSTEM
from portal.core.errors import Conflict, InvalidInput, NotFound
from tests.engine import flows
from tests.engine.drive import advance_once, started, wake
from tests.engine.world import MOODS, World
from workflows.engine.state import FINAL_RUN_STATUSES, RunStatus, StepStatus
from workflows.models import CallWindow, Dependency, Run, RunEvent, StepRun
from workflows.services import (
    available_commands,
    cancel_run,
    decide_step,
    pause_run,
    resume_run,
    retry_from_step,
    roll_back_run,
    skip_step,
)

WHY = "Hypothesis wants to see what happens."
STEPS = [step.name for step in flows.order_flow.plan.order]
PLAIN: dict[str, Callable[..., Run]] = {
    "resume": resume_run,
    "pause": pause_run,
    "cancel": cancel_run,
    "rollback": roll_back_run,
}
UNDOES = ["release_goods", "pay_back", "unbook"]


class AnyOrder(RuleBasedStateMachine):
    """One run, and everybody who can touch it."""

    @initialize()
    def begin(self) -> None:
        """Start a run in a world where all is well."""
        CallWindow.objects.all().delete()
        Dependency.objects.update(state=Dependency.State.CLOSED, opened_times=0, probe_at=None)
        self.world = World(STEPS, UNDOES)
        flows.behaviour.clear()
        flows.behaviour.update({name: self.world.perform(name) for name in [*STEPS, *UNDOES]})
        flows.behaviour["find_payment"] = self.world.look_up
        self.run = started(flows.order_flow, gift=True)

    @rule(name=st.sampled_from([*STEPS, *UNDOES]), mood=st.sampled_from(MOODS))
    def the_world_turns(self, name: str, mood: str) -> None:
        """Change how the other side behaves."""
        self.world.mood[name] = mood

    @rule()
    def a_worker_takes_it(self) -> None:
        """Let time pass and a worker take the run as far as it goes."""
        self.run = advance_once(wake(self.run))

    @rule(name=st.sampled_from(sorted(PLAIN)))
    def a_person_commands(self, name: str) -> None:
        """Give a command; it works exactly when it was offered."""
        offered = {c.name: c for c in available_commands(SYSTEM, self.run, self.rows())}[name]
        worked = self.attempt(PLAIN[name])
        assert worked == offered.is_possible, (name, self.run.status, offered.unmet)

    @rule(step=st.sampled_from(STEPS))
    def a_person_retries(self, step: str) -> None:
        """Run a step again, if that is not twice."""
        self.attempt(retry_from_step, step=step)

    @rule(step=st.sampled_from(["wrap", "tell"]))
    def a_person_skips(self, step: str) -> None:
        """Leave out a step that nobody needs."""
        self.attempt(skip_step, step=step)

    @rule()
    def a_person_decides(self) -> None:
        """Look into the bank's books and say what happened."""
        happened = bool(self.world.done[self.key_of("pay")])
        self.attempt(decide_step, step="pay", happened=happened, output={"text": "seen"} if happened else None)

    @invariant()
    def nothing_was_done_twice_or_undone_twice(self) -> None:
        """Each operation was done once or not at all, whatever was repeated."""
        assert set(self.world.done.values()) <= {0, 1}, self.world.done

    @invariant()
    def the_books_agree_with_the_status(self) -> None:
        """What is called done was done, and what is called undone is undone."""
        if self.run.status == RunStatus.SUCCEEDED:
            assert self.world.done[self.key_of("pay")] == 1
        if self.run.status == RunStatus.ROLLED_BACK:
            assert {key: n for key, n in self.world.done.items() if n and ":pay:" in key} == {}

    @invariant()
    def the_tables_agree(self) -> None:
        """History without gaps, an end exactly at the end, no lease left behind."""
        run = self.run
        assert (run.ended_at is None) == (run.status not in FINAL_RUN_STATUSES)
        assert run.lease_owner == ""
        numbers = list(RunEvent.objects.filter(run=run).values_list("number", flat=True))
        assert numbers == list(range(1, run.event_count + 1))
        if run.status == RunStatus.SUCCEEDED:
            assert {row.status for row in self.rows()} <= {StepStatus.SUCCEEDED, StepStatus.SKIPPED}

    def attempt(self, service: Callable[..., Run], **arguments: Any) -> bool:
        """Call a service and tell whether it agreed."""
        try:
            service(actor=SYSTEM, run_id=self.run.pk, reason=WHY, **arguments)
        except (Conflict, InvalidInput, NotFound):
            return False
        finally:
            self.run.refresh_from_db()
        return True

    def rows(self) -> list[StepRun]:
        """Return the run's checkpoints."""
        return list(StepRun.objects.filter(run=self.run))

    def key_of(self, step: str) -> str:
        """Return the operation key under which a step was done last."""
        row = StepRun.objects.filter(run=self.run, step=step).first()
        return row.operation_key if row else f"{self.run.pk}:{step}:0"


@pytest.mark.django_db
def test_any_order_of_events_keeps_the_promises() -> None:
    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            derandomize=True,
            phases=[Phase.generate],  # shrinking would take minutes
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
