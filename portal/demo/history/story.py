"""One run's past: a clock that moves on, and the rows that the engine would have left behind at each turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from portal.demo.models import Account, LedgerEntry, PastRecord
from portal.demo.retention.models import RetentionEntry
from workflows.definition.workflow import WorkflowDefinition
from workflows.engine.failure import brief
from workflows.engine.state import FINAL_RUN_STATUSES, RunStatus, StepStatus
from workflows.models import (
    Attempt,
    DeadLetter,
    InboxMessage,
    OutboxMessage,
    Run,
    RunEvent,
    StepItem,
    StepRun,
    Workflow,
)

Json = dict[str, Any]
_WORKERS = ("batch-1", "batch-2")


def id_at(rng: Random, at: datetime) -> UUID:
    """Return a UUIDv7 of that moment, random in the way of ``rng`` and so the same in each generation."""
    value = round(at.timestamp() * 1000) << 80 | rng.getrandbits(80)
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)


@dataclass(slots=True)
class Rows:
    """Everything that the past of one or more runs consists of."""

    runs: list[Run] = field(default_factory=list)
    steps: list[StepRun] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    events: list[RunEvent] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)
    records: list[PastRecord] = field(default_factory=list)
    items: list[StepItem] = field(default_factory=list)
    kept: list[RetentionEntry] = field(default_factory=list)
    messages: list[OutboxMessage] = field(default_factory=list)
    inboxes: list[InboxMessage] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)


class Story:
    """A run that is being told. Each method lets time pass and adds what that left behind."""

    def __init__(
        self,
        workflow: Workflow,
        definition: WorkflowDefinition[Any],
        data: BaseModel,
        at: datetime,
        rng: Random,
        started_by: str,
    ) -> None:
        self.rng, self.at, self.rows = rng, at, Rows()
        self.definition = definition
        self.steps: dict[str, StepRun] = {}
        impact = definition.impact
        self.run = Run(
            id=id_at(rng, at),
            workflow=workflow,
            version=definition.version,
            status=RunStatus.QUEUED,
            input=data.model_dump(mode="json"),
            correlation_id=id_at(rng, at).hex,
            started_by=started_by,
            customer_key=str(getattr(data, impact.customer or "", "")),
            amount=Decimal(getattr(data, impact.amount)) if impact.amount else None,
            currency=str(getattr(data, impact.currency or "", "")),
            dispatched_at=at,
            dispatch_count=1,
            fence=1,
            is_demo=True,
            created_at=at,
            due_at=at + definition.objective.within,
        )
        self.worker = f"{rng.choice(_WORKERS)}:4026531836:{rng.randint(200, 900)}:1.00"
        self.event("run.accepted", actor=started_by)
        self.wait(rng.uniform(0.005, 0.06))
        self.run.started_at = self.at

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)

    def event(self, kind: str, step: str = "", **data: Any) -> None:
        """Add a line to the run's history."""
        self.run.event_count += 1
        self.rows.events.append(
            RunEvent(run=self.run, number=self.run.event_count, at=self.at, kind=kind, step=step, data=data)
        )

    def key(self, step: str) -> str:
        """Return the operation key of a step."""
        return f"{self.run.id}:{step}:0"

    def _row(self, step: str) -> StepRun:
        if step not in self.steps:
            position = [s.name for s in self.definition.plan.order].index(step)
            self.steps[step] = StepRun(run=self.run, step=step, position=position)
        row = self.steps[step]
        row.worker, row.fence = self.worker, self.run.fence
        self.run.current_step, self.run.current_step_at = step, self.at
        return row

    # --- what can happen to a step ----------------------------------------------------------------

    def succeed(self, step: str, output: BaseModel | Sequence[BaseModel], seconds: float) -> None:
        """The step did its work."""
        row = self._row(step)
        row.attempts += 1
        row.started_at = self.at
        self.wait(seconds)
        row.status, row.ended_at, row.error, row.next_attempt_at = StepStatus.SUCCEEDED, self.at, None, None
        row.output = self.definition.steps[step].dump(output)
        self.event("step.succeeded", step, attempt=row.attempts, duration_ms=round(seconds * 1000, 1))

    def pause_at(self, step: str, output: BaseModel, seconds: float) -> None:
        """The run waited at the step, and then had what it waited for."""
        row = self._row(step)
        row.started_at = self.at
        self.wait(seconds)
        row.status, row.ended_at = StepStatus.SUCCEEDED, self.at
        row.output = output.model_dump(mode="json")

    def settle_wait(self, step: str, event: BaseModel | None, waited: float) -> None:
        """The event came for which the run had waited so long, or its time was up."""
        row = self._row(step)
        row.status, row.started_at, row.ended_at = StepStatus.SUCCEEDED, self.at - timedelta(seconds=waited), self.at
        row.output = event.model_dump(mode="json") if event else None
        self.event("step.succeeded", step, **({} if event else {"timed_out": True}))

    def skip(self, step: str) -> None:
        """The step's condition was not met."""
        row = self._row(step)
        row.status, row.started_at, row.ended_at = StepStatus.SKIPPED, self.at, self.at
        self.event("step.skipped", step, reason="its condition does not hold")

    def retry(self, step: str, error: Json, seconds: float, pause: float) -> None:
        """A try failed and the next one comes after a pause."""
        row = self._row(step)
        row.attempts += 1
        self._try(row, row.attempts, error, seconds, pause=pause)
        row.status, row.next_attempt_at = StepStatus.WAITING, self.at + timedelta(seconds=pause)
        self.event(
            "step.retry_scheduled",
            step,
            attempt=row.attempts,
            of=self.definition.steps[step].options.retry.attempts,
            retry_in_seconds=round(pause, 2),
            error=brief(error),
        )
        self._sleep(pause)

    def await_dependency(self, step: str, error: Json, dependency: str, pause: float) -> None:
        """The dependency could not be called: the run waits for it, which uses up no try."""
        row = self._row(step)
        self._try(row, row.attempts + 1, error, 0.02, pause=pause)
        row.status, row.next_attempt_at = StepStatus.WAITING, self.at + timedelta(seconds=pause)
        self.event("step.unavailable", step, dependency=dependency, error=brief(error))
        self._sleep(pause)

    def fail(self, step: str, error: Json, seconds: float) -> None:
        """The last try failed."""
        row = self._row(step)
        row.attempts += 1
        self._try(row, row.attempts, error, seconds)
        row.status, row.ended_at, row.next_attempt_at = StepStatus.FAILED, self.at, None
        self.event("step.failed", step, attempt=row.attempts, error=brief(error))

    def leave_uncertain(self, step: str, error: Json, seconds: float, *, lookup: Json) -> None:
        """The step may or may not have happened, and finding out did not work either: a person decides."""
        row = self._row(step)
        row.attempts += 1
        self._try(row, row.attempts, error, seconds)
        for row.helper_attempts in range(1, 4):
            pause = self.rng.uniform(1, 2.0**row.helper_attempts)
            self._try(row, row.helper_attempts, lookup, 8.0, kind=Attempt.Kind.VERIFY, pause=pause)
            self.event("step.retry_scheduled", step, verifying=True, retry_in_seconds=round(pause, 2))
            self._sleep(pause)
        row.helper_attempts = 4
        self._try(row, row.helper_attempts, lookup, 8.0, kind=Attempt.Kind.VERIFY)
        row.status, row.error = StepStatus.UNCERTAIN, error
        self.event("step.uncertain", step, error=brief(error))
        self.run.status, self.run.error = RunStatus.PAUSED, error

    def _try(
        self,
        row: StepRun,
        number: int,
        error: Json,
        seconds: float,
        *,
        kind: Attempt.Kind = Attempt.Kind.RUN,
        pause: float | None = None,
    ) -> None:
        started_at = self.at
        self.wait(seconds)
        row.started_at, row.ended_at, row.error = started_at, self.at, error
        self.run.retry_count += kind is Attempt.Kind.RUN
        self.rows.attempts.append(
            Attempt(
                run=self.run,
                step=row.step,
                number=number,
                kind=kind,
                outcome=_outcome(error),
                error=error,
                worker=self.worker,
                started_at=started_at,
                ended_at=self.at,
                retry_at=None if pause is None else self.at + timedelta(seconds=pause),
            )
        )

    def undo(self, step: str, seconds: float) -> None:
        """The step's effect was taken back."""
        row = self._row(step)
        self.wait(seconds)
        row.status, row.undone_at = StepStatus.COMPENSATED, self.at
        self.event("step.compensated", step)

    # --- what can happen to the run ---------------------------------------------------------------

    def end(self, status: RunStatus, *, error: Json | None = None, output: Any = None, **data: Any) -> None:
        """The run comes to an end, or a person holds it."""
        step = self.run.current_step if error else ""
        if error:
            data["error"] = brief(error)
        self.event(f"run.{status.value}", step, **data)
        self.run.status, self.run.error, self.run.output = status, error, output
        self.run.ended_at = self.at if status in FINAL_RUN_STATUSES else None
        if self.run.ended_at:
            self.run.current_step = step

    def resume(self, actor: str, reason: str) -> None:
        """A person lets a run go on that had stopped."""
        self.event("run.resumed", actor=actor, reason=reason)
        self.run.status, self.run.error, self.run.ended_at = RunStatus.QUEUED, None, None
        self._sleep(self.rng.uniform(0.1, 0.8))

    def _sleep(self, seconds: float) -> None:
        """The run is let go, and claimed again after a while."""
        self.wait(seconds)
        self.run.dispatch_count += 1
        self.run.dispatched_at = self.at
        self.run.fence += 1

    def book(self, step: str, debit: Account, credit: Account, amount: Decimal, text: str) -> LedgerEntry:
        """Add a ledger entry as the step's service would have booked it."""
        entry = LedgerEntry(
            id=id_at(self.rng, self.at),
            operation_key=self.key(step),
            debit=debit,
            credit=credit,
            amount=amount,
            currency=self.run.currency,
            party=self.run.customer_key,
            text=text,
            booked_at=self.at,
        )
        self.rows.entries.append(entry)
        return entry

    def reverse(self, step: str) -> None:
        """Add the mirror image of the step's ledger entry."""
        original = next(e for e in self.rows.entries if e.operation_key == self.key(step))
        self.rows.entries.append(
            LedgerEntry(
                id=id_at(self.rng, self.at),
                operation_key=f"{self.key(step)}:undo",
                debit=original.credit,
                credit=original.debit,
                amount=original.amount,
                currency=original.currency,
                party=original.party,
                text=f"Reversal: {original.text}"[:200],
                reverses=original,
                booked_at=self.at,
            )
        )

    def outside(self, collection: str, key: str, prefix: str, body: Json, *, once_key: str | None) -> str:
        """Add what the outside world did under an operation key and remembers; returns its id."""
        record_id = f"{prefix}_{id_at(self.rng, self.at).hex}"
        self.rows.records.append(
            PastRecord(
                id=record_id,
                collection=collection,
                operation_key=key,
                once_key=once_key,
                body=body,
                made_at=self.at,
            )
        )
        return record_id

    def told(self) -> Rows:
        """Return all rows of the story."""
        self.rows.runs.append(self.run)
        self.rows.steps.extend(self.steps.values())
        return self.rows


def _outcome(error: Json) -> Attempt.Outcome:
    if error["chain"] and error["chain"][0]["type"] == "ReadTimeout":
        return Attempt.Outcome.TIMED_OUT
    is_unavailable = error["code"] == "dependency-unavailable"
    return Attempt.Outcome.UNAVAILABLE if is_unavailable else Attempt.Outcome.FAILED
