"""Several runs, and everything that can befall their workers, in any order: the promises hold after each move.

What ``test_any_order`` is for people, this is for processes: deaths at every crash point, leases that run out,
zombies that write, messages that come twice. A recorder in the database sees each change of state.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from benchmarks.faults import recorder
from benchmarks.faults.rules import LAST_WORDS, may_be_seen_as
from portal.core.actor import SYSTEM
from portal.core.errors import Conflict, IdempotencyKeyReused, InvalidInput, LeaseLost, NotFound
from tests.engine import flows
from tests.engine.drive import die_in
from tests.engine.world import MOODS, World
from workflows import DependencyUnavailable
from workflows.engine import crash_points, store
from workflows.engine.runner import advance
from workflows.engine.state import RunStatus, StepStatus, may_become
from workflows.engine.store import EventWrite, Release, Writes
from workflows.models import CallWindow, Dependency, Run, RunEvent, StepRun
from workflows.services import (
    cancel_run,
    decide_step,
    pause_run,
    resume_run,
    retry_from_step,
    roll_back_run,
    start_run,
)

WHY = "Hypothesis wants to see what happens."
FLOW = flows.purchase_flow
STEPS = [step.name for step in FLOW.plan.order]
UNDOES = ["let_go", "call_back", "strike_out"]
KEYS = ["a", "b"]
examples = count()
COMMANDS: dict[str, Callable[..., Run]] = {
    "pause": pause_run,
    "resume": resume_run,
    "cancel": cancel_run,
    "roll back": roll_back_run,
}
which = st.integers(min_value=0, max_value=2)


class Dead(BaseException):
    """The worker is gone; nothing that it would still have done happens."""


class Processes(RuleBasedStateMachine):
    """Up to three runs, their workers and dispatcher, and people who interfere."""

    @initialize(mood=st.sampled_from(MOODS), name=st.sampled_from(STEPS))
    def begin(self, mood: str, name: str) -> None:
        """Start a run in a world where something may be amiss."""
        CallWindow.objects.all().delete()
        Dependency.objects.update(state=Dependency.State.CLOSED, opened_times=0, probe_at=None)
        self.world = World(STEPS, UNDOES)
        self.world.mood[name] = mood
        self.runs: list[Run] = []
        self.fences: dict[Any, int] = {}
        self.example = next(examples)  # runs of former examples are still there
        flows.behaviour.clear()
        flows.behaviour.update({name: self.world.perform(name) for name in [*STEPS, *UNDOES]})
        flows.behaviour |= {"find_hold": self.world.look_up, "find_wire": self.world.look_up}
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE torture_run, torture_step")
        self.a_caller_starts(None)

    # The world, and callers ---------------------------------------------------------------------------

    @rule(name=st.sampled_from([*STEPS, *UNDOES]), mood=st.sampled_from(MOODS))
    def the_world_turns(self, name: str, mood: str) -> None:
        """Change how the other side behaves."""
        self.world.mood[name] = mood

    @rule(name=st.sampled_from([*STEPS, *UNDOES]))
    def a_service_is_away(self, name: str) -> None:
        """The next call finds nobody, and nothing is done."""
        act = flows.behaviour[name]

        def refuse(ctx: Any) -> None:
            flows.behaviour[name] = act
            raise DependencyUnavailable("Closed for today.")

        flows.behaviour[name] = refuse

    @rule(key=st.sampled_from([None, *KEYS]))
    def a_caller_starts(self, key: str | None) -> None:
        """Start a run; the same key gives the same run."""
        known = {run.idempotency_key: run.pk for run in self.runs if run.idempotency_key}
        key = key and f"{self.example}:{key}"
        if len(self.runs) == 3 and key not in known:
            return
        started = start_run(actor=SYSTEM, workflow=FLOW.name, input=flows.Order(), idempotency_key=key)
        assert started.created == (key not in known)
        assert known.get(key or "", started.run.pk) == started.run.pk
        if started.created:
            self.runs.append(started.run)

    @rule(key=st.sampled_from(KEYS))
    def a_caller_uses_a_key_for_something_else(self, key: str) -> None:
        """Be refused."""
        key = f"{self.example}:{key}"
        if any(run.idempotency_key == key for run in self.runs):
            with pytest.raises(IdempotencyKeyReused):
                start_run(actor=SYSTEM, workflow=FLOW.name, input=flows.Order(number="Z"), idempotency_key=key)

    # Workers and the dispatcher -----------------------------------------------------------------------

    @rule(n=which)
    def a_message_comes(self, n: int) -> None:
        """Let a worker take the run as far as it goes."""
        advance(self.run(n).pk)

    @rule(n=which)
    def a_message_comes_twice(self, n: int) -> None:
        """The second time nothing is called."""
        run = self.run(n)
        advance(run.pk)
        calls = list(flows.calls)
        run.refresh_from_db()
        if run.status != RunStatus.ROLLING_BACK:  # it may wait for a moment that has come by now
            advance(run.pk)
        assert flows.calls == calls

    @rule(n=which, moment=st.integers(min_value=1, max_value=16))
    def a_worker_dies(self, n: int, moment: int) -> None:
        """Let a worker take the run, and die at so-and-so-many crash points from there."""
        run, points = self.run(n), count(1)

        def reach(point: str, step: str = "") -> None:
            if next(points) == moment:
                raise Dead

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(crash_points, "reach", reach)
            with suppress(Dead):
                advance(run.pk)

    @rule(n=which, moment=st.integers(min_value=1, max_value=16))
    def a_worker_dies_and_is_missed(self, n: int, moment: int) -> None:
        """It dies, and the dispatcher sees at once that it is gone."""
        self.a_worker_dies(n, moment)
        self.a_dispatcher_sees_dead_owners()

    @rule(n=which, step=st.sampled_from(STEPS))
    def a_worker_freezes_in_a_step_and_wakes_up(self, n: int, step: str) -> None:
        """It does its call, but by the time it would say so its run was taken back."""
        act = flows.behaviour[step]

        def freeze(ctx: Any) -> Any:
            flows.behaviour[step] = act
            done = act(ctx)
            die_in(Run(pk=ctx.run_id))
            store.reclaim(100, [])
            return done

        flows.behaviour[step] = freeze
        self.a_message_comes(n)
        flows.behaviour[step] = act

    @rule()
    def leases_run_out(self) -> None:
        """The dispatcher takes back what nobody renewed."""
        for run in Run.objects.exclude(lease_owner=""):
            die_in(run)
        store.reclaim(100, [])

    @rule()
    def a_dispatcher_sees_dead_owners(self) -> None:
        """The dispatcher takes back what a process held that is gone."""
        store.reclaim(100, store.lease_owners())

    @rule()
    def time_passes(self) -> None:
        """What was to wait has waited, and the dispatcher wakes it."""
        with connection.cursor() as cursor:
            cursor.execute("UPDATE workflows_run SET wake_at = now() - interval '1 second' WHERE wake_at IS NOT NULL")
        store.wake_due(100)

    @rule()
    def all_calms_down(self) -> None:
        """With nobody in the way, every run comes to an end or waits for a person."""
        for name in self.world.mood:
            self.world.mood[name] = "well"
        for _ in range(5):
            self.leases_run_out()
            self.time_passes()
            for n in range(len(self.runs)):
                advance(self.run(n).pk)
        assert all(run.is_final or run.status == RunStatus.PAUSED for run in map(self.run, range(len(self.runs))))

    @rule()
    def the_broker_is_emptied(self) -> None:
        """The dispatcher finds each queue in which a run waits to be taken, without any message."""
        queued = Run.objects.filter(status__in=["queued", "rolling_back"], lease_owner="", wake_at=None)
        assert store.queues_left_alone(0.0) == sorted(set(queued.values_list("queue", flat=True)))

    @rule(n=which, age=st.integers(min_value=1, max_value=3))
    def a_zombie_writes(self, n: int, age: int) -> None:
        """Nothing of it arrives."""
        run = self.run(n)
        if run.fence < age:
            return
        writes = Writes(events=[EventWrite("step.succeeded", STEPS[0])])
        with pytest.raises(LeaseLost):
            store.checkpoint(run.pk, run.fence - age, "zombie", writes, STEPS[0])
        with pytest.raises(LeaseLost):
            store.release(run.pk, run.fence - age, "zombie", writes, Release(RunStatus.FAILED))
        assert not store.renew(run.pk, run.fence - age)

    # People -------------------------------------------------------------------------------------------

    @rule(n=which, name=st.sampled_from(sorted(COMMANDS)))
    def a_person_commands(self, n: int, name: str) -> None:
        """Give a command, which may be refused."""
        self.attempt(n, COMMANDS[name])

    @rule(n=which)
    def a_person_wants_it_undone(self, n: int) -> None:
        """Stop it wherever it is, and roll it back."""
        self.attempt(n, pause_run)
        self.attempt(n, roll_back_run)

    @rule(n=which, step=st.sampled_from(STEPS))
    def a_person_retries(self, n: int, step: str) -> None:
        """Run a step again, if that is not twice."""
        self.attempt(n, retry_from_step, step=step)

    @rule(n=which)
    def a_person_decides(self, n: int) -> None:
        """Look into the books of the other side and say what happened."""
        run = self.run(n)
        for row in StepRun.objects.filter(run=run, status=StepStatus.UNCERTAIN):
            happened = bool(self.world.done[row.operation_key])
            output = {"text": "seen"} if happened else None
            self.attempt(n, decide_step, step=row.step, happened=happened, output=output)

    def attempt(self, n: int, service: Callable[..., Run], **arguments: Any) -> None:
        """Call a service, whether it agrees or not."""
        with suppress(Conflict, InvalidInput, NotFound):
            service(actor=SYSTEM, run_id=self.run(n).pk, reason=WHY, **arguments)

    def run(self, n: int) -> Run:
        """Return the n-th run as it is now."""
        run = self.runs[n % len(self.runs)]
        run.refresh_from_db()
        return run

    # What is always true ------------------------------------------------------------------------------

    @invariant()
    def nothing_was_done_twice(self) -> None:
        """Each operation was done once or not at all, however often it was asked for."""
        assert set(self.world.done.values()) <= {0, 1}, self.world.done

    @invariant()
    def each_run_is_consistent(self) -> None:
        """Tokens, history, checkpoints and the world's books tell one story of each run."""
        for n in range(len(self.runs)):
            run = self.run(n)
            rows = list(StepRun.objects.filter(run=run))
            self.tokens_only_grow(run, rows)
            self.the_books_agree(run, rows)
            history_is_whole(run)

    def tokens_only_grow(self, run: Run, rows: list[StepRun]) -> None:
        """Fencing tokens grow, and no checkpoint has one from the future."""
        assert run.fence >= self.fences.get(run.pk, 0)
        self.fences[run.pk] = run.fence
        assert all(row.fence <= run.fence for row in rows)

    def the_books_agree(self, run: Run, rows: list[StepRun]) -> None:
        """What is called done was done, and of what is called rolled back nothing is left."""
        left = self.world.left_of(run)
        if run.status == RunStatus.SUCCEEDED:
            assert left == {row.operation_key for row in rows}
            assert len(left) == len(STEPS)
        if run.status == RunStatus.ROLLED_BACK:
            assert left == set()

    @invariant()
    def every_change_is_in_the_tables(self) -> None:
        """The recorder saw no change of state that the transition tables do not know."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT DISTINCT old, new FROM torture_run")
            runs = [(RunStatus(old), RunStatus(new)) for old, new in cursor.fetchall()]
            cursor.execute("SELECT DISTINCT coalesce(old, 'pending'), new FROM torture_step")
            steps = [(StepStatus(old), StepStatus(new)) for old, new in cursor.fetchall()]
        assert [(old, new) for old, new in runs if old is not new and not may_become(old, new)] == []
        assert [(old, new) for old, new in steps if not may_be_seen_as(old, new)] == []


def history_is_whole(run: Run) -> None:
    """Events are numbered without a gap, and the last word is what the run is."""
    events = list(RunEvent.objects.filter(run=run).values_list("number", "kind"))
    assert [number for number, _ in events] == list(range(1, run.event_count + 1))
    said = [kind for _, kind in events if any(kind in words for words in LAST_WORDS.values())]
    if run.status in LAST_WORDS:
        assert said[-1] in LAST_WORDS[run.status], (run.status, events)


@pytest.mark.django_db
def test_any_order_of_deaths_keeps_the_promises() -> None:
    with connection.cursor() as cursor:
        for part in recorder.PARTS:
            cursor.execute(part)
    run_state_machine_as_test(
        Processes,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            derandomize=True,
            phases=[Phase.generate],  # shrinking would take minutes
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
