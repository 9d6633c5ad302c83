"""Everything that the page of one run shows, read in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db.models import F, Q
from django.db.models.fields.json import KT

from portal.core import clock
from portal.core.access import may
from portal.core.actor import Actor
from portal.core.permissions import Permission
from workflows.engine.plan import lacks_items
from workflows.engine.state import RunStatus, StepStatus, WaitingReason
from workflows.gantt import Bar, Chart, draw
from workflows.history import TROUBLE, Line, line_of, waiting_since
from workflows.lanes import LEGEND, lanes_of
from workflows.locks.queries import Place, place_in_queue
from workflows.models import ApprovalRequest, Attempt, Run, RunEvent, StepRun, WorkflowVersion
from workflows.outcome import Facts, Outcome, outcome, plain
from workflows.presentation import AT_ITEMS, DONE_WITH_GAPS, State, StateName, run_state, short_id, step_state
from workflows.queries.approvals import open_request
from workflows.queries.family import Family, family_of
from workflows.queries.fleet import fleet
from workflows.queries.run_parts import Drawer, InputPart, StepView, error_view, shortened
from workflows.queries.runs import Usual, duration_of, is_under_way, usual_durations
from workflows.redaction import Redaction, redaction_of
from workflows.under_way import is_at_items, steps_under_way

Json = Mapping[str, Any]
EVENTS_SHOWN = 200
CHANGES_SHOWN = 8
ATTEMPTS_READ = 1000
_TROUBLE = frozenset({StepStatus.FAILED, StepStatus.UNCERTAIN, StepStatus.COMPENSATION_FAILED})
_NEEDS_OTHERS = frozenset({RunStatus.QUEUED, RunStatus.WAITING})
_NOT_DONE = frozenset({StepStatus.PENDING, StepStatus.WAITING, StepStatus.FAILED})


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
    silent: Sequence[str]
    redaction: Redaction
    now: datetime
    queue: Place | None = None
    request: ApprovalRequest | None = None
    family: Family | None = None

    @property
    def short_id(self) -> str:
        """The end of the run's id."""
        return short_id(self.run.pk)

    @property
    def announcement(self) -> str:
        """What a screen reader is told when it changes: the state, and the outcome of a run that ended."""
        words = plain(self.outcome.headline) if self.run.is_final else self.state.word
        return f"Run {self.short_id}: {words}"

    @property
    def is_late(self) -> bool:
        """Whether it took, or has already taken, longer than promised."""
        return self.run.due_at is not None and (self.run.ended_at or self.now) > self.run.due_at

    @property
    def input(self) -> Any:
        """The run's input, as this viewer may see it."""
        return shortened(self.redaction.input(self.run.input))

    @property
    def output(self) -> Any:
        """The run's output, as this viewer may see it."""
        return shortened(self.redaction.run_output(self.run.output))

    @property
    def state(self) -> State:
        """The run's state."""
        return AT_ITEMS if self._is_at_items else run_state(self.run)

    @property
    def duration(self) -> timedelta | None:
        """How long the run took, or has been under way."""
        return duration_of(self.run, self.now)

    @property
    def expected_at(self) -> datetime | None:
        """When half of the runs like it would be done; None if that is not known, or it does not run."""
        if self.usual is None or self.run.started_at is None or self.run.status != RunStatus.RUNNING:
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
        facts = Facts(
            run=self.run,
            definition=self.definition,
            steps=self.rows,
            last={event.kind: event for event in self.events},
            waiting_since=waiting_since(self.events),
            silent=self.silent,
            now=self.now,
            queue=self.queue,
            fallbacks={event.step: event.data for event in self.events if event.kind == "step.fell_back"},
        )
        return outcome(facts)

    @cached_property
    def history(self) -> list[Line]:
        """The events as lines, the latest first; only those that tell of trouble if that was asked."""
        shown = (event for event in reversed(self.events) if not self.failed_only or event.kind in TROUBLE)
        return [line_of(event, self.titles) for event in shown]

    @property
    def events_left_out(self) -> int:
        """How many earlier events the run has that were not read."""
        return max(self.run.event_count - EVENTS_SHOWN, 0) if not self.failed_only else 0

    @property
    def started_because(self) -> str:
        """The reason given at the start, "" without one."""
        return next((str(e.data.get("reason", "")) for e in self.events if e.kind == "run.accepted"), "")

    @property
    def step_in_trouble(self) -> str:
        """The step that a reader asks about first: one in trouble, or at whose items workers are; "" without one."""
        at_items = self.run.current_step if self._is_at_items else ""
        return next((step.name for step in self.steps if step.status in _TROUBLE or step.lacks_items), at_items)

    @property
    def _is_at_items(self) -> bool:
        return is_at_items(self.run, self.definition, self.rows)

    @cached_property
    def lanes(self) -> list[tuple[StepView, tuple[Bar, ...]]]:
        """Each step with the bars of its lane."""
        return [(step, self.chart.bars[step.name]) for step in self.steps]

    @property
    def legend(self) -> list[tuple[StateName, str]]:
        """The marks that the timeline shows, with what they mean."""
        shown = {bar.state for bars in self.chart.bars.values() for bar in bars}
        return [(state, words) for state, words in LEGEND.items() if state in shown]

    @cached_property
    def chart(self) -> Chart:
        """The timeline."""
        running = {s.name: s.since for s in self.steps if s.status == StepStatus.RUNNING and s.since}
        return draw(
            lanes_of(self.definition["steps"], self.rows, self.attempts, running=running, now=self.now),
            start=self.run.started_at or self.run.created_at,
            now=self.now,
            end=self.run.ended_at,
            expected=self.expected_at,
            due=self.run.due_at,
        )

    def drawer(self, name: str) -> Drawer | None:
        """Return one step in full; None if the workflow has no such step."""
        place = next((i for i, step in enumerate(self.steps) if step.name == name), None)
        if place is None:
            return None
        step, row = self.steps[place], self.rows.get(name)
        error = row.error if row else None
        return Drawer(
            step=step,
            inputs=[self._brought_by(source) for source in step.declared["needs"]],
            output=shortened(self.redaction.step_output(name, row.output)) if row else None,
            error=error_view(error, sees_payload=self.redaction.sees_payload) if error else None,
            hides_values=self._hides_values_of(step),
            previous=self.steps[place - 1] if place else None,
            next=self.steps[place + 1] if place + 1 < len(self.steps) else None,
        )

    def _hides_values_of(self, step: StepView) -> bool:
        if self.redaction.sees_payload:
            return False
        fields = [self.redaction.step_fields.get(name) for name in (step.name, *step.declared["needs"])]
        return any(fields) or ("input" in step.declared["needs"] and bool(self.redaction.input_fields))

    def _brought_by(self, source: str) -> InputPart:
        if source == "input":
            return InputPart("Input of the run", shortened(self.redaction.input(self.run.input)))
        row = self.rows.get(source)
        value = self.redaction.step_output(source, row.output) if row else None
        return InputPart(f"From {self.titles[source]}", shortened(value))

    @cached_property
    def under_way(self) -> list[str]:
        """The steps that the worker may be at."""
        return steps_under_way(self.run, self.definition, self.now)

    def _is_being_undone(self, name: str, status: StepStatus) -> bool:
        is_here = self.run.status == RunStatus.ROLLING_BACK and name == self.run.current_step
        return is_here and status == StepStatus.SUCCEEDED

    def _view(self, number: int, declared: Json) -> StepView:
        name = declared["name"]
        row = self.rows.get(name)
        status = StepStatus(row.status) if row else StepStatus.PENDING
        since = row.started_at if row else None
        # A worker writes a step down when it is done; until then the run alone knows that it is under way.
        if name in self.under_way and status in _NOT_DONE:
            status, since = StepStatus.RUNNING, self.run.current_step_at
        elif self._is_at_items and name == self.run.current_step:
            status = StepStatus.RUNNING
        elif self._is_being_undone(name, status):
            status, since = StepStatus.COMPENSATING, self.run.current_step_at
        has_gaps = "each" in declared and row is not None and lacks_items(row.output)
        return StepView(
            number=number,
            declared=declared,
            row=row,
            status=status,
            state=DONE_WITH_GAPS if has_gaps else step_state(status, RunStatus(self.run.status)),
            attempts=[attempt for attempt in self.attempts if attempt.step == name],
            since=since,
        )


