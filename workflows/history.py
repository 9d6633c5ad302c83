"""A run's history in words: what each event says to a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from portal.core.durations import duration_words
from workflows.models import RunEvent
from workflows.presentation import StateName

Json = Mapping[str, Any]
_OK, _RUN, _WAIT, _AMBER, _BAD, _STOP = (
    StateName.OK,
    StateName.RUNNING,
    StateName.WAITING,
    StateName.DEGRADED,
    StateName.FAILED,
    StateName.PAUSED,
)

_WORDS: dict[str, tuple[StateName, str]] = {
    "run.accepted": (_WAIT, "Accepted"),
    "run.reclaimed": (_AMBER, "Worker lost, run taken over"),
    "run.waiting": (_WAIT, "Waits"),
    "run.resumed": (_RUN, "Resumed"),
    "run.pause_requested": (_STOP, "Pause asked for"),
    "run.cancel_requested": (_STOP, "Cancellation asked for"),
    "run.paused": (_STOP, "Paused"),
    "run.cancelled": (_STOP, "Cancelled"),
    "run.succeeded": (_OK, "Succeeded"),
    "run.degraded": (_AMBER, "Finished with gaps"),
    "run.failed": (_BAD, "Failed"),
    "run.rollback_started": (_RUN, "Rollback started"),
    "run.rolled_back": (_STOP, "Rolled back"),
    "run.rollback_failed": (_BAD, "Rollback stopped"),
    "step.succeeded": (_OK, "done"),
    "step.failed": (_BAD, "failed"),
    "step.retry_scheduled": (_AMBER, "failed and will be tried again"),
    "step.unavailable": (_WAIT, "found its service unavailable"),
    "step.at_capacity": (_WAIT, "waits for its turn"),
    "step.awaits_lock": (_WAIT, "waits for its lock"),
    "step.lock_lost": (_AMBER, "had its lock broken by a person"),
    "step.waiting": (_WAIT, "waits"),
    "step.approved": (_OK, "approved"),
    "step.rejected": (_STOP, "rejected"),
    "step.reminded": (_AMBER, "has not been answered in time"),
    "step.skipped": (_STOP, "skipped"),
    "step.fell_back": (_AMBER, "used its fallback"),
    "step.asked": (_WAIT, "asks a person"),
    "step.uncertain": (_AMBER, "left it uncertain whether it happened"),
    "step.verified": (_OK, "verified"),
    "step.decided": (_OK, "decided by a person"),
    "step.reset": (_STOP, "set back, to run again"),
    "step.compensated": (_STOP, "undone"),
    "step.compensation_failed": (_BAD, "could not be undone"),
}
_WAITS = frozenset(
    {"step.unavailable", "step.awaits_lock", "step.at_capacity", "step.waiting", "step.reminded", "run.waiting"}
)
# What a reader looks for who asks what went wrong.
TROUBLE = tuple(kind for kind, (state, _) in _WORDS.items() if state in {_BAD, _AMBER})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the history. ``details`` are short facts, ``until`` a moment that the event announces."""

    number: int
    at: datetime
    state: StateName
    words: str
    step: str
    message: str
    details: tuple[str, ...]
    until: datetime | None


def line_of(event: RunEvent, titles: Mapping[str, str]) -> Line:
    """Return an event as a line; ``titles`` are those of the steps by name. An unknown kind is shown as it is."""
    state, words = _WORDS.get(event.kind, (StateName.WAITING, event.kind))
    data: Json = event.data
    if event.step:
        title = titles.get(event.step, event.step)
        of_step = _of_helper(data) or _of_wait(event) or words
        words = f"{words} at {title}" if event.kind.startswith("run.") else f"{title} {of_step}"
    error = data.get("error") or {}
    return Line(
        number=event.number,
        at=event.at,
        state=state,
        words=words + _by(data),
        step=event.step,
        message=_message(event, error),
        details=tuple(_details(data, error)),
        until=_next_try(event),
    )


def _of_helper(data: Json) -> str:
    """Say what is tried again when it is not the step's own body; "" when it is."""
    if data.get("verifying"):
        return "could not be looked up, which will be tried again"
    return "could not be undone yet, which will be tried again" if data.get("compensating") else ""


def _of_wait(event: RunEvent) -> str:
    """Say what a step waits for, or that it did not come; "" for any other event."""
    if event.data.get("timed_out"):
        return f"went on without {event.data.get('event')} for {event.data.get('key')}, which did not come in time"
    if event.kind != "step.waiting":
        return ""
    on = event.data.get("on", "")
    if event.data.get("reason") == "items":
        return f"is done for each of {event.data.get('items')} items"
    return "sleeps" if event.data.get("reason") == "timer" else f"waits for {on}" if on else ""


def _message(event: RunEvent, error: Json) -> str:
    data: Json = event.data
    if event.kind in {"step.waiting", "step.reminded", "step.asked"}:
        return str(data.get("question") or "")
    return str(data.get("reason") or error.get("message") or "")


def _by(data: Json) -> str:
    return f" by {data['actor']}" if data.get("actor") else ""


def _details(data: Json, error: Json) -> list[str]:
    details = []
    if data.get("attempt"):
        details.append(f"try {data['attempt']}" + (f" of {data['of']}" if data.get("of") else ""))
    if error.get("type"):
        details.append(str(error["type"]))
    if data.get("dependency"):
        details.append(str(data["dependency"]))
    if data.get("fallback"):
        details.append(str(data["fallback"]))
    if data.get("age_seconds") is not None:
        details.append(f"{duration_words(timedelta(seconds=data['age_seconds']))} old")
    if data.get("lock"):
        details.append(str(data["lock"]))
    if data.get("event_id"):
        details.append(f"event {data['event_id']}")
    if data.get("duration_ms") is not None:
        details.append(duration_words(timedelta(milliseconds=data["duration_ms"])))
    if data.get("worker"):
        details.append(f"worker {data['worker']}")
    return details


def _next_try(event: RunEvent) -> datetime | None:
    seconds = event.data.get("retry_in_seconds")
    return None if seconds is None else event.at + timedelta(seconds=seconds)


def waiting_since(events: Sequence[RunEvent]) -> datetime | None:
    """Return when the wait began with which the history ends: the first of its unbroken row of failed looks."""
    since = None
    for event in reversed(events):
        if event.kind in _WAITS:
            since = event.at
        elif event.kind != "run.reclaimed":
            break
    return since
