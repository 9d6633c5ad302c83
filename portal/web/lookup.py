"""What happened to one item, told so that a customer could be told: for people who answer questions, not logs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.expressions import RawSQL
from django.urls import reverse

from portal.core import audit, clock
from portal.core.access import within_reach
from portal.core.actor import Actor
from portal.core.permissions import Permission
from workflows.engine.state import RunStatus, StepStatus, WaitingReason
from workflows.models import Run, RunEvent, StepRun, WorkflowVersion
from workflows.outcome import Facts, Outcome, outcome
from workflows.presentation import State, run_state, step_state
from workflows.queries.catalogue import definition_of
from workflows.queries.fleet import fleet
from workflows.services import AvailableCommand, available_commands

LIMIT = 5
# Inputs have no index: only those of the latest runs are looked through, in about half a second.
INPUTS_READ = 50_000
SHORTEST = 3
LONGEST = 200
# What support does; the rest is on the run's page.
_OFFERED = ("resume", "rollback")

_WAITING_WORDS: dict[WaitingReason, str] = {
    WaitingReason.DEPENDENCY: "A service that we work with does not answer at the moment. Nothing is lost, and it "
    "goes on by itself as soon as the service is back. Please do not send it again.",
    WaitingReason.RETRY: "A first try did not get through. We are trying again, without you having to do anything.",
    WaitingReason.APPROVAL: "It is waiting for an approval on our side.",
    WaitingReason.CONFIGURATION: "It is held up on our side. Nothing is lost, and it goes on when that is mended.",
}
_UNSETTLED = (
    "Something did not go as it should. What you sent is kept, our team is looking at it, and nothing is done "
    "twice. Please do not send it again."
)
_WORDS: dict[RunStatus, str] = {
    RunStatus.SCHEDULED: "We have received it, and it will start shortly.",
    RunStatus.QUEUED: "We have received it, and it will start shortly.",
    RunStatus.RUNNING: "We are working on it right now.",
    RunStatus.WAITING: "We are working on it; it is waiting for its next step.",
    RunStatus.PAUSED: "It is on hold while our team looks at it. What you sent is kept.",
    RunStatus.SUCCEEDED: "It is done.",
    RunStatus.DEGRADED: "It is done. A lesser part, such as a message to you, is missing; we are looking after that.",
    RunStatus.FAILED: _UNSETTLED,
    RunStatus.ROLLING_BACK: "It is being taken back.",
    RunStatus.ROLLED_BACK: "It was taken back, and what had been done was undone.",
    RunStatus.ROLLBACK_FAILED: _UNSETTLED,
    RunStatus.CANCELLED: "It was cancelled.",
}

# A whole value of a field that is not hidden: hidden ones must not be found out by trying.
_BY_INPUT = """
    SELECT latest.id
    FROM (SELECT id, workflow_id, version, input FROM workflows_run ORDER BY id DESC LIMIT %s) AS latest
    CROSS JOIN LATERAL jsonb_each_text(latest.input) AS field
    WHERE field.value = %s AND NOT EXISTS (
        SELECT FROM workflows_workflowversion AS version
        WHERE version.workflow_id = latest.workflow_id AND version.number = latest.version
        AND version.definition -> 'input' -> 'sensitive' ? field.key
    )
