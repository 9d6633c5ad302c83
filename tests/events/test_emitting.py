"""What a step emits is sent exactly if the step is done."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from portal.core.actor import SYSTEM, person
from portal.core.errors import Forbidden, IdempotencyKeyReused, InvalidInput
from portal.core.models import AuditEntry
from tests.engine.drive import drive
from tests.engine.test_fan_out import drive as drive_items
from tests.events import flows
from tests.events.drive import emitted, gone_as_far_as_it_can, started
from tests.personas import Personas
from workflows import PermanentError, StepContext, TransientError
from workflows.events.services import emit_event, read_emitted
from workflows.models import OutboxMessage, Run
from workflows.services import roll_back_run

pytestmark = pytest.mark.django_db


def events() -> list[str]:
    """Return the names of what was emitted, oldest first."""
    return list(OutboxMessage.objects.order_by("id").values_list("name", flat=True))


def raising(error: BaseException) -> Any:
    """Return a step's behaviour that fails."""

    def behave(ctx: StepContext) -> flows.Note:
        raise error

    return behave


def test_an_event_says_what_it_is_about_and_who_told() -> None:
    run = drive(started(flows.sell, flows.Order(number="A-7", amount=Decimal("12.5"))))
    assert events() == ["test.paid", "test.shipped"]
    paid = OutboxMessage.objects.get(name="test.paid")
    assert (paid.key, paid.amount, paid.currency, paid.customer_key) == (
        "A-7",
        Decimal("12.50"),
        "EUR",
        "harbour-lane",
    )
    assert (paid.run_id, paid.step, paid.workflow_id, paid.origin) == (run.pk, "charge", run.workflow_id, "run")
    assert (paid.version, paid.correlation_id) == (1, run.correlation_id)
    assert paid.payload == {
        "order": "A-7",
        "amount": "12.5",
        "currency": "EUR",
        "client": "harbour-lane",
        "card": "4242",
    }


def test_a_try_that_fails_tells_nothing() -> None:
    flows.behaviour["ship"] = raising(TransientError("not now"))
    run = drive(started(flows.sell, flows.Order()))
    assert run.status == "failed"
    assert events() == ["test.paid"]


def test_a_step_that_was_tried_again_tells_once() -> None:
    tries: list[int] = []

    def second_time(ctx: StepContext) -> flows.Note:
        tries.append(ctx.attempt)
        if len(tries) == 1:
            raise TransientError("not now")
        return flows.Note(text="shipped")

    flows.behaviour["ship"] = second_time
    assert drive(started(flows.sell, flows.Order())).status == "succeeded"
    assert tries == [1, 2]
    assert events() == ["test.paid", "test.shipped"]


def test_what_a_pure_step_tells_goes_with_the_commit_that_it_rides_along_with() -> None:
    def tell(ctx: StepContext) -> flows.Note:
        ctx.emit(flows.pay_event("from the quote"))
        return flows.Note(text="quoted")

    flows.behaviour["quote"] = tell
    flows.behaviour["charge"] = raising(PermanentError("no"))
    flows.behaviour["find_charge"] = lambda ctx: None
    run = drive(started(flows.sell, flows.Order()))
    assert run.status == "failed"
    assert list(OutboxMessage.objects.values_list("key", flat=True)) == ["from the quote"]


def test_a_step_whose_effect_is_found_after_a_crash_tells_from_its_verification() -> None:
    flows.behaviour["charge"] = raising(RuntimeError("the line went dead"))
    flows.behaviour["find_charge"] = lambda ctx: flows.Note(text="found it")
    assert drive(started(flows.sell, flows.Order())).status == "succeeded"
    assert events() == ["test.paid", "test.shipped"]


