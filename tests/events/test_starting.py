"""Events that start runs: each event acts once, whatever is lost, repeated or dies on the way."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import OperationalError

from portal.core.clock import now
from tests.engine.drive import drive
from tests.events import flows
from tests.events.drive import bring, due_again, emitted, inbox_of, let_pass, started
from workflows import BusinessRuleViolation, dispatch
from workflows.drain import drain_events
from workflows.engine.holder import identity
from workflows.events import inbox, store
from workflows.events.inbox import TRIES
from workflows.events.router import route_events, tend_events
from workflows.events.services import replay_message
from workflows.models import DeadLetter, InboxMessage, OutboxMessage, Run, RunEvent

pytestmark = pytest.mark.django_db
PACK = "test-pack"


def packed() -> list[Run]:
    """Return the runs that events have started."""
    return list(Run.objects.filter(workflow__slug=PACK).order_by("id"))


def route_to_pack() -> None:
    """Route what was emitted, to one subscriber only."""
    route_events()
    InboxMessage.objects.exclude(consumer=PACK).delete()


def raising(error: BaseException) -> Any:
    def behave(event: Any) -> Any:
        raise error

    return behave


def test_an_event_starts_a_run_with_its_correlation_id() -> None:
    seller = drive(started(flows.sell, flows.Order(number="A-7", amount=Decimal(30))))
    bring()
    (run,) = packed()
    assert run.input == {"order": "A-7", "worth": "30"}
    assert run.correlation_id == seller.correlation_id
    message = OutboxMessage.objects.get(name="test.paid")
    assert run.idempotency_key == f"event:{message.pk}"
    assert RunEvent.objects.get(run=run, number=1).data["actor"] == "event test.paid"
    row = inbox_of(PACK)
    assert (row.status, row.run_id, row.attempts) == ("handled", run.pk, 1)
    assert row.due_at - message.emitted_at == flows.Paid.__contract__.within  # type: ignore[union-attr]


def test_an_event_that_is_not_for_a_workflow_starts_nothing_and_is_done_with() -> None:
    emitted(flows.pay_event(amount=0))
    bring()
    assert packed() == []
    assert inbox_of(PACK).status == "handled"


def test_an_event_without_subscribers_is_routed_to_nobody() -> None:
    emitted(flows.Shipped(order="A-1"))
    bring()
    assert InboxMessage.objects.count() == 0
    assert OutboxMessage.objects.get().routed_at


def test_an_event_that_is_routed_twice_acts_once() -> None:
    emitted(flows.pay_event())
    bring()
    OutboxMessage.objects.update(routed_at=None)
    bring()
    assert len(packed()) == 1


def test_a_row_that_is_handled_twice_acts_once() -> None:
    emitted(flows.pay_event())
    route_to_pack()
    ((row, attempt),) = store.take(20, by=identity(), lease=30)
    inbox.handle(row, attempt)
    inbox.handle(row, attempt)
    assert len(packed()) == 1


def test_a_worker_that_was_too_slow_does_not_act_any_more() -> None:
    emitted(flows.pay_event())
    route_to_pack()
    ((row, attempt),) = store.take(20, by="somebody slow", lease=30)
    let_pass("workflows_inboxmessage", "next_attempt_at", 31)
    store.take(20, by=identity(), lease=30)
    inbox.handle(row, attempt)
    assert packed() == []


def test_an_event_whose_version_this_code_does_not_know_is_left_to_newer_code() -> None:
    message = emitted(flows.pay_event())
    OutboxMessage.objects.filter(pk=message.pk).update(version=2)
    bring()
    assert OutboxMessage.objects.get().routed_at is None


# Lost and found ----------------------------------------------------------------------------------------


def test_a_message_that_the_broker_lost_is_rung_for_again() -> None:
    emitted(flows.pay_event())
    tend_events()
    dispatch.broker().flushall()
    let_pass("workflows_inboxmessage", "next_attempt_at", 3)
    tend_events()
    assert dispatch.broker().llen(dispatch.EVENTS) == 1
    drain_events()
    assert len(packed()) == 1


def test_what_a_dead_worker_had_in_hand_is_taken_back() -> None:
    emitted(flows.pay_event())
    route_events()
    host, _, rest = identity().partition(":")
    store.take(20, by=f"{host}:{rest.split(':')[0]}:999999:1.00", lease=30)
    drain_events()
    assert packed() == []
    bring()
    assert len(packed()) == 1
    assert inbox_of(PACK).attempts == 2


def test_what_a_worker_elsewhere_had_in_hand_is_taken_when_its_time_is_up() -> None:
    emitted(flows.pay_event())
    route_events()
    store.take(20, by="another-host:1:7:1.00", lease=30)
    bring()
    assert packed() == []
    let_pass("workflows_inboxmessage", "next_attempt_at", 31)
    bring()
    assert len(packed()) == 1


def test_what_takes_worker_after_worker_down_is_put_aside() -> None:
    emitted(flows.pay_event())
    route_to_pack()
    for _ in range(TRIES.attempts):
        assert store.take(20, by="a-dying-host:1:7:1.00", lease=30)
        let_pass("workflows_inboxmessage", "next_attempt_at", 31)
    bring()
    assert packed() == []
    letter = DeadLetter.objects.get()
    assert (letter.reason, letter.error["code"]) == ("exhausted", "worker-lost")


def test_what_was_tried_before_is_taken_alone() -> None:
    for number in range(3):
        emitted(flows.pay_event(order=f"A-{number}"))
    route_events()
    InboxMessage.objects.update(attempts=1)
    assert len(store.take(20, by="a", lease=30)) == 1


# Failures ----------------------------------------------------------------------------------------------


def test_a_failure_is_tried_again_after_a_pause_and_then_put_aside() -> None:
    flows.behaviour["parcel_of"] = raising(RuntimeError("the lookup is away"))
    emitted(flows.pay_event())
    for attempt in range(1, TRIES.attempts + 1):
        bring()
        row = inbox_of(PACK)
        assert row.attempts == attempt
        bring()
        assert inbox_of(PACK).attempts == attempt, "not before its pause is over"
        due_again()
    letter = DeadLetter.objects.get()
    assert (letter.reason, letter.attempts, letter.consumer) == ("exhausted", 5, PACK)
    assert letter.error["message"] == "the lookup is away"
    assert letter.workflow
    assert letter.workflow.slug == PACK


def test_a_refusal_is_put_aside_at_once() -> None:
    flows.behaviour["parcel_of"] = raising(BusinessRuleViolation("We do not pack on Sundays"))
    emitted(flows.pay_event())
    bring()
    assert (DeadLetter.objects.get().reason, inbox_of(PACK).status) == ("rejected", "dead")


def test_a_payload_that_does_not_fit_is_put_aside_at_once_with_its_field() -> None:
    message = emitted(flows.pay_event())
    OutboxMessage.objects.filter(pk=message.pk).update(payload={"order": "A-1", "amount": "much", "card": "4242"})
    bring()
    letter = DeadLetter.objects.get()
    assert letter.reason == "contract"
    assert letter.error["message"].startswith("The payload does not fit test.paid version 1. amount: ")


def test_a_database_that_is_away_costs_no_try(monkeypatch: pytest.MonkeyPatch) -> None:
    emitted(flows.pay_event())
    monkeypatch.setattr(inbox, "start_run", raising_start)
    route_events()
    with pytest.raises(OperationalError):
        drain_events()
    assert inbox_of(PACK).status == "pending"
    assert DeadLetter.objects.count() == 0


def raising_start(**how: Any) -> Any:
    raise OperationalError("the connection is lost")


def test_an_error_does_not_quote_what_is_sensitive() -> None:
    flows.behaviour["parcel_of"] = lambda event: raising(BusinessRuleViolation(f"card {event.card} is stolen"))(event)
    emitted(flows.pay_event())
    bring()
    assert DeadLetter.objects.get().error["message"] == "card ••• is stolen"


def test_a_replayed_letter_acts_once_with_what_was_made_of_its_payload() -> None:
    message = emitted(flows.pay_event())
    OutboxMessage.objects.filter(pk=message.pk).update(payload={"order": "A-1", "amount": "much"})
    bring()
    letter = DeadLetter.objects.get()
    replay_message(letter, payload={"order": "A-1", "amount": "12.00"})
    bring()
    bring()
    (run,) = packed()
    assert run.input == {"order": "A-1", "worth": "12.00"}
    letter.refresh_from_db()
    assert (letter.status, letter.replay_count) == ("replayed", 1)
    message.refresh_from_db()
    assert message.payload["amount"] == "much", "the event stays as it was emitted"


def test_a_letter_that_was_replayed_in_vain_is_open_again() -> None:
    flows.behaviour["parcel_of"] = raising(BusinessRuleViolation("We do not pack on Sundays"))
    emitted(flows.pay_event())
    bring()
    replay_message(DeadLetter.objects.get())
    bring()
    letter = DeadLetter.objects.get()
    assert (letter.status, letter.replay_count, letter.attempts) == ("open", 1, 2)


def test_an_event_is_acted_on_at_once_though_the_dispatchers_clock_is_ahead() -> None:
    emitted(flows.pay_event())
    with time_machine.travel(timedelta(minutes=10), tick=True):
        route_to_pack()
    row = InboxMessage.objects.get()
    assert row.next_attempt_at is not None
    assert row.next_attempt_at <= now()
