"""The nightly batch, really executed against the real sandbox."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from portal.core.actor import SYSTEM
from portal.demo.billing.flows import BillingNight, nightly_batch_billing
from portal.demo.models import LedgerEntry
from portal.demo.sandbox.client import RunningSandbox
from workflows.dependencies import guard
from workflows.engine.runner import advance
from workflows.models import Run, StepItem, StepRun
from workflows.services import register_workflows, roll_back_run
from workflows.testing import take_on

pytestmark = pytest.mark.django_db(transaction=True)
NIGHT = BillingNight(day=date(2026, 11, 19), invoices=90)


@pytest.fixture(autouse=True)
def _registered(sandbox: RunningSandbox) -> None:
    guard.reset()
    register_workflows()


def charged(sandbox: RunningSandbox, run: Run, collection: str = "charges") -> dict[str, int]:
    """Return how often each invoice of the run was charged, by operation key."""
    records = sandbox.client.records(collection).by_key
    return {key: effects for key, (_, effects) in records.items() if key.startswith(str(run.pk)) and effects}


def test_each_invoice_is_charged_and_posted_once_and_the_missing_ones_are_named(sandbox: RunningSandbox) -> None:
    run = take_on(nightly_batch_billing.start(NIGHT).run)
    assert run.status == "degraded"
    missing = StepItem.objects.get(run=run, step="charge_card", status="failed")
    assert missing.name == "NB-20261119-0083"
    summary = StepRun.objects.get(run=run, step="charge_card").output
    assert summary
    assert (summary["succeeded"], summary["missing"]) == (89, [missing.name])
    assert {currency: Decimal(worth) for currency, worth in summary["worth"].items()} == {
        missing.currency: missing.amount
    }
    paid = charged(sandbox, run)
    assert len(paid) == 89
    assert set(paid.values()) == {1}
    assert LedgerEntry.objects.count() == 89


def test_a_gateway_that_is_down_is_waited_for(sandbox: RunningSandbox) -> None:
    sandbox.client.set_fault("payments", "down")
    run = nightly_batch_billing.start(NIGHT.model_copy(update={"invoices": 5})).run
    with pytest.raises(AssertionError, match="still waits"):
        take_on(run, rounds=5)
    sandbox.client.set_fault("payments")
    guard.reset()
    assert take_on(run, rounds=300).status == "succeeded"
    assert not StepItem.objects.filter(run=run, attempts__gt=1).exists(), "no try was used up"


def test_answers_that_break_off_charge_nobody_twice(sandbox: RunningSandbox) -> None:
    sandbox.client.set_fault("payments", "half_response", times=2)
    run = take_on(nightly_batch_billing.start(NIGHT.model_copy(update={"invoices": 20})).run)
    assert run.status == "succeeded"
    assert set(charged(sandbox, run).values()) == {1}


def test_a_rollback_refunds_and_reverses_each_invoice(sandbox: RunningSandbox) -> None:
    run = take_on(nightly_batch_billing.start(NIGHT.model_copy(update={"invoices": 12})).run)
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason="It was the wrong night")
    advance(run.pk)
    run.refresh_from_db()
    assert run.status == "rolled_back"
    assert len(charged(sandbox, run, "refunds")) == 12
    assert sum(e.amount * (-1 if e.reverses_id else 1) for e in LedgerEntry.objects.all()) == 0
