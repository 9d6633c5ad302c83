"""A step that is done once for each item of a list, a few at a time, each with a checkpoint of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from pydantic import BaseModel

from portal.core.actor import SYSTEM
from portal.core.clock import now
from portal.core.errors import InvalidTransition
from portal.core.models import Team
from tests.engine import flows
from tests.engine.drive import advance_once, wake
from workflows import BusinessRuleViolation, Dependency, Effect, Item, Retry, StepContext, TransientError, Workflow
from workflows.engine.items import work
from workflows.errors import AtCapacity, DependencyUnavailable
from workflows.models import ItemSlot, Run, RunEvent, StepItem, StepRun
from workflows.services import cancel_run, pause_run, resume_run, retry_from_step, roll_back_run, start_run

pytestmark = pytest.mark.django_db


class Bill(BaseModel):
    """An item."""

    number: str
    amount: Decimal = Decimal(10)


class Batch(BaseModel):
    """Bills."""

    bills: list[Bill]


class Paid(BaseModel):
    """What a bill becomes."""

    number: str


def a_flow(name: str, **options: Any) -> Workflow[Batch]:
    return Workflow(
        name, version=1, owner="test-team", input=Batch, objective=flows.OBJECTIVE, runbook="test", **options
    )


till = Dependency("test-till", timeout=5)
ITEM = Item(name="number", amount="amount")
said: list[tuple[str, str]] = []
does: dict[str, Callable[[StepContext], None]] = {}


def acted(number: str, ctx: StepContext) -> Paid:
    said.append((number, ctx.operation_key))
    if number in does:
        does[number](ctx)
    return Paid(number=number)


pay_flow = a_flow("test-pay-each")


@pay_flow.step(
    effect=Effect.EXTERNAL,
    calls=till,
    retry=Retry(attempts=3, base=30, cap=60),
    timeout=0.5,
    each="batch.bills",
    concurrency=2,
    tolerate=2,
    item=ITEM,
)
def pay(bill: Bill, ctx: StepContext) -> Paid:
    """Pay a bill."""
    return acted(bill.number, ctx)


@pay.compensate
def pay_back(bill: Bill, pay: Paid, ctx: StepContext) -> None:
    """Pay it back."""
    acted(f"back {pay.number}", ctx)


@pay_flow.step(effect=Effect.PURE, each="pay", concurrency=3)
def stamp(paid: Paid, batch: Batch) -> str:
    return f"{paid.number} of {len(batch.bills)}"


@pay_flow.step(effect=Effect.PURE)
def tell(pay: list[Paid | None], stamp: list[str | None]) -> str:
    return ", ".join("-" if one is None else f"{one.number} ({word})" for one, word in zip(pay, stamp, strict=True))


strict_flow = a_flow("test-book-each")


@strict_flow.step(effect=Effect.PURE)
def split(batch: Batch) -> list[Bill]:
    return batch.bills


@strict_flow.step(effect=Effect.DATABASE, retry=Retry(attempts=1), each="split", item=ITEM)
def book(one: Bill, ctx: StepContext) -> None:
    """A row for each."""
    Team.objects.create(slug=f"team-{one.number}", name=one.number)
    acted(one.number, ctx)


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    said.clear()
    does.clear()


def started(workflow: Workflow[Batch], *numbers: str) -> Run:
    bills = [Bill(number=number) for number in numbers]
    return start_run(actor=SYSTEM, workflow=workflow.name, input=Batch(bills=bills)).run


def work_all(run: Run) -> None:
    for step, slot in ItemSlot.objects.filter(run=run).values_list("step", "number"):
        work(run.pk, step, slot)
    run.refresh_from_db()


def drive(run: Run, rounds: int = 30) -> Run:
    for _ in range(rounds):
        advance_once(run)
        if run.status != "waiting":
            return run
        StepItem.objects.filter(run=run).update(next_attempt_at=None)
        work_all(run)
        if run.status == "waiting":
            wake(run)
    raise AssertionError(f"still {run.status} for {run.waiting_reason} {run.waiting_on}")


def items(run: Run, step: str = "pay") -> list[str]:
    return list(StepItem.objects.filter(run=run, step=step).values_list("status", flat=True))


def fails(error: Exception) -> Callable[[StepContext], None]:
    def fail(ctx: StepContext) -> None:
        raise error

    return fail


def test_the_run_waits_without_a_worker_while_its_items_are_done() -> None:
    run = advance_once(started(pay_flow, "a", "b", "c"))
    assert (run.status, run.waiting_reason, run.waiting_on) == ("waiting", "items", "0 of 3 done")
    assert run.lease_owner == ""
    assert items(run) == ["pending"] * 3
    assert ItemSlot.objects.filter(run=run).count() == 2


def test_each_item_is_done_once_under_a_key_of_its_own_and_the_list_goes_on() -> None:
    run = drive(started(pay_flow, "a", "b", "c"))
    assert run.status == "succeeded"
    assert said == [(number, f"{run.pk}:pay:0:{index}") for index, number in enumerate("abc")]
    assert run.output == "a (a of 3), b (b of 3), c (c of 3)"


def test_the_last_item_wakes_the_run_at_once() -> None:
    run = advance_once(started(pay_flow, "a", "b"))
    work_all(run)
    assert run.status == "queued"


def test_a_list_without_items_is_done_at_once() -> None:
    run = drive(started(pay_flow))
    assert (run.status, run.output) == ("succeeded", "")


def test_tolerated_failures_leave_the_run_degraded_and_a_gap_in_the_list() -> None:
    does["b"] = fails(BusinessRuleViolation("no cover"))
    run = drive(started(pay_flow, "a", "b", "c"))
    assert run.status == "degraded"
    assert run.output == "a (a of 3), -, c (c of 3)"
    assert items(run, "stamp") == ["succeeded", "skipped", "succeeded"]
    summary = StepRun.objects.get(run=run, step="pay").output
    assert summary
    assert (summary["failed"], summary["missing"], summary["worth"]) == (1, ["b"], {"": "10.00"})


def test_more_failures_than_tolerated_fail_the_step_and_leave_the_rest_undone() -> None:
    for number in "abc":
        does[number] = fails(BusinessRuleViolation("no cover"))
    run = drive(started(pay_flow, *"abcdefghij"))
    assert run.status == "failed"
    assert run.error
    assert run.error["code"] == "items-failed"
    assert run.error["message"].startswith("3 of 10 items failed, 2 may: a, b, c. The first: no cover")
    assert "pending" in items(run), "what can no longer help is not done"


def test_a_resume_does_only_what_is_missing() -> None:
    for number in "abc":
        does[number] = fails(BusinessRuleViolation("no cover"))
    run = drive(started(pay_flow, *"abcde"))
    before = {number for number, _ in said}
    done = set(StepItem.objects.filter(run=run, status="succeeded").values_list("name", flat=True))
    said.clear()
    does.clear()
    resume_run(actor=SYSTEM, run_id=run.pk, reason="The cover is there now")
    assert drive(run).status == "succeeded"
    assert {number for number, _ in said} == set("abcde") - done
    assert before


def test_a_resume_of_a_degraded_run_takes_up_the_failed_items_and_what_follows_from_them() -> None:
    does["b"] = fails(BusinessRuleViolation("no cover"))
    run = drive(started(pay_flow, *"abc"))
    said.clear()
    does.clear()
    resume_run(actor=SYSTEM, run_id=run.pk, reason="The cover is there now")
    assert drive(run).status == "succeeded"
    assert [number for number, _ in said] == ["b"]
    assert run.output == "a (a of 3), b (b of 3), c (c of 3)"


def test_an_item_that_fails_for_a_moment_is_tried_again_later_under_the_same_key() -> None:
    does["a"] = lambda ctx: fails(TransientError("busy"))(ctx) if ctx.attempt == 1 else None
    run = advance_once(started(pay_flow, "a", "b"))
    work_all(run)
    item = StepItem.objects.get(run=run, index=0)
    assert (run.status, item.status, item.attempts) == ("waiting", "pending", 1)
    assert item.next_attempt_at is not None
    assert run.wake_at is not None
    assert run.wake_at <= item.next_attempt_at + timedelta(seconds=1)
    assert drive(wake(run)).status == "succeeded"
    keys = [key for number, key in said if number == "a"]
    assert keys == [f"{run.pk}:pay:0:0"] * 2
    item.refresh_from_db()
    assert [one["error"]["message"] for one in item.tries] == ["busy"]


def test_items_wait_for_a_service_that_is_down_and_use_up_no_try() -> None:
    does["a"] = fails(DependencyUnavailable("closed", dependency="test-till"))
    run = advance_once(started(pay_flow, "a", "b", "c"))
    work_all(run)
    assert (run.status, run.waiting_reason, run.waiting_on) == ("waiting", "dependency", "test-till")
    assert [number for number, _ in said] == ["a"]
    assert items(run) == ["pending"] * 3
    assert RunEvent.objects.get(run=run, kind="step.unavailable").data["dependency"] == "test-till"
    does.clear()
    assert drive(wake(run)).status == "succeeded"
    assert set(StepItem.objects.filter(run=run, step="pay").values_list("attempts", flat=True)) == {1}


def test_items_of_a_busy_service_step_back_and_use_up_no_try() -> None:
    does["b"] = fails(AtCapacity("test-till takes no more", dependency="test-till", seconds=0.5))
    run = advance_once(started(pay_flow, "a", "b", "c"))
    work(run.pk, "pay", 1)
    run.refresh_from_db()
    assert (run.status, run.waiting_reason) == ("waiting", "items")
    assert items(run) == ["succeeded", "pending", "pending"]
    assert run.wake_at is not None
    assert run.wake_at < now() + timedelta(seconds=1)
    assert not RunEvent.objects.filter(run=run, kind="step.unavailable").exists()
    does.clear()
    assert drive(wake(run)).status == "succeeded"
    assert set(StepItem.objects.filter(run=run, step="pay").values_list("attempts", flat=True)) == {1}


def test_a_row_and_the_items_checkpoint_are_committed_together() -> None:
    does["b"] = fails(BusinessRuleViolation("no"))
    run = drive(started(strict_flow, "a", "b"))
    assert run.status == "failed"
    assert items(run, "book") == ["succeeded", "failed"]
    assert list(Team.objects.filter(slug__startswith="team-").values_list("slug", flat=True)) == ["team-a"]


def test_a_pause_stops_the_items_at_the_next_one() -> None:
    run = advance_once(started(pay_flow, *"abc"))

    def be_paused(ctx: StepContext) -> None:
        pause_run(actor=SYSTEM, run_id=run.pk, reason="Something looks wrong")

    does["a"] = be_paused
    work_all(run)
    assert (run.status, items(run)) == ("paused", ["succeeded", "pending", "pending"])
    resume_run(actor=SYSTEM, run_id=run.pk, reason="All is well again")
    assert drive(run).status == "succeeded"
    assert len(said) == 3


def test_a_cancelled_run_does_no_more_items() -> None:
    run = advance_once(started(pay_flow, *"abc"))
    cancel_run(actor=SYSTEM, run_id=run.pk, reason="It was sent by mistake")
    work_all(run)
    assert said == []


def lose(run: Run) -> None:
    """Make the leases of the run's slots look as if their workers had died."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflows_itemslot SET lease_expires_at = now() - interval '1 second' WHERE run_id = %s", [run.pk]
        )


