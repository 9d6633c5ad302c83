"""One run at a time is in a step with the same lock, in the order in which they came."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from portal.core.actor import SYSTEM
from tests.engine import flows
from tests.engine.drive import advance_once, die_in, drive, started, steps_of, wake
from tests.engine.test_crashing import Dead
from tests.locks.flows import KEY, account_flow, call_flow
from workflows import BusinessRuleViolation, TransientError
from workflows.dispatcher import Dispatcher
from workflows.engine import store
from workflows.engine.runner import advance
from workflows.models import LockTicket, ResourceLock, Run, RunEvent, StepRun
from workflows.services import cancel_run, pause_run, roll_back_run

pytestmark = pytest.mark.django_db


def held_by(run: Run) -> None:
    """Let the run hold the lock, as if its worker were in the step."""
    Run.objects.filter(pk=run.pk).update(status="running")
    assert store.take_lock(KEY, run.pk, "change_balance") is not None


def given_back_by(run: Run) -> None:
    """Let the run be through with the step."""
    with transaction.atomic():
        token = ResourceLock.objects.get(key=KEY).token
        assert store.give_back(KEY, run.pk, token) is not None


def holder() -> Run | None:
    return ResourceLock.objects.get(key=KEY).run


def queue() -> list[Run]:
    return [ticket.run for ticket in LockTicket.objects.filter(lock=KEY)]


def heal() -> None:
    """Do what the dispatcher does about locks."""
    store.tidy_locks()
    for key in store.orphaned_locks(100):
        with transaction.atomic():
            store.hand_on_orphan(key)


def elsewhere(work: Callable[[], object]) -> None:
    """Do something in another process's place: on a connection of its own."""

    def do() -> None:
        try:
            work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(do).result()


def break_it() -> None:
    """Do to the lock what a person's breaking does."""
    with transaction.atomic():
        ResourceLock.objects.select_for_update().get(key=KEY)
        store.hand_on(KEY)


def test_a_free_lock_is_taken_and_given_back_with_the_checkpoint() -> None:
    seen: list[object] = []
    flows.behaviour["change_balance"] = lambda ctx: seen.append(holder()) or flows.Note(text=str(ctx.lock_token))  # type: ignore[func-returns-value]
    flows.behaviour["tell_bank"] = lambda ctx: seen.append(holder()) or flows.Note(text=str(ctx.lock_token))  # type: ignore[func-returns-value]
    run = drive(started(account_flow))
    assert run.status == "succeeded"
    assert seen == [run, None]
    outputs = dict(StepRun.objects.filter(run=run).values_list("step", "output__text"))
    assert int(outputs["change_balance"]) > 0
    assert outputs["tell_bank"] == "None"


def test_who_finds_it_taken_waits_and_goes_on_in_the_order_of_coming() -> None:
    first, second, third = (started(account_flow) for _ in range(3))
    held_by(first)
    for run in (second, third):
        advance_once(run)
        assert (run.status, run.waiting_reason, run.waiting_on, run.wake_at) == ("waiting", "lock", KEY, None)
        assert steps_of(run) == {"change_balance": "waiting"}
    assert queue() == [second, third]
    given_back_by(first)
    second.refresh_from_db()
    third.refresh_from_db()
    assert (second.status, second.waiting_reason, third.status) == ("queued", "", "waiting")
    assert (holder(), queue()) == (second, [third])
    drive(second)
    third.refresh_from_db()
    assert third.status == "queued"
    assert drive(third).status == "succeeded"
    assert holder() is None


def test_another_key_is_another_lock() -> None:
    held_by(started(account_flow))
    assert drive(started(account_flow, number="B-2")).status == "succeeded"


def test_tokens_grow_with_each_taking() -> None:
    runs = [drive(started(account_flow)) for _ in range(3)]
    outputs = [StepRun.objects.get(run=run, step="change_balance").output or {} for run in runs]
    texts = [output["text"] for output in outputs]
    tokens = [int(text.removeprefix("token ")) for text in texts]
    assert tokens == sorted(set(tokens))


def test_a_run_that_is_woken_early_keeps_its_place() -> None:
    first, second, third = (started(account_flow) for _ in range(3))
    held_by(first)
    advance_once(second)
    advance_once(third)
    advance_once(wake(second))
    assert second.status == "waiting"
    assert queue() == [second, third]


def test_a_step_that_will_be_tried_again_gives_the_lock_back_meanwhile() -> None:
    def fail(ctx: object) -> None:
        raise TransientError("not now")

    flows.behaviour["change_balance"] = fail
    run = advance_once(started(account_flow))
    assert (run.status, run.waiting_reason) == ("waiting", "retry")
    assert holder() is None
    del flows.behaviour["change_balance"]
    assert drive(wake(run)).status == "succeeded"


