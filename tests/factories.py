"""Rows for tests, complete enough to look real: a run comes with its steps, attempts and history."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from portal.core.clock import now
from portal.core.models import Team
from portal.core.permissions import Permission
from tests.definitions import SETTLE_INVOICE, Json
from workflows.engine.state import FINAL_RUN_STATUSES, RunStatus, StepStatus, WaitingReason
from workflows.models import (
    ApprovalRequest,
    Attempt,
    BreakerEvent,
    Dependency,
    Heartbeat,
    LockTicket,
    ResourceLock,
    Run,
    RunEvent,
    Schedule,
    StepItem,
    StepRun,
    Workflow,
    WorkflowVersion,
)
from workflows.schedules.cron import Cron

_numbers = count(4101)

TRANSIENT_ERROR: Json = {
    "type": "TransientError",
    "code": "transient",
    "message": "payments-gateway answered 502 Bad Gateway",
    "context": {"dependency": "payments-gateway", "status": 502},
    "chain": [{"type": "HTTPStatusError", "message": "Server error '502 Bad Gateway'"}],
    "stack": [
        {
            "file": "portal/demo/flows.py",
            "line": 61,
            "function": "charge",
            "code": "answer = ctx.http.post('/charges', json=order)",
            "in_app": True,
        }
    ],
}

# What happened to the step at which a run stands, by the run's status.
_STEP_OF_RUN: dict[RunStatus, StepStatus] = {
    RunStatus.RUNNING: StepStatus.RUNNING,
    RunStatus.WAITING: StepStatus.WAITING,
    RunStatus.PAUSED: StepStatus.PENDING,
    RunStatus.FAILED: StepStatus.FAILED,
    RunStatus.CANCELLED: StepStatus.PENDING,
    RunStatus.ROLLING_BACK: StepStatus.COMPENSATING,
    RunStatus.ROLLBACK_FAILED: StepStatus.COMPENSATION_FAILED,
}
_ENDING_EVENT: dict[RunStatus, str] = {
    RunStatus.WAITING: "run.waiting",
    RunStatus.PAUSED: "run.paused",
    RunStatus.SUCCEEDED: "run.succeeded",
    RunStatus.DEGRADED: "run.degraded",
    RunStatus.FAILED: "run.failed",
    RunStatus.CANCELLED: "run.cancelled",
    RunStatus.ROLLING_BACK: "run.rollback_started",
    RunStatus.ROLLED_BACK: "run.rolled_back",
    RunStatus.ROLLBACK_FAILED: "run.rollback_failed",
}


def told(row: Run | StepRun | Attempt) -> Json:
    """Return the error that a row carries; it must carry one."""
    assert row.error is not None
    error: Json = row.error
    return error


def make_team(slug: str = "finance-operations") -> Team:
    """Return the team, made if it is not there."""
    return Team.objects.get_or_create(slug=slug, defaults={"name": slug.replace("-", " ").capitalize()})[0]


def make_workflow(definition: Json = SETTLE_INVOICE, **fields: Any) -> Workflow:
    """Return a registered workflow with the version that ``definition`` describes, and its dependencies."""
    objective = definition["objective"]
    seen_at = fields.pop("registered_at", now() - timedelta(days=40))
    workflow = Workflow.objects.create(
        **{
            "slug": definition["slug"],
            "title": definition["title"],
            "description": definition["description"],
            "team": fields.pop("team", None) or make_team(definition["owner"]),
            "tier": definition["tier"],
            "latest_version": definition["version"],
            "success_target": objective["success"],
            "within": timedelta(seconds=objective["within_seconds"]),
            "runbook": definition["runbook"],
            "registered_at": seen_at,
        }
        | fields
    )
    make_version(workflow, definition, first_seen_at=seen_at)
    for dependency in definition["dependencies"]:
        make_dependency(dependency["name"])
    return workflow


def make_version(workflow: Workflow, definition: Json, **fields: Any) -> WorkflowVersion:
    """Return the row of ``definition`` as a version of ``workflow``."""
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
    return WorkflowVersion.objects.create(
        **{
            "workflow": workflow,
            "number": definition["version"],
            "definition": definition,
            "digest": digest,
            "first_seen_at": now() - timedelta(days=40),
        }
        | fields
    )


def make_dependency(name: str = "payments-gateway", **fields: Any) -> Dependency:
    """Return the dependency, made if it is not there, in the state that ``fields`` say."""
    defaults = {"state": Dependency.State.CLOSED, "state_since": now() - timedelta(days=40), "settings": {}}
    return Dependency.objects.update_or_create(name=name, defaults=fields, create_defaults=defaults | fields)[0]


def open_breaker(name: str = "payments-gateway", *, since: datetime | None = None) -> Dependency:
    """Return the dependency with its breaker open, and the event that says why."""
    since = since or now() - timedelta(minutes=5)
    dependency = make_dependency(
        name,
        state=Dependency.State.OPEN,
        state_since=since,
        probe_at=now() + timedelta(seconds=20),
        opened_times=1,
        reason="8 of the last 10 calls failed",
        last_error=TRANSIENT_ERROR,
    )
    BreakerEvent.objects.create(
        dependency=dependency,
        at=since,
        old="closed",
        new="open",
        reason=dependency.reason,
        actor_label="engine",
    )
    return dependency


def make_schedule(workflow: Workflow | None = None, **fields: Any) -> Schedule:
    """Return a schedule of the workflow: every night at two in Berlin."""
    defaults = {"name": "main", "cron": "0 2 * * *", "zone": "Europe/Berlin", "catch_up": "latest", "overlap": "skip"}
    due = Cron("0 2 * * *", "Europe/Berlin").after(now())
    workflow = workflow or Workflow.objects.first() or make_workflow()
    return Schedule.objects.create(**{"workflow": workflow, "next_at": due} | defaults | fields)


def ask_for(run: Run, **fields: Any) -> ApprovalRequest:
    """Return what ``run``, which waits at its step, asks a person."""
    run.waiting_reason, run.waiting_on = WaitingReason.APPROVAL, f"approval by {run.workflow.team.slug}"
    run.wake_at = now() + timedelta(days=2)
    run.save()
    values: dict[str, Any] = {"question": "Pay 5,400.00 EUR to northwind-advisers?", "facts": [["Month", "2026-10"]]}
    values |= {"permission": Permission.APPROVE_STEP, "asked_at": run.created_at, "expires_at": run.wake_at}
    event = RunEvent.objects.filter(run=run, kind="run.waiting").first()
    if event:
        told = {"reason": "approval", "on": run.waiting_on, "question": values["question"]}
        RunEvent.objects.filter(run=run, number=event.number).update(
            kind="step.waiting", step=run.current_step, data=told
        )
    return ApprovalRequest.objects.create(run=run, step=run.current_step, **values | fields)


def make_heartbeat(kind: str = "worker", *, age_seconds: float = 1, name: str = "") -> Heartbeat:
    """Return a process of the portal that was last heard ``age_seconds`` ago."""
    return Heartbeat.objects.create(
        name=name or f"host-a:1:{next(_numbers)}:{kind}",
        kind=kind,
        queues=["workflows"],
        started_at=now() - timedelta(hours=9),
        seen_at=now() - timedelta(seconds=age_seconds),
    )


def make_run(
    workflow: Workflow | None = None,
    *,
    status: RunStatus = RunStatus.SUCCEEDED,
    at: str = "charge",
    step_status: StepStatus | None = None,
    ago: timedelta = timedelta(minutes=10),
    took: timedelta = timedelta(seconds=40),
    error: Json | None = None,
    **fields: Any,
) -> Run:
    """Return a run that was started ``ago`` and stands (or ended) at step ``at``.

    The steps before ``at`` succeeded; the step ``at`` is in ``step_status``, by default what the run's status
    implies. ``took`` is the time from its start to its end, for a run that ended. The run's history matches.
    """
    workflow = workflow or Workflow.objects.first() or make_workflow()
    steps = WorkflowVersion.objects.get(workflow=workflow, number=workflow.latest_version).definition["steps"]
    created_at = fields.pop("created_at", now() - ago)
    number = next(_numbers)
    values: dict[str, Any] = {
        "workflow": workflow,
        "version": workflow.latest_version,
        "status": status,
        "input": {
            "invoice_number": f"INV-{number}",
            "client_id": f"client-{number % 7}",
            "amount": "1250.00",
            "currency": "EUR",
            "contact_email": "accounts@client.example",
        },
        "correlation_id": f"{number:032x}",
        "started_by": "olga.operator",
        "customer_key": f"client-{number % 7}",
        "amount": Decimal("1250.00"),
        "currency": "EUR",
        "created_at": created_at,
        "due_at": created_at + workflow.within,
    }
    if status not in {RunStatus.QUEUED, RunStatus.SCHEDULED}:
        values |= {"started_at": created_at, "dispatched_at": created_at, "dispatch_count": 1}
    if status in FINAL_RUN_STATUSES:
        values["ended_at"] = created_at + took
    if status in _STEP_OF_RUN:
        values |= {"current_step": at, "current_step_at": created_at + timedelta(seconds=2)}
    if status == RunStatus.WAITING:
        values |= {"waiting_reason": WaitingReason.DEPENDENCY, "waiting_on": "payments-gateway"}
    if status in {RunStatus.FAILED, RunStatus.ROLLBACK_FAILED} or error:
        values["error"] = error or TRANSIENT_ERROR
    if status in {RunStatus.RUNNING, RunStatus.ROLLING_BACK}:
        values |= {
            "lease_owner": "host-a:1:7:worker",
            "lease_expires_at": now() + timedelta(seconds=12),
            "fence": 1,
        }
    if status == RunStatus.SUCCEEDED:
        values["output"] = {"entry": number}
    run = Run.objects.create(**values | fields)
    _add_steps(run, steps, at, step_status)
    return run


def make_lock(key: str, holder: Run, *waiting: Run, step: str = "post_to_ledger") -> ResourceLock:
    """Return a lock that ``holder`` has had for a minute, with these runs waiting behind it, in this order."""
    since = now() - timedelta(minutes=1)
    lock = ResourceLock.objects.create(key=key, run=holder, step=step, token=next(_numbers), since=since)
    for number, run in enumerate(waiting):
        run.status, run.waiting_reason, run.waiting_on = RunStatus.WAITING, WaitingReason.LOCK, key
        run.wake_at, run.lease_owner = None, ""
        run.save()
        queued_at = since + timedelta(seconds=10 + number)
        LockTicket.objects.create(lock=lock, run=run, step=step, queued_at=queued_at)
    return lock


def _add_steps(run: Run, steps: list[Json], at: str, step_status: StepStatus | None) -> None:
    """Write the step rows, attempts and events of a run that stands at step ``at``."""
    status = RunStatus(run.status)
    moment = run.created_at
    events = [RunEvent(kind="run.accepted", at=moment, data={"actor": run.started_by})]
    finished = status in {RunStatus.SUCCEEDED, RunStatus.DEGRADED, RunStatus.ROLLED_BACK}
    stands_at = step_status or _STEP_OF_RUN.get(status)
    for step in steps if status not in {RunStatus.QUEUED, RunStatus.SCHEDULED} else []:
        moment += timedelta(seconds=2)
        here = step["name"] == at and not finished
        done = StepStatus.COMPENSATED if status == RunStatus.ROLLED_BACK else StepStatus.SUCCEEDED
        row = StepRun(run=run, step=step["name"], position=step["position"], status=done, worker="host-a:1:7:worker")
        row.attempts, row.started_at, row.output = 1, moment, {"ok": True}
        if here and stands_at:
            row.status, row.output = stands_at, None
        if row.status not in {StepStatus.RUNNING, StepStatus.WAITING, StepStatus.PENDING}:
            row.ended_at = moment + timedelta(seconds=1)
            events.append(RunEvent(kind=f"step.{row.status}", step=row.step, at=row.ended_at, data={"attempt": 1}))
        if row.status in {StepStatus.FAILED, StepStatus.UNCERTAIN, StepStatus.COMPENSATION_FAILED}:
            row.error = run.error or TRANSIENT_ERROR
            _add_attempt(row)
        row.save(force_insert=True)
        if here:
            break
    if status in _ENDING_EVENT:
        data = {"error": run.error} if run.error else {"reason": run.waiting_reason, "on": run.waiting_on}
        events.append(RunEvent(kind=_ENDING_EVENT[status], at=run.ended_at or moment, data=data))
    for number, event in enumerate(events, start=1):
        event.run, event.number = run, number
    RunEvent.objects.bulk_create(events)
    run.event_count = len(events)
    run.save(update_fields=["event_count"])


def _add_attempt(row: StepRun) -> None:
    Attempt.objects.create(
        run=row.run,
        step=row.step,
        number=row.attempts,
        kind=Attempt.Kind.COMPENSATE if row.status == StepStatus.COMPENSATION_FAILED else Attempt.Kind.RUN,
        outcome=Attempt.Outcome.LOST if row.status == StepStatus.UNCERTAIN else Attempt.Outcome.FAILED,
        error=row.error,
        worker=row.worker,
        started_at=row.started_at,
        ended_at=row.ended_at or now(),
    )


def make_items(run: Run, step: str, *, done: int, failed: int = 0, left: int = 0, error: Json | None = None) -> None:
    """Give a run items at a step with ``each``: so many that are done, that failed, and that are still to be done."""
    statuses = [*["succeeded"] * done, *["failed"] * failed, *["pending"] * left]
    StepItem.objects.bulk_create(
        StepItem(
            run=run,
            step=step,
            index=index,
            status=status,
            name=f"NB-{index + 1:04}",
            amount=Decimal("180.00") + index,
            currency="EUR",
            input={"invoice_number": f"NB-{index + 1:04}"},
            error=(error or TRANSIENT_ERROR) if status == "failed" else None,
            attempts=status != "pending",
            started_at=None if status == "pending" else run.created_at + timedelta(seconds=index),
            ended_at=None if status == "pending" else run.created_at + timedelta(seconds=index + 1),
        )
        for index, status in enumerate(statuses)
    )