def test_an_event_that_the_step_has_not_declared_fails_it_and_says_how_to_mend_that() -> None:
    def tell(ctx: StepContext) -> flows.Note:
        ctx.emit(flows.Shipped(order="A-1"))
        return flows.Note(text="quoted")

    flows.behaviour["quote"] = tell
    run = gone_as_far_as_it_can(started(flows.sell, flows.Order()))
    assert run.status == "failed"
    assert run.error
    assert run.error["message"] == (
        "test-sell.quote emits Shipped without having said so. Say it where the step is declared: emits=[Shipped]."
    )


def test_a_run_that_lost_its_lease_tells_nothing() -> None:
    run = started(flows.sell, flows.Order())

    def lose_it(ctx: StepContext) -> flows.Note:
        Run.objects.filter(pk=run.pk).update(fence=99)
        return flows.Note(text="charged")

    flows.behaviour["charge"] = lose_it
    gone_as_far_as_it_can(run)
    assert events() == []


def test_a_rolled_back_run_has_told_what_it_told() -> None:
    flows.behaviour["ship"] = raising(PermanentError("no"))
    run = drive(started(flows.sell, flows.Order()))
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason="A test takes it back")
    assert drive(run).status == "rolled_back"
    assert events() == ["test.paid"]


def test_each_item_of_a_fan_out_tells_once_when_it_is_done() -> None:
    tries: list[int] = []

    def second_time(ctx: StepContext) -> flows.Note:
        tries.append(ctx.attempt)
        if len(tries) == 1:
            raise TransientError("not now")
        return flows.Note(text="shipped")

    flows.behaviour["ship_one"] = second_time
    run = drive_items(started(flows.sell_many, flows.Orders(numbers=["A-1", "A-2"])))
    assert run.status == "succeeded"
    assert len(tries) == 3
    assert sorted(OutboxMessage.objects.values_list("key", flat=True)) == ["A-1", "A-2"]


# From outside a run ------------------------------------------------------------------------------------


def test_an_event_from_outside_exists_only_if_the_callers_transaction_commits() -> None:
    with transaction.atomic():
        emitted(flows.pay_event())
        transaction.set_rollback(True)
    assert events() == []


def test_the_senders_id_makes_a_repeated_event_the_first_one() -> None:
    first = emit_event(actor=SYSTEM, event=flows.pay_event(), source_id="evt_1")
    again = emit_event(actor=SYSTEM, event=flows.pay_event(), source_id="evt_1")
    assert (first.created, again.created) == (True, False)
    assert again.message.pk == first.message.pk
    assert events() == ["test.paid"]


def test_the_senders_id_with_another_content_is_refused() -> None:
    emitted(flows.pay_event(amount=1), source_id="evt_1")
    with pytest.raises(IdempotencyKeyReused, match="another content"):
        emitted(flows.pay_event(amount=2), source_id="evt_1")


def test_two_kinds_of_event_may_have_the_same_id_of_their_senders() -> None:
    emitted(flows.pay_event(), source_id="1")
    emitted(flows.Shipped(order="A-1"), source_id="1")
    assert events() == ["test.paid", "test.shipped"]


def test_only_who_may_emits_and_that_is_audited(personas: Personas) -> None:
    with pytest.raises(Forbidden):
        emit_event(actor=person(personas.support), event=flows.pay_event())
    emit_event(actor=person(personas.operator), event=flows.pay_event())
    assert OutboxMessage.objects.get().origin == "person"
    assert AuditEntry.objects.filter(action="workflows.event.emit").count() == 1


@pytest.mark.parametrize("text", ["a\x00b", "x" * 201])
def test_what_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        emitted(flows.pay_event(order=text))


@pytest.mark.parametrize(
    ("name", "version", "payload", "field"),
    [
        ("test.unheard-of", None, {}, "name"),
        ("test.paid", 9, {}, "version"),
        ("test.paid", None, {"order": "A-1"}, "payload.amount"),
        ("test.paid", 1, {"order": "A-1", "amount": "much"}, "payload.amount"),
    ],
)
def test_a_payload_from_outside_is_checked_field_by_field(
    name: str, version: int | None, payload: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_emitted(name=name, payload=payload, version=version)
    assert list(refused.value.fields) == [field]