"""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A step in the story."""

    title: str
    state: State
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that may be done about it now."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Story:
    """One run. ``told`` may be passed on to the customer; ``alike``: other runs that stand at the same point."""

    run: Run
    state: State
    outcome: Outcome
    told: str
    chapters: tuple[Chapter, ...]
    offers: tuple[Offer, ...]
    alike: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What a text found; ``is_short``: too short to look for."""

    text: str
    stories: tuple[Story, ...]
    is_short: bool
    inputs_read: int = INPUTS_READ


def look_up(actor: Actor, text: str) -> Finding:
    """Return the stories of the latest runs that go by ``text``, and write down who looked at them.

    By run id, idempotency key, customer or correlation id exactly, or as a whole value of an input's field that
    is not hidden. Four queries at most, and those of the audit trail.
    """
    text = text.strip()[:LONGEST]
    if len(text) < SHORTEST:
        return Finding(text, (), is_short=bool(text))
    runs = _found(actor, text)
    with transaction.atomic():
        audit.record(
            actor=actor,
            action="web.lookup.viewed",
            object_type="lookup",
            object_id=text,
            object_label=text,
            after={"runs": [str(run.pk) for run in runs]},
        )
    return Finding(text, _stories(actor, runs), is_short=False)


def customer_words(run: Run, *, is_undecided: bool = False) -> str:
    """Return what a customer may be told about a run: no names of systems, nothing that is not known."""
    if is_undecided:
        return _UNSETTLED
    if run.status == RunStatus.WAITING:
        return _WAITING_WORDS.get(WaitingReason(run.waiting_reason), _WORDS[RunStatus.WAITING])
    return _WORDS[RunStatus(run.status)]


def _found(actor: Actor, text: str) -> list[Run]:
    """Return the latest runs by ``text``, with their definition and the number of runs ``alike``.

    One query where a name finds something, else two.
    """
    here = Run.objects.filter(
        workflow=OuterRef("workflow"),
        status=OuterRef("status"),
        current_step=OuterRef("current_step"),
        waiting_reason=OuterRef("waiting_reason"),
    )
    version = WorkflowVersion.objects.filter(workflow=OuterRef("workflow"), number=OuterRef("version"))
    visible = (
        Run.objects.filter(within_reach(actor, Permission.VIEW_RUN))
        .select_related("workflow__team")
        .annotate(
            definition=Subquery(version.values("definition")[:1]),
            together=Subquery(here.order_by().values("status").annotate(n=Count("pk")).values("n")),
        )
        .order_by("-id")
    )
    return list(visible.filter(_names(text))[:LIMIT]) or list(visible.filter(pk__in=_by_input(text))[:LIMIT])


def _names(text: str) -> Q:
    named = Q(idempotency_key=text) | Q(customer_key=text) | Q(correlation_id=text)
    try:
        return named | Q(pk=UUID(text))
    except ValueError:
        return named


def _by_input(text: str) -> RawSQL:
    return RawSQL(_BY_INPUT, [INPUTS_READ, text])  # noqa: S611 - the text is a parameter


def _stories(actor: Actor, runs: Sequence[Run]) -> tuple[Story, ...]:
    steps: dict[UUID, dict[str, StepRun]] = defaultdict(dict)
    for row in StepRun.objects.filter(run__in=runs).defer("output"):
        steps[row.run_id][row.step] = row
    last: dict[UUID, dict[str, RunEvent]] = defaultdict(dict)
    for event in (
        RunEvent.objects.filter(run__in=runs).order_by("run_id", "kind", "-number").distinct("run_id", "kind")
    ):
        last[event.run_id][event.kind] = event
    silent = fleet().missing
    return tuple(_story(actor, run, steps[run.pk], last[run.pk], silent) for run in runs)


def _story(
    actor: Actor, run: Run, steps: Mapping[str, StepRun], last: Mapping[str, RunEvent], silent: Sequence[str]
) -> Story:
    definition = definition_of(run)
    undecided = any(row.status == StepStatus.UNCERTAIN for row in steps.values())
    is_in_trouble = run.status in (RunStatus.WAITING, RunStatus.FAILED, RunStatus.ROLLBACK_FAILED)
    return Story(
        run=run,
        state=run_state(run),
        outcome=outcome(Facts(run, definition, steps, last, None, silent, clock.now())),
        told=customer_words(run, is_undecided=undecided),
        chapters=tuple(_chapter(step, steps.get(step["name"]), run) for step in definition["steps"]),
        offers=tuple(_offers(available_commands(actor, run, steps.values()), run)),
        alike=getattr(run, "together", 1) - 1 if is_in_trouble else 0,
    )


def _chapter(step: Mapping[str, Any], row: StepRun | None, run: Run) -> Chapter:
    status = StepStatus(row.status) if row else StepStatus.PENDING
    return Chapter(step["title"], step_state(status, RunStatus(run.status)), row.ended_at if row else None)


def _offers(commands: Iterable[AvailableCommand], run: Run) -> Iterator[Offer]:
    for command in commands:
        if command.name in _OFFERED and command.is_possible:
            yield Offer(f"{command.label}…", reverse(f"run-{command.name}", args=[run.pk]))
