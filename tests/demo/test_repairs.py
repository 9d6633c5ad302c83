"""What the generated past left for a person can really be repaired: the checkpoints are those of the engine."""

from __future__ import annotations

import pytest

from portal.core.actor import SYSTEM
from portal.demo.sandbox.client import RunningSandbox
from portal.demo.services.history import tell_the_sandbox, write_history
from tests.engine.drive import drive
from workflows.dependencies import guard
from workflows.engine.state import RunStatus, StepStatus
from workflows.models import Run, StepRun
from workflows.services import decide_step, register_workflows, resume_run, roll_back_run

pytestmark = pytest.mark.django_db(transaction=True)
REASON = "Looked into it; this is right."


@pytest.fixture(autouse=True)
def _past(sandbox: RunningSandbox) -> None:
    guard.reset()
    register_workflows()
    write_history(days=2)
    tell_the_sandbox(sandbox.client)


def effects(sandbox: RunningSandbox, collection: str, run: Run, step: str, suffix: str = "") -> tuple[int, int]:
    return sandbox.client.records(collection).by_key.get(f"{run.pk}:{step}:0{suffix}", (0, 0))


def stopped_at(step: str, code: str) -> list[Run]:
    return list(Run.objects.filter(status=RunStatus.FAILED, current_step=step, error__code=code).order_by("id"))


def test_runs_that_failed_at_a_slow_gateway_are_resumed_and_charge_once(sandbox: RunningSandbox) -> None:
    before = []
    for run in stopped_at("charge", "outcome-unknown"):
        before.append(effects(sandbox, "charges", run, "charge"))
        resume_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
        assert drive(run).status == RunStatus.SUCCEEDED
        assert effects(sandbox, "charges", run, "charge")[1] == 1
    assert before == [(0, 0), (1, 1)]  # for the second the charge had arrived, and is found


def test_a_paused_run_goes_on(sandbox: RunningSandbox) -> None:
    run = Run.objects.get(status=RunStatus.PAUSED, current_step="post_to_ledger")
    resume_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
    assert drive(run).status == RunStatus.SUCCEEDED
    assert effects(sandbox, "charges", run, "charge") == (1, 1)


def test_a_declined_card_and_a_closed_account_are_rolled_back(sandbox: RunningSandbox) -> None:
    for run in stopped_at("charge", "permanent") + stopped_at("send_payout", "invalid-data"):
        roll_back_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
        assert drive(run).status == RunStatus.ROLLED_BACK


@pytest.mark.parametrize("paid", [True, False])
def test_an_uncertain_payout_is_decided_and_paid_once(sandbox: RunningSandbox, paid: bool) -> None:
    uncertain = StepRun.objects.filter(status=StepStatus.UNCERTAIN).select_related("run")
    step = next(s for s in uncertain if (effects(sandbox, "payouts", s.run, s.step)[1] == 1) is paid)
    found = [r for r in sandbox.client.records("payouts").records if r["operation_key"] == step.operation_key]
    output = {name: found[0][name] for name in ("id", "amount", "currency")} if paid else None
    decide_step(actor=SYSTEM, run_id=step.run.pk, step=step.step, happened=paid, output=output, reason=REASON)
    assert drive(step.run).status == RunStatus.SUCCEEDED
    assert effects(sandbox, "payouts", step.run, step.step) == (1, 1)


def test_an_old_success_is_rolled_back_with_a_real_refund(sandbox: RunningSandbox) -> None:
    run = Run.objects.filter(status=RunStatus.SUCCEEDED, workflow__slug="settle-invoice").order_by("id")[3]
    roll_back_run(actor=SYSTEM, run_id=run.pk, reason=REASON)
    assert drive(run).status == RunStatus.ROLLED_BACK
    assert effects(sandbox, "refunds", run, "charge", ":undo") == (1, 1)
