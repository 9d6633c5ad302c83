"""The states of the whole portal that pictures are taken of: nothing there yet, an ordinary day, a bad one."""

from __future__ import annotations

from datetime import timedelta

from portal.core import audit
from portal.core.actor import Actor, person
from portal.core.clock import now
from portal.core.correlation import correlated
from portal.core.models import User
from portal.core.permissions import Permission, Role
from portal.core.services.grants import grant_rights
from portal.core.services.roles import grant_role
from portal.core.services.tokens import create_token
from portal.demo.services.history import write_history
from tests.bulk.help import begin, select
from tests.deadletters.scenes import many_are_dead, some_are_settled
from tests.diagnostics.scenes import books_agree, books_differ
from tests.factories import ask_for, make_heartbeat, make_items, make_lock, make_run, make_schedule, open_breaker
from workflows.bulk.engine import advance
from workflows.engine.state import RunStatus, StepStatus
from workflows.models import BulkOperation, Run, ScheduledTime, Workflow, WorkflowVersion
from workflows.services.registration import register_workflows


def empty() -> None:
    """A new installation, before anything was started."""
    register_workflows()


def ordinary() -> None:
    """Thirty days of the demo's history, and a few runs under way."""
    register_workflows()
    write_history()
    for kind in ("worker", "dispatcher"):
        make_heartbeat(kind, age_seconds=-900)  # taking the pictures lasts longer than a heartbeat
    # by name: when all tests are collected, those of the engine have registered workflows of their own
    settle, payout = (Workflow.objects.get(slug=slug) for slug in ("settle-invoice", "partner-payout"))
    make_run(settle, status=RunStatus.RUNNING, at=_step(settle, 0), ago=timedelta(seconds=8))
    make_run(settle, status=RunStatus.QUEUED, ago=timedelta(seconds=1))
    make_run(payout, status=RunStatus.PAUSED, at="reserve_funds", ago=timedelta(minutes=50))
    ask_for(make_run(payout, status=RunStatus.WAITING, at="approve_payout", ago=timedelta(hours=2)))
    make_run(settle, status=RunStatus.ROLLED_BACK, ago=timedelta(hours=5))
    make_run(settle, status=RunStatus.CANCELLED, ago=timedelta(hours=6))
    make_schedule(settle, name="nightly")
    make_schedule(settle, name="every-quarter", cron="*/15 * * * *", zone="UTC", next_at=now() + timedelta(minutes=9))
    _acts(settle)
    some_are_settled(_operator())
    books_agree()


def _batch() -> None:
    """A night's batch in the middle of its invoices, some of which have failed."""
    billing = Workflow.objects.get(slug="nightly-batch-billing")
    run = make_run(
        billing,
        status=RunStatus.WAITING,
        at="charge_card",
        ago=timedelta(seconds=90),
        waiting_reason="items",
        waiting_on="70 of 120 done, 4 failed",
    )
    make_items(run, "charge_card", done=70, failed=4, left=46)


def failing() -> None:
    """A bad day: the gateway is down, runs wait or failed, one payout is uncertain, one rollback got stuck."""
    ordinary()
    # by name: when all tests are collected, those of the engine have registered workflows of their own
    settle, payout = (Workflow.objects.get(slug=slug) for slug in ("settle-invoice", "partner-payout"))
    open_breaker("payments-gateway")
    for minutes in range(1, 14):
        make_run(settle, status=RunStatus.WAITING, at=_step(settle, 0), ago=timedelta(minutes=minutes))
    for minutes in range(5, 60, 4):
        make_run(settle, status=RunStatus.FAILED, at=_step(settle, 1), ago=timedelta(minutes=minutes))
    make_run(
        payout, status=RunStatus.FAILED, at="send_payout", step_status=StepStatus.UNCERTAIN, ago=timedelta(minutes=7)
    )
    make_run(settle, status=RunStatus.ROLLBACK_FAILED, at=_step(settle, 0), ago=timedelta(minutes=31))
    make_run(settle, status=RunStatus.DEGRADED, ago=timedelta(minutes=33))
    _missed(payout)
    _batch()
    _bulk_operations()
    many_are_dead(_operator())
    books_differ()
    holder, *waiting = (make_run(settle, status=RunStatus.RUNNING, at=_step(settle, 1)) for _ in range(9))
    make_lock("ledger:harbour-lane-estates", holder, *waiting)
    make_lock("ledger:northwind-advisers", make_run(settle, status=RunStatus.RUNNING, at=_step(settle, 1)))


SCENES = {"empty": empty, "ordinary": ordinary, "failing": failing}


def _missed(workflow: Workflow) -> None:
    """A schedule that nobody attended to in the night, and that somebody has paused since."""
    paused = {"paused_at": now() - timedelta(hours=3), "paused_reason": "The bank is being moved this weekend."}
    schedule = make_schedule(workflow, **paused, paused_until=now() + timedelta(days=1))
    for hours in (9, 33):
        due_at = now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)
        why = "No dispatcher was there at that time."
        ScheduledTime.objects.create(schedule=schedule, due_at=due_at, status="missed", why=why, noted_at=now())


def _step(workflow: Workflow, position: int) -> str:
    """Return the name of a workflow's step."""
    latest = WorkflowVersion.objects.get(workflow=workflow, number=workflow.latest_version)
    return str(latest.definition["steps"][position]["name"])


def _operator() -> Actor:
    return person(User.objects.get(username="operator"), origin="page 10.0.4.17")


def _bulk_operations() -> None:
    """Two on the failed runs: one under way, one that met a surprise."""
    actor = _operator()
    failed = Run.objects.filter(status=RunStatus.FAILED, is_demo=False).order_by("id")
    halves = list(failed.values_list("pk", flat=True))
    surprised = begin(actor, select("cancel", "state=failed", *halves[:6]))
    under_way = begin(actor, select("cancel", "state=failed", *halves[6:]), per_minute=10)
    for operation in (surprised, under_way):
        advance(operation.pk)
        advance(operation.pk)
    BulkOperation.objects.filter(pk=under_way.pk).update(next_at=now() + timedelta(hours=1))
    BulkOperation.objects.filter(pk=surprised.pk).update(next_at=now())
    Run.objects.filter(pk=halves[1]).update(request="pause")
    Run.objects.filter(pk=halves[1]).update(status=RunStatus.ROLLING_BACK, ended_at=None)
    advance(surprised.pk)


def _acts(workflow: Workflow) -> None:
    """What the audit trail and the pages about access tell of."""
    admin, operator = (
        person(User.objects.get(username=name), origin="page 10.0.4.17") for name in ("admin", "operator")
    )
    support = User.objects.get(username="support")
    with correlated("0199c2f4a1b07d3e8f21c5a9d0e4b671"):
        grant_role(actor=admin, username="support", role=Role.VIEWER, reason="Reads along while Dana is away")
        grant_rights(
            actor=admin,
            holder=support,
            rights={Permission.VIEW_RUN, Permission.RETRY_STEP},
            obj=workflow,
            reason="On call for settlements until Monday",
            expires_at=now() + timedelta(days=3),
        )
    create_token(actor=operator, name="nightly import", scopes={Permission.VIEW_RUN, Permission.START_RUN})
    audit.record(
        actor=person(support, origin="page 10.0.4.21"),
        action="core.request.refuse",
        object_type="address",
        object_id="/access/grants/new/",
        object_label="POST /access/grants/new/",
        reason="This needs the right to manage access. Ask an administrator for it.",
        after={"permission": "manage_access"},
        result=audit.Result.REFUSED,
    )
