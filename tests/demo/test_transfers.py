"""Bills that are paid by transfer: the bank's notices come twice, late, for the wrong invoice, or never."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db.models import Sum

from portal.core.actor import SYSTEM
from portal.demo.models import LedgerEntry
from portal.demo.sandbox.client import RunningSandbox
from portal.demo.services.history import write_history
from portal.demo.transfers.bank import Manner, manner_of, tell_of_transfers
from portal.demo.transfers.flows import TransferRequest, payment_confirmation, payment_receipt
from tests.engine.drive import wake
from tests.events.drive import bring, gone_as_far_as_it_can, let_pass
from workflows.events.queries import completeness
from workflows.models import InboxMessage, OutboxMessage, Run, StepRun
from workflows.services import register_workflows

pytestmark = pytest.mark.django_db


def a_number(manner: Manner) -> str:
    numbers = (f"INV-2026-{number:05}" for number in range(1, 2000))
    return next(number for number in numbers if manner_of(number) is manner)


def billed(manner: Manner) -> Run:
    """Return a run that waits for a client of this manner, whose time to pay has come."""
    request = TransferRequest(
        invoice_number=a_number(manner),
        client_id="harbour-lane-estates",
        amount=Decimal("120.00"),
        receipt_to="a@client.example",
    )
    run = gone_as_far_as_it_can(payment_confirmation.start(request).run)
    assert (run.status, run.waiting_reason) == ("waiting", "event")
    let_pass("workflows_eventwait", "since", 200)
    return run


@pytest.fixture(autouse=True)
def _registered(sandbox: RunningSandbox) -> None:
    register_workflows()


def test_a_transfer_is_booked_once_though_the_bank_tells_of_it_twice() -> None:
    run = billed(Manner.TOLD_TWICE)
    assert tell_of_transfers() == 1
    bring()
    assert gone_as_far_as_it_can(run).status == "succeeded"
    assert tell_of_transfers() == 0
    assert LedgerEntry.objects.get().amount == Decimal("120.00")


def test_a_bank_that_sends_everything_twice_is_booked_once(sandbox: RunningSandbox) -> None:
    sandbox.client.set_fault("notices", "twice")
    run = billed(Manner.PAID)
    tell_of_transfers()
    bring()
    assert gone_as_far_as_it_can(run).status == "succeeded"
    assert LedgerEntry.objects.count() == 1


def test_a_bank_that_is_silent_for_a_while_tells_later(sandbox: RunningSandbox) -> None:
    sandbox.client.set_fault("notices", "silent")
    run = billed(Manner.PAID)
    assert tell_of_transfers() == 0
    sandbox.client.set_fault("notices")
    assert tell_of_transfers() == 1
    bring()
    assert gone_as_far_as_it_can(run).status == "succeeded"


def test_the_booking_tells_that_the_invoice_is_paid_and_a_receipt_goes_out() -> None:
    run = billed(Manner.PAID)
    tell_of_transfers()
    bring()
    gone_as_far_as_it_can(run)
    bring()
    receipt = Run.objects.get(workflow__slug=payment_receipt.name)
    assert gone_as_far_as_it_can(receipt).status == "succeeded"
    assert receipt.correlation_id == run.correlation_id


def test_a_client_who_does_not_pay_is_reminded_and_nothing_hangs() -> None:
    run = billed(Manner.UNPAID)
    assert tell_of_transfers() == 0
    let_pass("workflows_eventwait", "expires_at", 700)
    assert gone_as_far_as_it_can(wake(run)).status == "succeeded"
    assert StepRun.objects.get(run=run, step="remind").status == "succeeded"
    assert LedgerEntry.objects.count() == 0


def test_a_transfer_for_the_wrong_invoice_is_a_gap_with_its_value() -> None:
    billed(Manner.MISTYPED)
    assert tell_of_transfers() == 1
    bring()
    let_pass("workflows_inboxmessage", "due_at", 1000)
    assert completeness(SYSTEM).amounts == {"EUR": Decimal("120.00")}
    assert tell_of_transfers() == 0


def test_the_past_holds_bills_that_were_paid_and_bills_that_were_not() -> None:
    write_history(days=6)
    runs = Run.objects.filter(workflow__slug=payment_confirmation.name)
    steps = StepRun.objects.filter(run__in=runs, step="payment", status="succeeded")
    assert steps.count() == runs.count() > 30
    assert 0 < steps.filter(output__isnull=True).count() < runs.count() / 4
    booked = LedgerEntry.objects.filter(operation_key__contains=":book_payment:").aggregate(Sum("amount"))
    paid = runs.filter(pk__in=steps.exclude(output__isnull=True).values("run")).aggregate(Sum("amount"))
    assert booked == paid
    told = InboxMessage.objects.filter(kind="wait", status="handled")
    assert told.count() == steps.exclude(output__isnull=True).count()
    assert not OutboxMessage.objects.filter(is_demo=False).exists(), "nothing is really told"
