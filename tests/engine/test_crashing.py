"""A worker dies, or is taken for dead: what the next one does, in one process and without luck of timing.

The same with real processes and SIGKILL: tests/faults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine import flows
from tests.engine.drive import advance_once, die_in, drive, started, steps_of
from tests.factories import told
from workflows.engine import crash_points, store
from workflows.engine.holder import holder
from workflows.engine.runner import advance
from workflows.models import Attempt, Run, RunEvent, StepRun

pytestmark = pytest.mark.django_db


class Dead(BaseException):
    """The worker is gone; nothing that it would still have done happens."""


def dying_in(run: Run, step: str, *, before: Callable[[], Any] = lambda: None) -> None:
    """Let a worker take the run and die inside the step."""

    def die(ctx: object) -> None:
        before()
        raise Dead

    flows.behaviour[step] = die
    with pytest.raises(Dead):
        advance(run.pk)
    del flows.behaviour[step]
    die_in(run)


def reclaim() -> int:
    """Do what the dispatcher does about leases that are over."""
    return len(store.reclaim(100, []))


def test_a_run_goes_on_after_its_last_checkpoint() -> None:
    run = started(flows.order_flow)
    dying_in(run, "book")
    assert reclaim() == 1
    run.refresh_from_db()
    assert (run.status, run.lost_count) == ("queued", 1)
    run = drive(run)
    assert run.status == "succeeded"
    assert [name for name, _, _ in flows.calls] == ["prepare", "reserve", "pay", "book", "book", "tell"]
    assert run.lost_count == 0
    lost = Attempt.objects.get(run=run)
    assert (lost.step, lost.outcome) == ("book", "lost")
    assert RunEvent.objects.filter(run=run, kind="run.reclaimed").count() == 1


def test_a_call_that_must_not_be_repeated_is_looked_up_after_a_crash() -> None:
    run = started(flows.order_flow)
    dying_in(run, "pay")
    reclaim()
    flows.behaviour["find_payment"] = lambda ctx: flows.Note(text="it went through")
    assert drive(run).status == "succeeded"
    assert [name for name, _, _ in flows.calls].count("pay") == 1


def test_without_a_way_to_look_it_up_a_person_decides_after_a_crash() -> None:
    run = started(flows.blind_flow)
    dying_in(run, "shoot")
    reclaim()
    run = drive(run)
    assert (run.status, steps_of(run)) == ("paused", {"shoot": "uncertain"})
    assert [name for name, _, _ in flows.calls].count("shoot") == 1


def test_a_step_with_a_verification_is_looked_up_after_a_crash_even_if_it_may_be_repeated() -> None:
    run = started(flows.order_flow)
    dying_in(run, "reserve")
    reclaim()
    assert drive(run).status == "succeeded"
    assert [name for name, _, _ in flows.calls].count("reserve") == 2


def test_a_worker_that_was_presumed_dead_can_write_nothing_more() -> None:
    run = started(flows.order_flow)

    def be_taken_for_dead(ctx: object) -> flows.Note:
        die_in(run)
        assert reclaim() == 1
        return flows.Note(text="too late")

    flows.behaviour["reserve"] = be_taken_for_dead
    run = advance_once(run)
    assert run.status == "queued"
    assert "reserve" not in steps_of(run)
    flows.behaviour.clear()
    assert drive(run).status == "succeeded"
    assert StepRun.objects.get(run=run, step="reserve").output == {"text": "reserved after prepared A-1"}


@pytest.mark.parametrize(("step", "point"), [("pay", "worker.after_intent"), ("reserve", "worker.before_body")])
def test_a_worker_that_was_frozen_past_its_lease_calls_nobody(
    step: str, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(flows.order_flow)

    def freeze(reached: str, at: str = "") -> None:
        if (reached, at) == (point, step):
            assert holder._held
            holder._held.renewed_at -= store.LEASE_SECONDS + 1

    monkeypatch.setattr(crash_points, "reach", freeze)
    advance(run.pk)
    assert step not in [name for name, _, _ in flows.calls]
    monkeypatch.undo()
    die_in(run)
    reclaim()
    assert drive(run).status == "succeeded"


def test_a_zombie_in_a_transaction_takes_its_writes_back() -> None:
    from portal.core.models import Team

    run = started(flows.order_flow)

    def write_and_be_taken_for_dead(ctx: object) -> flows.Note:
        Team.objects.create(slug="zombie", name="Zombie")
        # The takeover, as another connection would do it, is seen at the checkpoint.
        Run.objects.filter(pk=run.pk).update(fence=99)
        return flows.Note(text="too late")

    flows.behaviour["book"] = write_and_be_taken_for_dead
    advance(run.pk)
    run.refresh_from_db()
    # The fence was set inside the same transaction, so it is rolled back together with the zombie's team.
    assert not Team.objects.filter(slug="zombie").exists()
    assert "book" not in steps_of(run)


def test_a_message_delivered_twice_does_nothing_the_second_time() -> None:
    run = drive(started(flows.order_flow))
    calls = list(flows.calls)
    advance(run.pk)
    run.refresh_from_db()
    assert run.status == "succeeded"
    assert flows.calls == calls


def test_a_run_that_a_worker_holds_is_not_taken_by_another() -> None:
    run = started(flows.order_flow)
    assert store.claim(run.pk, "somebody") is not None
    assert store.claim(run.pk, "somebody else") is None


def test_a_step_that_takes_worker_after_worker_down_goes_to_a_person() -> None:
    run = started(flows.order_flow)
    for _ in range(store.MAX_LOSSES):
        dying_in(run, "reserve")
        reclaim()
    run.refresh_from_db()
    assert run.status == "failed"
    assert told(run)["code"] == "worker-lost"
    assert run.ended_at is not None
    kinds = list(RunEvent.objects.filter(run=run).order_by("number").values_list("kind", flat=True))
    assert kinds[-1] == "run.failed"
    assert kinds.count("run.reclaimed") == store.MAX_LOSSES


def test_a_rollback_goes_on_after_a_crash() -> None:
    from portal.core.actor import SYSTEM
    from workflows.services import roll_back_run

    run = drive(started(flows.order_flow))
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason="A test rolls it back")
    dying_in(run, "pay_back")
    reclaim()
    run = drive(run)
    assert run.status == "rolled_back"
    undone = [name for name, _, _ in flows.calls if name in {"unbook", "pay_back", "release_goods"}]
    assert undone == ["unbook", "pay_back", "pay_back", "release_goods"]


def test_what_a_lost_worker_may_have_done_is_looked_up_by_a_rollback() -> None:
    from portal.core.actor import SYSTEM
    from workflows.services import pause_run, preview_rollback, roll_back_run

    run = started(flows.purchase_flow)
    dying_in(run, "hold")
    reclaim()
    pause_run(actor=SYSTEM, run_id=run.pk, reason="A test stops it before it goes on")
    flows.behaviour["find_hold"] = lambda ctx: flows.Note(text="it is held")
    assert [line.step for line in preview_rollback(actor=SYSTEM, run_id=run.pk).undone] == ["hold", "enter"]
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason="A test rolls it back")
    assert drive(run).status == "rolled_back"
    assert [name for name, _, _ in flows.calls] == ["enter", "hold", "find_hold", "let_go", "strike_out"]
