"""The trust account: bank and ledger are compared, and a notice that was lost is found."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import httpx
import pytest
from django.db.models import Sum

from diagnostics.models import Discrepancy, Reconciliation
from diagnostics.reconciliation.services import carry_out, request_reconciliation
from portal.core.actor import SYSTEM
from portal.core.clock import now
from portal.demo.models import Account, LedgerEntry
from portal.demo.sandbox.client import RunningSandbox
from portal.demo.services.traffic import ACTOR
from portal.demo.trust import reconciliations, traffic
from portal.demo.trust.compare import Deposit
from portal.demo.trust.flows import StatementDay, trust_account_reconciliation
from portal.demo.trust.ledger import receive_notice
from portal.demo.trust.traffic import TrustTraffic
from tests.engine.drive import drive, steps_of
from workflows.models import Run
from workflows.services import register_workflows, roll_back_run

pytestmark = pytest.mark.django_db
_numbers = iter(range(1, 1000))


@pytest.fixture(autouse=True)
def _all_at_once(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deposit counts at once, and this test's are the only ones."""
    register_workflows()
    monkeypatch.setattr(reconciliations, "ON_ITS_WAY", -reconciliations.ON_ITS_WAY)
    for known in deposits(sandbox):
        receive_notice(known)


def deposits(sandbox: RunningSandbox) -> list[Deposit]:
    return [Deposit.model_validate(record) for record in sandbox.client.records("deposits").records]


def pay_in(sandbox: RunningSandbox, amount: str = "1200.00") -> Deposit:
    """Let a client pay in at the bank."""
    order = {
        "reference": f"TR-{now():%H%M%S%f}-{next(_numbers)}",
        "client": "quayside-dental",
        "amount": amount,
        "currency": "EUR",
    }
    answer = httpx.post(f"{sandbox.client.url}/banking/deposits", json=order)
    return Deposit.model_validate(answer.raise_for_status().json())


def check() -> Reconciliation:
    row = request_reconciliation(actor=SYSTEM, name="trust-account")
    carry_out(row.pk)
    row.refresh_from_db()
    return row


def reconcile() -> Run:
    day = StatementDay(day=now().date())
    return drive(trust_account_reconciliation.start(day, actor=SYSTEM).run)


def balance(account: Account) -> Decimal:
    sums = [
        LedgerEntry.objects.filter(**{side: account}).aggregate(total=Sum("amount"))["total"] or Decimal(0)
        for side in ("debit", "credit")
    ]
    return sums[0] - sums[1]


def test_a_lost_notice_is_found_with_its_money_parked_and_moved_when_it_comes_late(sandbox: RunningSandbox) -> None:
    receive_notice(pay_in(sandbox))
    lost = pay_in(sandbox, "47250.00")
    found = check()
    assert (found.status, found.at_stake) == ("differs", {"EUR": "47250.00"})
    assert Discrepancy.objects.get(gone_at=None).key == lost.reference
    run = reconcile()
    assert (run.status, steps_of(run)["park_missing"]) == ("succeeded", "succeeded")
    assert balance(Account.TRUST_SUSPENSE) == Decimal("-47250.00")
    assert check().status == "agrees"
    receive_notice(lost)
    assert balance(Account.TRUST_SUSPENSE) == 0
    assert check().status == "agrees"


def test_nothing_is_booked_or_mailed_when_all_agrees(sandbox: RunningSandbox) -> None:
    receive_notice(pay_in(sandbox))
    before = LedgerEntry.objects.count()
    run = reconcile()
    assert run.status == "succeeded"
    assert (steps_of(run)["park_missing"], steps_of(run)["tell_accountant"]) == ("skipped", "skipped")
    assert LedgerEntry.objects.count() == before


def test_different_amounts_are_for_a_person(sandbox: RunningSandbox) -> None:
    deposit = pay_in(sandbox, "80.00")
    receive_notice(deposit.model_copy(update={"amount": Decimal("8.00")}))
    run = reconcile()
    assert run.status == "failed"
    assert run.error is not None
    assert deposit.reference in run.error["message"]


def test_a_rollback_takes_the_parked_money_back_and_it_is_found_again(sandbox: RunningSandbox) -> None:
    pay_in(sandbox)
    run = reconcile()
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason="It was parked by mistake")
    assert drive(run).status == "rolled_back"
    assert balance(Account.TRUST_SUSPENSE) == 0
    assert check().status == "differs"


def test_a_bank_that_gives_no_statement_is_not_taken_for_agreement(sandbox: RunningSandbox) -> None:
    sandbox.client.set_fault("banking", "down")
    row = check()
    assert row.status == "cannot_see"
    assert "The bank gave no statement" in row.problem


def test_the_live_traffic_pays_in_and_loses_a_notice_now_and_then(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "SHARE", 1.0)
    monkeypatch.setattr(traffic, "LOST", 0.5)
    source = TrustTraffic(Random(4))  # noqa: S311
    for _ in range(12):
        source.turn(ACTOR)
    assert 0 < check().mismatches < 12