def die(ctx: StepContext) -> None:
    raise SystemExit(1)


def test_items_of_a_lost_worker_are_done_by_others_under_the_same_key() -> None:
    does["b"] = die
    run = advance_once(started(pay_flow, *"abc"))
    with pytest.raises(SystemExit):
        work(run.pk, "pay", 1)
    work(run.pk, "pay", 1)
    assert items(run) == ["succeeded", "running", "running"], "nobody else has the slot while its lease lasts"
    lose(run)
    does.clear()
    assert drive(wake(run)).status == "succeeded"
    assert [key for number, key in said if number == "b"] == [f"{run.pk}:pay:0:1"] * 2
    assert sum(number in "ac" for number, _ in said) == 2


def test_a_worker_that_was_presumed_dead_can_settle_nothing() -> None:
    run = advance_once(started(pay_flow, "a", "b"))

    def be_taken_for_dead(ctx: StepContext) -> None:
        lose(run)
        advance_once(wake(run))

    does["a"] = be_taken_for_dead
    work(run.pk, "pay", 1)
    assert items(run) == ["pending", "pending"]
    does.clear()
    assert drive(run).status == "succeeded"
    assert [number for number, _ in said] == ["a", "a", "b"]


def test_a_zombie_in_a_transaction_takes_its_writes_back() -> None:
    run = advance_once(started(strict_flow, "a", "b"))

    def be_taken_for_dead(ctx: StepContext) -> None:
        # The takeover, as another connection would do it, is seen when the item is settled.
        StepItem.objects.filter(run=run).update(fence=99)

    does["a"] = be_taken_for_dead
    work(run.pk, "book", 1)
    assert "succeeded" not in items(run, "book")
    assert not Team.objects.filter(slug="team-a").exists()


