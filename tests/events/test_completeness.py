"""What was emitted and never consumed is found, with what it is worth."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from portal.core.actor import SYSTEM, person
from tests.events import flows
from tests.events.drive import bring, emitted, gone_as_far_as_it_can, let_pass, started
from tests.personas import Personas
from workflows import BusinessRuleViolation
from workflows.events.queries import Subscription, completeness, gap_rows
from workflows.events.services import replay_message, send_again
from workflows.models import DeadLetter, InboxMessage, OutboxMessage

pytestmark = pytest.mark.django_db
PACK, WAIT = "test-pack", "test-await-payment.payment"


def of(consumer: str) -> Subscription:
    return next(each for each in completeness(SYSTEM).subscriptions if each.consumer == consumer)


def refuse(event: Any) -> Any:
    raise BusinessRuleViolation("We do not pack on Sundays")


def overdue(hours: float = 1) -> None:
    let_pass("workflows_inboxmessage", "due_at", 600 + hours * 3600)


def test_what_was_acted_on_is_complete() -> None:
    gone_as_far_as_it_can(started(flows.await_payment, flows.Order(number="A-1")))
    emitted(flows.pay_event("A-1", 30))
    bring()
    overdue()
    found = completeness(SYSTEM)
    assert (found.gap, found.amounts) == (0, {})
    assert (of(PACK).expected, of(PACK).consumed) == (1, 1)


def test_an_event_that_no_run_waits_for_is_a_gap_with_its_value_once_its_time_is_over() -> None:
    emitted(flows.pay_event("A-1", 30))
    emitted(flows.pay_event("A-2", 12))
    bring()
    assert (of(WAIT).in_time, of(WAIT).gap) == (2, 0)
    overdue(hours=2)
    gap = of(WAIT)
    assert (gap.missing, gap.amounts, gap.reason) == (2, {"EUR": Decimal(42)}, "No run has waited for its key.")
    assert gap.ages == {"under 1 hour": 0, "1 to 24 hours": 2, "1 to 7 days": 0, "over 7 days": 0}
    assert of(PACK).gap == 0
    assert {row.message.key for row in gap_rows(SYSTEM)} == {"A-1", "A-2"}


def test_the_gap_closes_when_the_run_comes_and_waits() -> None:
    emitted(flows.pay_event("A-1", 30))
    bring()
    overdue()
    assert of(WAIT).gap == 1
    gone_as_far_as_it_can(started(flows.await_payment, flows.Order(number="A-1")))
    assert completeness(SYSTEM).gap == 0


def test_a_dead_letter_is_a_gap_until_it_is_replayed_and_the_books_agree() -> None:
    flows.behaviour["parcel_of"] = refuse
    emitted(flows.pay_event("A-1", 30))
    bring()
    assert (of(PACK).dead, of(PACK).amounts) == (1, {"EUR": Decimal(30)})
    flows.behaviour.clear()
    replay_message(DeadLetter.objects.get())
    bring()
    assert (of(PACK).gap, of(PACK).consumed) == (0, 1)


def test_what_was_discarded_is_no_gap() -> None:
    emitted(flows.pay_event())
    bring()
    overdue()
    InboxMessage.objects.filter(consumer=WAIT).update(status="discarded")
    assert (of(WAIT).gap, of(WAIT).discarded) == (0, 1)


def test_a_missed_event_can_be_sent_again() -> None:
    emitted(flows.pay_event("A-1"))
    bring()
    row = InboxMessage.objects.get(consumer=WAIT)
    assert row.next_attempt_at is None
    send_again(row)
    bring()
    assert InboxMessage.objects.get(consumer=WAIT).status == "pending", "still nobody waits for it"


def test_what_no_dispatcher_routes_is_told_apart() -> None:
    emitted(flows.pay_event(amount=7))
    let_pass("workflows_outboxmessage", "emitted_at", 100)
    (left,) = completeness(SYSTEM).unrouted
    assert (left.event, left.count, left.is_known, left.amounts) == ("test.paid", 1, True, {"EUR": Decimal(7)})
    OutboxMessage.objects.update(name="gone.from.the.code")
    assert not completeness(SYSTEM).unrouted[0].is_known


def test_somebody_sees_the_gaps_of_their_own_workflows_only(personas: Personas) -> None:
    emitted(flows.pay_event())
    bring()
    overdue()
    assert completeness(person(personas.viewer)).gap == 1
    assert completeness(person(personas.team_operator)).gap == 0
    assert completeness(person(personas.outsider)).subscriptions == []


def test_it_costs_three_queries(django_assert_num_queries: Any) -> None:
    for number in range(3):
        emitted(flows.pay_event(f"A-{number}"))
    bring()
    with django_assert_num_queries(3):
        completeness(SYSTEM)
