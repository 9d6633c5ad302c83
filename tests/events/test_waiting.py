"""Runs that wait for an event: whoever comes first, each run takes it once; and none waits for ever."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from portal.core.actor import SYSTEM
from tests.engine.drive import steps_of, wake
from tests.events import flows
from tests.events.drive import bring, emitted, gone_as_far_as_it_can, inbox_of, let_pass, started
from tests.personas import Personas
from workflows.events.services import replay_message
from workflows.models import DeadLetter, EventWait, InboxMessage, OutboxMessage, Run, RunEvent, StepRun
from workflows.services import cancel_run, pause_run, resume_run, retry_from_step, roll_back_run, skip_step

pytestmark = pytest.mark.django_db
WAIT = "test-await-payment.payment"
REASON = "A test asks for this"


def waiting(number: str = "A-1") -> Run:
    """Return a run that waits for its payment."""
    run = gone_as_far_as_it_can(started(flows.await_payment, flows.Order(number=number)))
    assert (run.status, run.waiting_reason) == ("waiting", "event")
    return run


def on(run: Run) -> Run:
    """Let a worker take the run, if it is queued."""
    return gone_as_far_as_it_can(run)


def woken_by_its_time(run: Run) -> Run:
    """Let the dispatcher's clock wake the run."""
    return on(wake(run))


def output_of(run: Run, step: str) -> object:
    return StepRun.objects.get(run=run, step=step).output


def test_a_waiting_run_says_for_what_and_until_when_and_holds_no_worker() -> None:
    run = waiting("A-7")
    assert run.waiting_on == "test.paid for A-7"
    assert run.lease_owner == ""
    wait = EventWait.objects.get(run=run)
    assert wait.expires_at
    assert abs(wait.expires_at - wait.since - timedelta(hours=1)) < timedelta(seconds=1)
    assert run.wake_at
    assert abs(run.wake_at - wait.expires_at) < timedelta(seconds=5)


def test_an_event_wakes_the_run_that_waits_for_its_key_and_no_other() -> None:
    mine, other = waiting("A-1"), waiting("A-2")
    emitted(flows.pay_event("A-1", 30))
    bring()
    assert on(mine).status == "succeeded"
    assert output_of(mine, "thank") == {"text": "thanks for 30"}
    assert steps_of(mine)["remind"] == "skipped"
    other.refresh_from_db()
    assert other.status == "waiting"
    assert inbox_of(WAIT).run_id == mine.pk


def test_an_event_that_came_first_is_taken_by_the_run_when_it_comes() -> None:
    emitted(flows.pay_event("A-1", 30))
    bring()
    assert inbox_of(WAIT).status == "pending"
    run = waiting("A-1")
    assert inbox_of(WAIT).status == "handled"
    assert woken_by_its_time(run).status == "succeeded"
    assert output_of(run, "thank") == {"text": "thanks for 30"}


def test_a_run_that_takes_an_event_that_came_first_is_woken_at_once() -> None:
    emitted(flows.pay_event("A-1"))
    bring()
    run = waiting("A-1")
    assert run.wake_at
    assert run.wake_at < EventWait.objects.get(run=run).since + timedelta(seconds=5)


def test_an_event_that_came_first_goes_to_one_run_only() -> None:
    emitted(flows.pay_event("A-1"))
    bring()
    first, second = waiting("A-1"), waiting("A-1")
    assert EventWait.objects.get(run=first).message_id
    assert EventWait.objects.get(run=second).message_id is None


def test_all_runs_that_wait_for_a_key_take_the_event() -> None:
    runs = [waiting("A-1"), waiting("A-1")]
    emitted(flows.pay_event("A-1"))
    bring()
    assert {on(run).status for run in runs} == {"succeeded"}


def test_of_two_events_a_run_takes_the_older_one() -> None:
    emitted(flows.pay_event("A-1", 1))
    emitted(flows.pay_event("A-1", 2))
    bring()
    run = woken_by_its_time(waiting("A-1"))
    assert output_of(run, "thank") == {"text": "thanks for 1"}
    assert set(InboxMessage.objects.filter(consumer=WAIT).values_list("status", flat=True)) == {"handled", "pending"}


def test_a_run_whose_event_does_not_come_goes_on_without() -> None:
    run = waiting()
    let_pass("workflows_eventwait", "expires_at", 3601)
    assert woken_by_its_time(run).status == "succeeded"
    assert output_of(run, "payment") is None
    assert output_of(run, "remind") == {"text": "please pay A-1"}
    told = RunEvent.objects.get(run=run, kind="step.succeeded", step="payment").data
    assert told == {"event": "test.paid", "key": "A-1", "timed_out": True}


def test_an_event_that_comes_too_late_is_kept_for_a_person() -> None:
    run = waiting()
    let_pass("workflows_eventwait", "expires_at", 3601)
    emitted(flows.pay_event("A-1"))
    bring()
    assert inbox_of(WAIT).status == "pending"
    assert output_of(woken_by_its_time(run), "payment") is None


