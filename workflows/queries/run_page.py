"""Everything that the page of one run shows, read in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db.models import Q
from django.db.models.fields.json import KT

from portal.core import clock
from portal.core.access import may
from portal.core.actor import Actor
from portal.core.permissions import Permission
from workflows.engine.state import RunStatus, StepStatus
from workflows.gantt import Chart, draw
from workflows.history import TROUBLE, Line, line_of
from workflows.lanes import lanes_of
from workflows.models import Attempt, Run, RunEvent, StepRun, WorkflowVersion
from workflows.outcome import Facts, Outcome, outcome
from workflows.presentation import State, run_state, step_state
from workflows.queries.runs import Usual, duration_of, usual_durations
from workflows.redaction import Redaction, redaction_of

Json = Mapping[str, Any]
EVENTS_SHOWN = 200
ATTEMPTS_READ = 1000
_NOT_DONE = frozenset({StepStatus.PENDING, StepStatus.WAITING, StepStatus.FAILED})


@dataclass(frozen=True, slots=True)
class StepView:
    """A declared step with what this run has of it. ``row`` is None for one that was not reached."""

    number: int
    declared: Json
    row: StepRun | None
    status: StepStatus
    state: State
    attempts: Sequence[Attempt]
    since: datetime | None

    @property
    def name(self) -> str:
        """The step's name in the code."""
        return str(self.declared["name"])

    @property
    def title(self) -> str:
        """The step's name for people."""
        return str(self.declared["title"])

    @property
    def tries(self) -> int:
        """How often its body was tried, the one under way included."""
        failed = sum(attempt.kind == Attempt.Kind.RUN for attempt in self.attempts)
        done = self.status in {StepStatus.SUCCEEDED, StepStatus.COMPENSATED, StepStatus.RUNNING}
        return failed + done

    @property
    def took(self) -> timedelta | None:
        """How long the try took that became the checkpoint."""
        if self.row is None or self.row.started_at is None or self.row.ended_at is None:
            return None
        return self.row.ended_at - self.row.started_at

    @property
    def message(self) -> str:
        """The latest error in one line, "" without one."""
        return str((self.row.error or {}).get("message", "")) if self.row else ""


@dataclass(frozen=True)
class RunPage:
    """One run as its page shows it to one person."""

    run: Run
    definition: Json
    rows: Mapping[str, StepRun]
    attempts: Sequence[Attempt]
    events: Sequence[RunEvent]
    failed_only: bool
    usual: Usual | None
    redaction: Redaction
    now: datetime

    @property
    def state(self) -> State:
        """The run's state."""
        return run_state(self.run)

    @property
    def duration(self) -> timedelta | None:
        """How long the run took, or has been under way."""
        return duration_of(self.run, self.now)

    @property
    def expected_at(self) -> datetime | None:
        """When half of the runs like it would be done; None if that is not known."""
        if self.usual is None or self.run.started_at is None:
            return None
        return self.run.started_at + self.usual.median

    @cached_property
    def titles(self) -> dict[str, str]:
        """The steps' titles by name."""
        return {step["name"]: step["title"] for step in self.definition["steps"]}

    @cached_property
    def steps(self) -> list[StepView]:
        """All declared steps in their order."""
        return [self._view(number, step) for number, step in enumerate(self.definition["steps"], start=1)]

    @cached_property
    def outcome(self) -> Outcome:
        """What became of the run, in words."""
        last = {event.kind: event for event in self.events}
        return outcome(Facts(self.run, self.definition, self.rows, last, self.now))

    @cached_property
    def history(self) -> list[Line]:
        """The events as lines, oldest first; only those that tell of trouble if that was asked."""
        shown = (event for event in self.events if not self.failed_only or event.kind in TROUBLE)
        return [line_of(event, self.titles) for event in shown]

    @property
    def events_left_out(self) -> int:
        """How many earlier events the run has that were not read."""
        return max(self.run.event_count - EVENTS_SHOWN, 0) if not self.failed_only else 0

    @property
    def started_because(self) -> str:
        """The reason given at the start, "" without one."""
        return next((str(e.data.get("reason", "")) for e in self.events if e.kind == "run.accepted"), "")

    def chart(self) -> Chart:
        """Draw the timeline."""
        running = {s.name: s.since for s in self.steps if s.status == StepStatus.RUNNING and s.since}
        return draw(
            lanes_of(self.definition["steps"], self.rows, self.attempts, running=running, now=self.now),
            start=self.run.started_at or self.run.created_at,
            now=self.now,
            end=self.run.ended_at,
            expected=self.expected_at if self.run.status == RunStatus.RUNNING else None,
            due=self.run.due_at,
        )

    def step(self, name: str) -> StepView | None:
        """Return a step by name; None if the workflow has no such step."""
        return next((step for step in self.steps if step.name == name), None)

    def input_of(self, step: StepView) -> dict[str, Any]:
        """Return what the step takes, as this viewer may see it: what its edges bring, by source."""
        values: dict[str, Any] = {}
        for source in step.declared["needs"]:
            if source == "input":
                values["input"] = self.redaction.input(self.run.input)
            else:
                row = self.rows.get(source)
                values[source] = self.redaction.step_output(source, row.output) if row else None
        return values

    def _view(self, number: int, declared: Json) -> StepView:
        name = declared["name"]
        row = self.rows.get(name)
        status = StepStatus(row.status) if row else StepStatus.PENDING
        since = row.started_at if row else None
        if name == self.run.current_step:
            # A worker writes a step down when it is done; until then the run alone knows that it is under way.
            if self.run.status == RunStatus.RUNNING and status in _NOT_DONE:
                status, since = StepStatus.RUNNING, self.run.current_step_at
            elif self.run.status == RunStatus.ROLLING_BACK and status == StepStatus.SUCCEEDED:
                status, since = StepStatus.COMPENSATING, self.run.current_step_at
        return StepView(
            number=number,
            declared=declared,
            row=row,
            status=status,
            state=step_state(status, RunStatus(self.run.status)),
            attempts=[attempt for attempt in self.attempts if attempt.step == name],
            since=since,
        )


def run_page(actor: Actor, run: Run, *, failed_only: bool = False) -> RunPage:
    """Read what the page of ``run`` shows to ``actor``, who may see it. Five queries, four for a finished run."""
    definition = WorkflowVersion.objects.get(workflow=run.workflow_id, number=run.version).definition
    rows = {row.step: row for row in StepRun.objects.filter(run=run)}
    return RunPage(
        run=run,
        definition=definition,
        rows=rows,
        attempts=_attempts(run),
        events=_events(run, failed_only=failed_only),
        failed_only=failed_only,
        usual=None if run.is_final else usual_durations([run.workflow_id]).get(run.workflow_id),
        redaction=redaction_of(definition, sees_payload=may(actor, Permission.VIEW_PAYLOAD, run)),
        now=clock.now(),
    )


def _attempts(run: Run) -> list[Attempt]:
    """Return the latest attempts in order, with their errors' words but without stacks and outputs."""
    latest = (
        Attempt.objects.filter(run=run)
        .defer("error", "output")
        .annotate(code=KT("error__code"), message=KT("error__message"))
        .order_by("-id")[:ATTEMPTS_READ]
    )
    return list(reversed(latest))


def _events(run: Run, *, failed_only: bool) -> list[RunEvent]:
    """Return the latest events in order; ``failed_only`` reaches further back, but only for trouble."""
    events = RunEvent.objects.filter(run=run)
    if failed_only:
        events = events.filter(Q(kind__in=TROUBLE) | Q(kind__startswith="run."))
    return list(reversed(events.order_by("-number")[:EVENTS_SHOWN]))