def test_a_step_that_fails_gives_the_lock_to_the_next() -> None:
    first, second = started(account_flow), started(account_flow)
    store.take_lock(KEY, first.pk, "change_balance")
    advance_once(second)

    def refuse(ctx: object) -> None:
        raise BusinessRuleViolation("no")

    flows.behaviour["change_balance"] = refuse
    assert advance_once(first).status == "failed"
    second.refresh_from_db()
    assert (second.status, holder()) == ("queued", second)


def test_who_takes_a_dead_workers_run_over_has_its_lock() -> None:
    run, other = started(account_flow), started(account_flow)

    def die(ctx: object) -> None:
        raise Dead

    flows.behaviour["change_balance"] = die
    with pytest.raises(Dead):
        advance(run.pk)
    del flows.behaviour["change_balance"]
    die_in(run)
    assert advance_once(other).waiting_reason == "lock"
    store.reclaim(100, [])
    heal()
    assert holder() == run
    assert drive(run).status == "succeeded"
    assert holder() == other


@pytest.mark.parametrize("status", ["cancelled", "paused"])
def test_a_lock_whose_holder_works_no_more_goes_to_the_next(status: str) -> None:
    first, second = started(account_flow), started(account_flow)
    store.take_lock(KEY, first.pk, "change_balance")  # it was in the step when its worker died
    advance_once(second)
    command = cancel_run if status == "cancelled" else pause_run
    command(actor=SYSTEM, run_id=first.pk, reason="No longer wanted today")
    heal()
    second.refresh_from_db()
    assert (second.status, holder()) == ("queued", second)


def test_a_run_that_was_cancelled_in_the_queue_is_passed_over() -> None:
    first, second, third = (started(account_flow) for _ in range(3))
    held_by(first)
    advance_once(second)
    advance_once(third)
    cancel_run(actor=SYSTEM, run_id=second.pk, reason="No longer wanted today")
    given_back_by(first)
    assert holder() == third
    heal()
    assert queue() == []


def test_the_dispatcher_hands_a_lost_lock_on() -> None:
    first, second = started(account_flow), started(account_flow)
    held_by(first)
    advance_once(second)
    ResourceLock.objects.update(run=None)
    assert Dispatcher().round() == 1
    second.refresh_from_db()
    assert second.status == "queued"


@pytest.mark.django_db(transaction=True)
def test_a_write_under_a_broken_lock_is_taken_back_and_waits_its_turn_again() -> None:
    first, second = started(account_flow), started(account_flow)

    def be_broken(ctx: object) -> flows.Note:
        Run.objects.filter(pk=first.pk).update(customer_key="written under the lock")
        if len(flows.calls) == 1:
            elsewhere(lambda: advance_once(second))  # it queues up
            elsewhere(break_it)
        return flows.Note(text="done")

    flows.behaviour["change_balance"] = be_broken
    advance_once(first)
    assert (first.status, first.waiting_reason, first.customer_key) == ("waiting", "lock", "")
    assert RunEvent.objects.get(run=first, kind="step.lock_lost").data == {"lock": KEY}
    assert (holder(), queue()) == (second, [first])
    assert drive(second).status == "succeeded"
    first.refresh_from_db()
    assert drive(first).status == "succeeded"
    assert StepRun.objects.get(run=first, step="change_balance").attempts == 1, "the lost try is not counted"


def test_a_call_under_a_broken_lock_is_kept_and_noted() -> None:
    run = started(call_flow)

    def be_broken(ctx: object) -> flows.Note:
        break_it()
        return flows.Note(text="withdrawn")

    flows.behaviour["withdraw"] = be_broken
    assert drive(run).status == "succeeded"
    assert RunEvent.objects.get(run=run, kind="step.lock_lost").step == "withdraw"


def test_a_call_that_must_not_be_repeated_is_looked_up_under_the_lock() -> None:
    run, other = started(call_flow), started(call_flow)

    def break_off(ctx: object) -> None:
        raise OSError("the line broke off")

    seen: list[object] = []
    flows.behaviour["withdraw"] = break_off
    flows.behaviour["find_withdrawal"] = lambda ctx: seen.append(holder()) or flows.Note(text="it happened")  # type: ignore[func-returns-value]
    store.take_lock(KEY, run.pk, "withdraw")
    advance_once(other)
    assert advance_once(run).status == "succeeded"
    assert (seen, holder()) == ([run], other)


def test_a_rollback_takes_the_lock_too() -> None:
    run, other = drive(started(account_flow)), started(account_flow)
    held_by(other)
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason="A test takes it back")
    advance_once(run)
    assert (run.status, run.waiting_on, queue()) == ("rolling_back", KEY, [run])
    given_back_by(other)
    run.refresh_from_db()
    assert (run.wake_at, run.waiting_on, holder()) == (None, "", run)
    assert advance_once(run).status == "rolled_back"
    assert holder() is None


def test_locks_that_nobody_used_for_a_day_are_forgotten() -> None:
    drive(started(account_flow))
    store.tidy_locks()
    assert ResourceLock.objects.count() == 1
    ResourceLock.objects.update(since="2026-01-01T00:00:00Z")
    store.tidy_locks()
    assert ResourceLock.objects.count() == 0