def test_an_item_that_takes_worker_after_worker_down_fails_alone() -> None:
    does["b"] = die
    run = advance_once(started(pay_flow, *"abc"))
    for _ in range(5):
        with pytest.raises(SystemExit):
            work(run.pk, "pay", 1)
        lose(run)
        advance_once(wake(run))
    assert drive(wake(run)).status == "degraded"
    assert items(run) == ["succeeded", "failed", "succeeded"]


def test_a_rollback_undoes_the_done_items_the_last_one_first() -> None:
    does["b"] = fails(BusinessRuleViolation("no cover"))
    run = drive(started(pay_flow, *"abc"))
    said.clear()
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason="It was the wrong month")
    run.refresh_from_db()
    assert advance_once(run).status == "rolled_back"
    assert said == [("back c", f"{run.pk}:pay:0:2:undo"), ("back a", f"{run.pk}:pay:0:0:undo")]
    assert items(run) == ["compensated", "failed", "compensated"]


def test_a_rollback_that_fails_in_the_middle_goes_on_where_it_was() -> None:
    run = drive(started(pay_flow, *"abc"))
    does["back b"] = lambda ctx: fails(TransientError("busy"))(ctx) if ctx.attempt == 1 else None
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason="It was the wrong month")
    run.refresh_from_db()
    assert advance_once(run).status == "rolling_back"
    assert items(run) == ["succeeded", "succeeded", "compensated"]
    said.clear()
    assert advance_once(wake(run)).status == "rolled_back"
    assert [number for number, _ in said] == ["back b", "back a"]


