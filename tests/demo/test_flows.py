"""The two flows, really executed against the real sandbox: money moves once, whatever the other side does."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest

from portal.core.actor import SYSTEM
from portal.demo import flows
from portal.demo.cast import CLOSED_ACCOUNT, DECLINED_CARD, some_invoice, some_share
from portal.demo.models import Account, LedgerEntry
from portal.demo.queries.ledger import trial_balance
from portal.demo.sandbox.client import RunningSandbox
from tests.engine.drive import advance_once, drive, steps_of, wake
from tests.factories import told
from workflows.dependencies import guard
from workflows.models import Attempt, Run, RunEvent
from workflows.services import register_workflows, roll_back_run

pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 11, 18, 10, tzinfo=UTC)
REASON = "The client was invoiced twice."


@pytest.fixture(autouse=True)
def _registered(sandbox: RunningSandbox) -> None:
    guard.reset()
    register_workflows()


def settlement(**changes: object) -> Run:
    invoice = some_invoice(Random(7), 412, AT)  # noqa: S311
    return flows.settle_invoice.start(invoice.model_copy(update=changes)).run


def payout(**changes: object) -> Run:
    share = some_share(Random(7), AT)  # noqa: S311
    return flows.partner_payout.start(share.model_copy(update=changes)).run


def effects(sandbox: RunningSandbox, collection: str, run: Run, step: str, suffix: str = "") -> tuple[int, int]:
    """Return (requests, effects) of a step of the run, as the outside world counted them."""
    return sandbox.client.records(collection).by_key.get(f"{run.pk}:{step}:0{suffix}", (0, 0))


def balances() -> dict[Account, Decimal]:
    return {balance.account: balance.amount for balance in trial_balance() if balance.amount}


def test_a_settlement_charges_once_books_it_and_mails_the_receipt(sandbox: RunningSandbox) -> None:
    run = drive(settlement(amount=Decimal("120.00")))
    assert run.status == "succeeded"
    assert effects(sandbox, "charges", run, "charge") == (1, 1)
    assert effects(sandbox, "receipts", run, "send_receipt") == (1, 1)
    assert balances() == {Account.CARD_CLEARING: Decimal(120), Account.RECEIVABLES: Decimal(-120)}


def test_an_answer_that_breaks_off_is_asked_for_again_and_charged_once(sandbox: RunningSandbox) -> None:
    sandbox.client.set_fault("payments", "half_response", times=1)
    run = advance_once(settlement())
    assert (run.status, run.waiting_reason) == ("waiting", "retry")
    assert drive(wake(run)).status == "succeeded"
    assert effects(sandbox, "charges", run, "charge") == (2, 1)


def test_a_gateway_that_is_down_is_waited_for(sandbox: RunningSandbox) -> None:
    sandbox.client.set_fault("payments", "down")
    run = advance_once(settlement())
    assert (run.status, run.waiting_reason, run.waiting_on) == ("waiting", "dependency", "payments-gateway")
    sandbox.client.set_fault("payments")
    assert drive(wake(run)).status == "succeeded"
    assert effects(sandbox, "charges", run, "charge") == (1, 1)


def test_a_rate_limit_is_respected(sandbox: RunningSandbox) -> None:
    sandbox.client.set_fault("payments", "rate_limited", retry_after_seconds=40, times=1)
    run = advance_once(settlement())
    attempt = Attempt.objects.get(run=run)
    assert attempt.retry_at is not None
    assert (attempt.retry_at - attempt.ended_at).total_seconds() >= 40
    assert drive(wake(run)).status == "succeeded"


def test_a_declined_card_fails_the_run_and_there_is_nothing_to_refund(
    sandbox: RunningSandbox,
) -> None:
    run = drive(settlement(card_token=DECLINED_CARD))
    assert run.status == "failed"
    assert "declined by its issuer" in told(run)["message"]
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
    assert drive(run).status == "rolled_back"
    assert effects(sandbox, "refunds", run, "charge", ":undo") == (0, 0)


def test_an_invoice_above_the_limit_moves_no_money(sandbox: RunningSandbox) -> None:
    run = drive(settlement(amount=Decimal("50000.01")))
    assert (run.status, told(run)["code"]) == ("failed", "business-rule")
    assert effects(sandbox, "charges", run, "charge") == (0, 0)


def test_a_settlement_is_rolled_back_with_refund_and_reversal(sandbox: RunningSandbox) -> None:
    run = drive(settlement())
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
    assert drive(run).status == "rolled_back"
    assert effects(sandbox, "refunds", run, "charge", ":undo") == (1, 1)
    assert LedgerEntry.objects.count() == 2
    assert balances() == {}


def test_a_receipt_that_cannot_be_mailed_only_degrades(sandbox: RunningSandbox) -> None:
    sandbox.client.set_fault("mail", "rate_limited", retry_after_seconds=0)
    run = drive(settlement())
    assert run.status == "degraded"
    assert steps_of(run)["send_receipt"] == "failed"
    assert effects(sandbox, "charges", run, "charge") == (1, 1)


def test_a_payout_reserves_pays_once_and_books(sandbox: RunningSandbox) -> None:
    run = drive(payout(fees=Decimal(1000), share_percent=Decimal("12.50")))
    assert run.status == "succeeded"
    assert effects(sandbox, "payouts", run, "send_payout") == (1, 1)
    assert balances() == {Account.PARTNER_SHARES: Decimal(125), Account.BANK: Decimal(-125)}


def test_a_payout_whose_answer_breaks_off_is_looked_up_and_not_repeated(sandbox: RunningSandbox) -> None:
    sandbox.client.set_fault("banking", "half_response")
    run = drive(payout())
    assert run.status == "succeeded"
    assert effects(sandbox, "payouts", run, "send_payout") == (1, 1)
    assert RunEvent.objects.get(run=run, kind="step.verified").data["happened"] is True


def test_a_payout_to_a_closed_account_releases_the_funds_when_rolled_back(sandbox: RunningSandbox) -> None:
    run = drive(payout(account=CLOSED_ACCOUNT))
    assert run.status == "failed"
    assert balances()
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
    assert drive(run).status == "rolled_back"
    assert balances() == {}


def test_no_advice_is_mailed_to_a_partner_who_wants_none(sandbox: RunningSandbox) -> None:
    run = drive(payout(advice_to=None))
    assert run.status == "succeeded"
    assert steps_of(run)["notify_partner"] == "skipped"
