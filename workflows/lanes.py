"""A run's rows as the lanes of its timeline: tries, waits and undoings of each step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from portal.core.durations import duration_words
from workflows.engine.state import StepStatus
from workflows.gantt import Lane, Span
from workflows.models import Attempt, StepRun
from workflows.pause_words import kind_of
from workflows.presentation import StateName

_OUTCOME_STATES: dict[str, StateName] = {
    Attempt.Outcome.FAILED: StateName.FAILED,
    Attempt.Outcome.TIMED_OUT: StateName.FAILED,
    Attempt.Outcome.UNAVAILABLE: StateName.WAITING,
    Attempt.Outcome.LOST: StateName.BLOCKED,
    Attempt.Outcome.SUPERSEDED: StateName.PAUSED,
}
ATTEMPT_WORDS = {"run": "Try", "verify": "Look-up", "compensate": "Undo"}
# What the marks of the timeline mean, in the order of its legend.
LEGEND: dict[StateName, str] = {
    StateName.OK: "done",
    StateName.RUNNING: "under way",
    StateName.FAILED: "failed try",
    StateName.WAITING: "waiting",
    StateName.DEGRADED: "fell back",
    StateName.BLOCKED: "worker lost",
    StateName.PAUSED: "undone or replaced",
}
_CHECKPOINTED = frozenset(
    {
        StepStatus.SUCCEEDED,
        StepStatus.FELL_BACK,
        StepStatus.COMPENSATING,
        StepStatus.COMPENSATED,
        StepStatus.COMPENSATION_FAILED,
    }
)


def lanes_of(
    declared: Sequence[Mapping[str, Any]],
    steps: Mapping[str, StepRun],
    attempts: Iterable[Attempt],
    *,
    running: Mapping[str, datetime],
    now: datetime,
) -> list[Lane]:
    """Return one lane for each declared step, in their order.

    ``attempts`` are in order of time; ``running`` tells since when a step has been under way.
    """
    tries: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        tries[attempt.step].append(attempt)
    return [
        Lane(step["name"], _spans(step, steps.get(step["name"]), tries[step["name"]], running, now))
        for step in declared
    ]


def _spans(
    declared: Mapping[str, Any],
    row: StepRun | None,
    attempts: Sequence[Attempt],
    under_way: Mapping[str, datetime],
    now: datetime,
) -> list[Span]:
    running = under_way.get(declared["name"])
    work = [_try(attempt) for attempt in attempts]
    if row is not None:
        work += _waited(row) if kind_of(declared) else _checkpoint(row)
    if running is not None:
        work.append(Span("run", StateName.RUNNING, running, None, f"Try {len(attempts) + 1}: running"))
    spans: list[Span] = []
    for span in sorted(work, key=lambda span: span.start):
        if spans and spans[-1].end and span.start > spans[-1].end and span.kind == spans[-1].kind:
            spans.append(_wait(spans[-1].end, span.start))
        spans.append(span)
    if row is not None and row.status == StepStatus.WAITING and running is None:
        since = spans[-1].end if spans and spans[-1].end else row.started_at
        if since is not None and since < now:
            spans.append(_wait(since, None))
    return spans


def _try(attempt: Attempt) -> Span:
    start = attempt.started_at or attempt.ended_at
    took = duration_words(attempt.ended_at - start)
    outcome = attempt.get_outcome_display().lower()
    return Span(
        kind=attempt.kind,
        state=_OUTCOME_STATES[attempt.outcome],
        start=start,
        end=attempt.ended_at,
        label=f"{ATTEMPT_WORDS[attempt.kind]} {attempt.number}: {outcome} after {took}",
    )


def _checkpoint(row: StepRun) -> list[Span]:
    """Return the try that became the step's checkpoint, and its undoing. Neither is an attempt's row."""
    spans: list[Span] = []
    if row.status in _CHECKPOINTED and row.started_at and row.ended_at:
        shown = StateName.DEGRADED if row.status == StepStatus.FELL_BACK else StateName.OK
        took = duration_words(row.ended_at - row.started_at)
        spans.append(Span("run", shown, row.started_at, row.ended_at, f"Done in {took}"))
    if row.undone_at:
        spans.append(Span("compensate", StateName.PAUSED, row.undone_at, row.undone_at, "Undone"))
    return spans


def _waited(row: StepRun) -> list[Span]:
    """Return the wait that a step was, once it is over; nothing worked in it."""
    spans: list[Span] = []
    if row.status != StepStatus.WAITING and row.started_at and row.ended_at and row.ended_at > row.started_at:
        spans.append(_wait(row.started_at, row.ended_at))
    if row.undone_at:
        spans.append(Span("compensate", StateName.PAUSED, row.undone_at, row.undone_at, "Undone"))
    return spans


def _wait(start: datetime, end: datetime | None) -> Span:
    length = f" {duration_words(end - start)}" if end else ""
    return Span("wait", StateName.WAITING, start, end, f"Waited{length}" if end else "Waits")
