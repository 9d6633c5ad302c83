"""The states of the whole portal that pictures are taken of: nothing there yet, an ordinary day, a bad one."""

from __future__ import annotations

from datetime import timedelta

from tests.definitions import PARTNER_PAYOUT, SETTLE_INVOICE
from tests.factories import make_dependency, make_heartbeat, make_run, make_workflow, open_breaker
from workflows.engine.state import RunStatus, StepStatus
from workflows.models import Workflow


def empty() -> None:
    """A new installation."""


def ordinary() -> None:
    """An ordinary day: nearly all is well, one run failed, one waits for its retry."""
    settle, payout = _workflows()
    for hours in range(1, 60):
        run = make_run(settle if hours % 3 else payout, ago=timedelta(hours=hours / 2), took=_took(hours))
        assert run.ended_at
    make_run(settle, status=RunStatus.RUNNING, ago=timedelta(seconds=20))
    make_run(settle, status=RunStatus.WAITING, ago=timedelta(minutes=2))
    make_run(payout, status=RunStatus.PAUSED, at=_second(payout), ago=timedelta(minutes=50))
    make_run(settle, status=RunStatus.FAILED, ago=timedelta(hours=3))
    make_run(settle, status=RunStatus.ROLLED_BACK, ago=timedelta(hours=5))


def failing() -> None:
    """A bad day: the gateway is down, runs wait or failed, one payout is uncertain, one rollback got stuck."""
    ordinary()
    settle, payout = Workflow.objects.order_by("-slug")
    open_breaker("payments-gateway")
    for minutes in range(1, 14):
        make_run(settle, status=RunStatus.WAITING, ago=timedelta(minutes=minutes))
    for minutes in range(5, 60, 4):
        make_run(settle, status=RunStatus.FAILED, ago=timedelta(minutes=minutes))
    make_run(
        payout,
        status=RunStatus.FAILED,
        at=_second(payout),
        step_status=StepStatus.UNCERTAIN,
        ago=timedelta(minutes=7),
    )
    make_run(settle, status=RunStatus.ROLLBACK_FAILED, ago=timedelta(minutes=31))
    make_run(settle, status=RunStatus.DEGRADED, ago=timedelta(minutes=33))


SCENES = {"empty": empty, "ordinary": ordinary, "failing": failing}


def _workflows() -> tuple[Workflow, Workflow]:
    make_heartbeat("worker")
    make_heartbeat("dispatcher")
    settle, payout = make_workflow(SETTLE_INVOICE), make_workflow(PARTNER_PAYOUT)
    make_dependency("payments-gateway")
    return settle, payout


def _took(hours: int) -> timedelta:
    return timedelta(seconds=20 + hours * 7 % 60)


def _second(workflow: Workflow) -> str:
    definition = PARTNER_PAYOUT if workflow.slug == PARTNER_PAYOUT["slug"] else SETTLE_INVOICE
    return str(definition["steps"][1]["name"])