def test_what_is_done_again_after_a_rollback_has_a_new_key() -> None:
    run = drive(started(pay_flow, "a"))
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason="It was the wrong month")
    advance_once(run)
    said.clear()
    retry_from_step(actor=SYSTEM, run_id=run.pk, step="pay", reason="Now with the right month")
    assert drive(run).status == "succeeded"
    assert said == [("a", f"{run.pk}:pay:1:0")]


def test_a_run_is_not_rolled_back_under_the_hands_of_its_items_workers() -> None:
    run = advance_once(started(pay_flow, "a"))
    does["a"] = die
    with pytest.raises(SystemExit):
        work(run.pk, "pay", 1)
    pause_run(actor=SYSTEM, run_id=run.pk, reason="Something looks wrong")
    with pytest.raises(InvalidTransition, match="A worker is at an item"):
        roll_back_run(actor=SYSTEM, run_id=run.pk, reason="It was the wrong month")
    lose(run)
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason="It was the wrong month")
    assert items(run) == ["pending"]


def test_items_that_are_committed_are_not_done_again_by_a_retry() -> None:
    does["b"] = fails(BusinessRuleViolation("no"))
    run = drive(started(strict_flow, "a", "b"))
    with pytest.raises(InvalidTransition, match="is committed"):
        retry_from_step(actor=SYSTEM, run_id=run.pk, step="split", reason="Everything once more")


def test_lost_messages_are_sent_again() -> None:
    run = advance_once(started(pay_flow, "a", "b"))
    asked = list(ItemSlot.objects.filter(run=run).values_list("sent_count", flat=True))
    advance_once(wake(run))
    assert list(ItemSlot.objects.filter(run=run).values_list("sent_count", flat=True)) == asked == [1, 1]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_itemslot SET sent_at = now() - interval '6 seconds'")
    advance_once(wake(run))
    assert list(ItemSlot.objects.filter(run=run).values_list("sent_count", flat=True)) == [2, 2]
