"""A workflow that asks a person, for tests of the engine and of the pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.engine import flows
from workflows import Approval, Effect, Workflow


def asking(name: str, **options: Any) -> Workflow[flows.Order]:
    """A workflow that asks before it pays."""
    workflow = Workflow(
        name, version=1, owner="test-team", input=flows.Order, objective=flows.OBJECTIVE, runbook="test"
    )

    @workflow.step(effect=Effect.PURE)
    def share(order: flows.Order) -> flows.Note:
        return flows.Note(text=f"share of {order.number}")

    workflow.approval("approve", **{"question": "Pay {amount} for {share.text}?"} | options)

    @workflow.step(effect=Effect.PURE, when=lambda approve: approve.approved)
    def pay(approve: Approval) -> flows.Note:
        return flows.Note(text=f"paid, said {approve.by}")

    return workflow


plain_flow = asking("test-ask", expires=timedelta(days=2), remind=timedelta(hours=4))