def version_token(run: Run) -> str:
    """Return a word that changes when the page of ``run`` would look different.

    What goes on also looks different as time goes by: bars grow every two seconds, waits every ten.
    """
    is_busy = is_under_way(run) or run.waiting_reason == WaitingReason.ITEMS
    seconds = 0 if run.is_final else 2 if is_busy else 10
    tick = int(clock.now().timestamp()) // seconds if seconds else 0
    return f"{run.event_count}.{run.status}.{run.current_step}.{run.request}.{tick}"


def run_page(actor: Actor, run: Run, *, failed_only: bool = False) -> RunPage:
    """Read what the page of ``run`` shows to ``actor``, who may see it.

    At most five queries; one more each for a question and for runs above and below it, two more in a queue.
    """
    definition, rows = declared_steps(run), step_rows(run)
    return RunPage(
        run=run,
        definition=definition,
        rows=rows,
        attempts=_attempts(run),
        events=_events(run, failed_only=failed_only),
        failed_only=failed_only,
        usual=usual_durations([run.workflow_id]).get(run.workflow_id) if is_under_way(run) else None,
        silent=fleet().missing if run.status in _NEEDS_OTHERS else [],
        redaction=redaction_of(definition, sees_payload=may(actor, Permission.VIEW_PAYLOAD, run)),
        now=clock.now(),
        queue=place_in_queue(actor, run) if run.waiting_reason == WaitingReason.LOCK else None,
        request=open_request(run),
        family=family_of(actor, run, definition),
    )


