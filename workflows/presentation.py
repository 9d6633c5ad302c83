"""How states are told to people: the engine's statuses in the seven words that every page uses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from workflows.engine.state import ItemStatus, RunStatus, StepStatus, WaitingReason
from workflows.models import Run


class StateName(StrEnum):
    """The vocabulary of states; each has one colour, one icon and one shape on every page."""

    OK = "ok"
    RUNNING = "running"
    WAITING = "waiting"
    DEGRADED = "degraded"
    FAILED = "failed"
    BLOCKED = "blocked"
    PAUSED = "paused"


_ICONS: dict[StateName, str] = {
    StateName.OK: "circle-check",
    StateName.RUNNING: "circle-play",
    StateName.WAITING: "clock",
    StateName.DEGRADED: "triangle-alert",
    StateName.FAILED: "circle-x",
    StateName.BLOCKED: "ban",
    StateName.PAUSED: "circle-pause",
}


@dataclass(frozen=True, slots=True)
class State:
    """A state as shown: its place in the vocabulary and the word beside the icon."""

    name: StateName
    word: str

    @property
    def icon(self) -> str:
        """The name of the icon in the sprite."""
        return _ICONS[self.name]


# What a person ended or put aside (cancelled, undone, skipped) is shown as "paused": nothing is wrong.
RUN_STATES: dict[RunStatus, State] = {
    RunStatus.SCHEDULED: State(StateName.WAITING, "Scheduled"),
    RunStatus.QUEUED: State(StateName.WAITING, "Queued"),
    RunStatus.RUNNING: State(StateName.RUNNING, "Running"),
    RunStatus.WAITING: State(StateName.WAITING, "Waiting"),
    RunStatus.PAUSED: State(StateName.PAUSED, "Paused"),
    RunStatus.SUCCEEDED: State(StateName.OK, "Succeeded"),
    RunStatus.DEGRADED: State(StateName.DEGRADED, "Degraded"),
    RunStatus.FAILED: State(StateName.FAILED, "Failed"),
    RunStatus.ROLLING_BACK: State(StateName.RUNNING, "Rolling back"),
    RunStatus.ROLLED_BACK: State(StateName.PAUSED, "Rolled back"),
    RunStatus.ROLLBACK_FAILED: State(StateName.FAILED, "Rollback failed"),
    RunStatus.CANCELLED: State(StateName.PAUSED, "Cancelled"),
}

STEP_STATES: dict[StepStatus, State] = {
    StepStatus.PENDING: State(StateName.WAITING, "Not started"),
    StepStatus.RUNNING: State(StateName.RUNNING, "Running"),
    StepStatus.WAITING: State(StateName.WAITING, "Waiting"),
    StepStatus.SUCCEEDED: State(StateName.OK, "Done"),
    StepStatus.FELL_BACK: State(StateName.DEGRADED, "Fell back"),
    StepStatus.SKIPPED: State(StateName.PAUSED, "Skipped"),
    StepStatus.FAILED: State(StateName.FAILED, "Failed"),
    StepStatus.UNCERTAIN: State(StateName.DEGRADED, "Uncertain"),
    StepStatus.COMPENSATING: State(StateName.RUNNING, "Undoing"),
    StepStatus.COMPENSATED: State(StateName.PAUSED, "Undone"),
    StepStatus.COMPENSATION_FAILED: State(StateName.FAILED, "Undo failed"),
}

_ITEM_STATES: dict[ItemStatus, State] = {
    ItemStatus.PENDING: State(StateName.WAITING, "To do"),
    ItemStatus.RUNNING: State(StateName.RUNNING, "In hand"),
    ItemStatus.SUCCEEDED: State(StateName.OK, "Done"),
    ItemStatus.FAILED: State(StateName.FAILED, "Failed"),
    ItemStatus.SKIPPED: State(StateName.PAUSED, "Skipped"),
    ItemStatus.COMPENSATED: State(StateName.PAUSED, "Undone"),
}

DONE_WITH_GAPS = State(StateName.DEGRADED, "Done with gaps")
AT_ITEMS = State(StateName.RUNNING, "Running")
_BLOCKED = State(StateName.BLOCKED, "Blocked")
_NOT_REACHED = State(StateName.PAUSED, "Not reached")
_BLOCKING = frozenset({RunStatus.FAILED, RunStatus.ROLLBACK_FAILED})
_STOPPED = frozenset({RunStatus.ROLLED_BACK, RunStatus.CANCELLED, RunStatus.ROLLING_BACK})


def run_state(run: Run) -> State:
    """Return the state that a run is shown in. One that waits for its items is at work, if not in one hand."""
    if run.waiting_reason == WaitingReason.ITEMS:
        return AT_ITEMS
    return RUN_STATES[RunStatus(run.status)]


def item_state(status: ItemStatus, *, is_again: bool) -> State:
    """Return the state of an item of a fan-out; ``is_again``: a try of it has failed before."""
    if status == ItemStatus.PENDING and is_again:
        return State(StateName.WAITING, "Tries again")
    return _ITEM_STATES[status]


def short_id(run_id: UUID) -> str:
    """Return the end of a run's id, for lists: the beginning is a time, which neighbours share."""
    return str(run_id)[-8:]


_WAITING_WORDS: dict[WaitingReason, str] = {
    WaitingReason.RETRY: "for its next try",
    WaitingReason.TIMER: "for a set time",
    WaitingReason.EVENT: "for an event",
    WaitingReason.APPROVAL: "for a person",
    WaitingReason.DEPENDENCY: "for a service",
    WaitingReason.LOCK: "for another run",
    WaitingReason.CAPACITY: "for capacity",
    WaitingReason.CONFIGURATION: "for configuration",
    WaitingReason.ITEMS: "for its items",
}


def waiting_words(run: Run) -> str:
    """Return what a waiting run waits for: "for payments-gateway"; "" for a run that does not wait."""
    if run.waiting_reason == WaitingReason.DEPENDENCY and run.waiting_on:
        return f"for {run.waiting_on}"
    if run.waiting_reason == WaitingReason.ITEMS:
        return f"items {run.waiting_on}"  # "items 4200 of 10000 done"
    if run.waiting_reason == WaitingReason.APPROVAL and run.waiting_on.startswith("approval by "):
        return f"for {run.waiting_on}"
    if run.waiting_reason == WaitingReason.EVENT and run.waiting_on:
        return f"for {run.waiting_on}"
    words = _WAITING_WORDS.get(WaitingReason(run.waiting_reason), "")
    return f"{words}: {run.waiting_on}" if words and run.waiting_on else words


def step_state(status: StepStatus, run_status: RunStatus) -> State:
    """Return the state of a step; one that was not reached is blocked if the run failed before it."""
    if status == StepStatus.PENDING:
        if run_status in _BLOCKING:
            return _BLOCKED
        if run_status in _STOPPED:
            return _NOT_REACHED
    return STEP_STATES[status]