def test_a_run_that_is_woken_early_waits_on_for_the_rest() -> None:
    run = waiting()
    let_pass("workflows_eventwait", "expires_at", 1800)
    woken_by_its_time(run)
    assert run.status == "waiting"
    assert run.wake_at
    assert run.wake_at - EventWait.objects.get(run=run).since < timedelta(minutes=31)


def test_an_event_that_comes_while_the_run_is_on_its_way_to_wait_is_not_missed() -> None:
    run = wake(waiting())
    emitted(flows.pay_event("A-1"))
    bring()
    assert on(run).status == "succeeded"


def test_a_paused_run_finds_its_event_when_it_is_resumed() -> None:
    run = waiting()
    pause_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
    emitted(flows.pay_event("A-1"))
    bring()
    run.refresh_from_db()
    assert run.status == "paused"
    resume_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
    assert on(run).status == "succeeded"
    assert output_of(run, "payment") is not None


def test_the_runs_page_says_for_what_it_waits_and_what_came_of_it(personas: Personas) -> None:
    run = waiting("A-7")
    page = personas.client("viewer").get(f"/runs/{run.pk}/").content.decode()
    assert "Waits for the event test.paid for A-7 since" in page
    let_pass("workflows_eventwait", "expires_at", 3601)
    woken_by_its_time(run)
    page = personas.client("viewer").get(f"/runs/{run.pk}/").content.decode()
    assert "went on without test.paid for A-7, which did not come in time" in page


# Commands -----------------------------------------------------------------------------------------------


def test_a_cancelled_run_takes_no_event_away_from_others() -> None:
    run = waiting()
    cancel_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
    emitted(flows.pay_event("A-1"))
    bring()
    assert EventWait.objects.count() == 0
    assert inbox_of(WAIT).status == "pending"
    assert woken_by_its_time(waiting("A-1")).status == "succeeded"


def test_a_cancelled_run_that_is_resumed_waits_again_and_takes_what_came_meanwhile() -> None:
    run = waiting()
    cancel_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
    emitted(flows.pay_event("A-1"))
    bring()
    resume_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
    assert woken_by_its_time(on(run)).status == "succeeded"
    assert output_of(run, "payment") is not None


def test_a_run_that_skips_its_wait_takes_no_event() -> None:
    run = waiting()
    skip_step(actor=SYSTEM, run_id=run.pk, step="payment", reason=REASON)
    emitted(flows.pay_event("A-1"))
    bring()
    assert on(run).status == "succeeded"
    assert (EventWait.objects.count(), inbox_of(WAIT).status) == (0, "pending")


def test_a_rolled_back_run_takes_no_event() -> None:
    run = waiting()
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
    emitted(flows.pay_event("A-1"))
    bring()
    assert (EventWait.objects.count(), inbox_of(WAIT).status) == (0, "pending")


def test_a_wait_that_is_retried_waits_for_the_next_event() -> None:
    run = waiting()
    let_pass("workflows_eventwait", "expires_at", 3601)
    woken_by_its_time(run)
    retry_from_step(actor=SYSTEM, run_id=run.pk, step="payment", reason=REASON)
    assert on(run).status == "waiting"
    emitted(flows.pay_event("A-1", 5))
    bring()
    assert on(run).status == "succeeded"
    assert output_of(run, "thank") == {"text": "thanks for 5"}


# What does not fit --------------------------------------------------------------------------------------


def spoilt(order: str = "A-1") -> OutboxMessage:
    message = emitted(flows.pay_event(order))
    OutboxMessage.objects.filter(pk=message.pk).update(payload={"order": order, "amount": "much"})
    return message


def test_an_event_that_a_waiting_run_cannot_read_is_put_aside_and_the_run_waits_on() -> None:
    run = waiting()
    spoilt()
    bring()
    run.refresh_from_db()
    assert run.status == "waiting"
    letter = DeadLetter.objects.get(consumer=WAIT)
    assert letter.reason == "contract"
    replay_message(letter, payload={"order": "A-1", "amount": "12"})
    bring()
    assert on(run).status == "succeeded"
    assert output_of(run, "thank") == {"text": "thanks for 12"}


def test_an_unreadable_event_that_came_first_is_put_aside_and_the_next_one_taken() -> None:
    spoilt()
    emitted(flows.pay_event("A-1", 8))
    bring()
    run = waiting()
    assert DeadLetter.objects.get(consumer=WAIT).reason == "contract"
    assert output_of(woken_by_its_time(run), "thank") == {"text": "thanks for 8"}


def test_a_key_that_is_none_fails_the_step_in_words() -> None:
    run = gone_as_far_as_it_can(started(flows.await_payment, flows.Order(number="", amount=Decimal(1))))
    assert run.status == "failed"
    assert run.error
    assert run.error["message"] == "payment must wait for a key of 1 to 200 characters, not for ''"