def declared_steps(run: Run) -> dict[str, Any]:
    """Return the definition of the run's version, as it was when the run was made."""
    definition: dict[str, Any] = WorkflowVersion.objects.get(workflow=run.workflow_id, number=run.version).definition
    return definition


def step_rows(run: Run) -> dict[str, StepRun]:
    """Return the checkpoints of a run by step."""
    return {row.step: row for row in StepRun.objects.filter(run=run)}


def latest_output_fields(run: Run, step: str) -> list[str]:
    """Return the names of the fields that ``step`` gave in the workflow's latest success; [] if not known."""
    done = Run.objects.filter(workflow=run.workflow_id, version=run.version, status=RunStatus.SUCCEEDED)
    latest = done.order_by("-id").values("pk")[:1]
    output = StepRun.objects.filter(run__in=latest, step=step).values_list("output", flat=True).first()
    return list(output) if isinstance(output, dict) else []


def changes_since(run: Run, number: int) -> list[Line]:
    """Return what has happened to the run since its event ``number``, in words, the earliest first."""
    titles = {step["name"]: step["title"] for step in declared_steps(run)["steps"]}
    events = RunEvent.objects.filter(run=run, number__gt=number).order_by("number")
    return [line_of(event, titles) for event in events[:CHANGES_SHOWN]]


def _attempts(run: Run) -> list[Attempt]:
    """Return the latest attempts in order, with their errors' words but without stacks and outputs."""
    latest = (
        Attempt.objects.filter(run=run)
        .defer("error", "output")
        .annotate(code=KT("error__code"), message=KT("error__message"), took=F("ended_at") - F("started_at"))
        .order_by("-id")[:ATTEMPTS_READ]
    )
    return list(reversed(latest))


def _events(run: Run, *, failed_only: bool) -> list[RunEvent]:
    """Return the latest events in order; ``failed_only`` reaches further back, but only for trouble."""
    events = RunEvent.objects.filter(run=run)
    if failed_only:
        events = events.filter(Q(kind__in=TROUBLE) | Q(kind__startswith="run."))
    return list(reversed(events.order_by("-number")[:EVENTS_SHOWN]))
