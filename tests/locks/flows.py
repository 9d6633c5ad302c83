"""Workflows whose steps lock something. What a step does is put into ``tests.engine.flows.behaviour``."""

from __future__ import annotations

from tests.engine.flows import FAST, OBJECTIVE, Note, Order, act
from workflows import Effect, StepContext, Workflow

KEY = "account:A-1"
account_flow = Workflow(
    "test-account", version=1, owner="test-team", input=Order, objective=OBJECTIVE, runbook="test"
)


@account_flow.step(effect=Effect.DATABASE, lock="account:{order.number}", retry=FAST, timeout=2)
def change_balance(order: Order, ctx: StepContext) -> Note:
    """Change what others change too."""
    return act("change_balance", ctx, Note(text=f"token {ctx.lock_token}"))


@change_balance.compensate
def change_back(order: Order, ctx: StepContext) -> None:
    """Change it back."""
    act("change_back", ctx, None)


@account_flow.step(effect=Effect.EXTERNAL, retry=FAST, timeout=2)
def tell_bank(change_balance: Note, ctx: StepContext) -> Note:
    """Do something without a lock."""
    return act("tell_bank", ctx, Note(text=f"token {ctx.lock_token}"))


call_flow = Workflow(
    "test-locked-call", version=1, owner="test-team", input=Order, objective=OBJECTIVE, runbook="test"
)


@call_flow.step(effect=Effect.EXTERNAL, idempotent=False, lock="account:{order.number}", retry=FAST, timeout=2)
def withdraw(order: Order, ctx: StepContext) -> Note:
    """Call somebody, once."""
    return act("withdraw", ctx, Note(text="withdrawn"))


@withdraw.verify
def find_withdrawal(order: Order, ctx: StepContext) -> Note | None:
    """Look it up."""
    return act("find_withdrawal", ctx, None)
