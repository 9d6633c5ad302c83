"""The states of runs and steps, and the one table of each that says which may follow which.

Pure: imports no Django. The page, the API, bulk commands, the runner and the CHECK constraints all use these.
"""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run is."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    DEGRADED = "degraded"
    FAILED = "failed"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    CANCELLED = "cancelled"


class WaitingReason(StrEnum):
    """Why a waiting run waits; "" for a run that does not."""

    NONE = ""
    RETRY = "retry"
    TIMER = "timer"
    EVENT = "event"
    APPROVAL = "approval"
    DEPENDENCY = "dependency"
    LOCK = "lock"
    CAPACITY = "capacity"
    CONFIGURATION = "configuration"
    ITEMS = "items"


class StepStatus(StrEnum):
    """Where a step of a run is. A step that was never reached has no row and counts as pending."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FELL_BACK = "fell_back"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"


class ItemStatus(StrEnum):
    """Where an item of a fan-out is. Skipped: there is no item, because a step before this one failed at it."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    COMPENSATED = "compensated"


class Request(StrEnum):
    """What a person asked of a run that a worker holds; the worker obeys at its next checkpoint."""

    NONE = ""
    PAUSE = "pause"
    CANCEL = "cancel"


_R, _S = RunStatus, StepStatus

RUN_TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    _R.SCHEDULED: frozenset({_R.QUEUED, _R.CANCELLED}),
    _R.QUEUED: frozenset({_R.RUNNING, _R.WAITING, _R.PAUSED, _R.CANCELLED, _R.ROLLING_BACK}),
    _R.RUNNING: frozenset({_R.QUEUED, _R.WAITING, _R.PAUSED, _R.SUCCEEDED, _R.DEGRADED, _R.FAILED, _R.CANCELLED}),
    _R.WAITING: frozenset({_R.QUEUED, _R.PAUSED, _R.FAILED, _R.CANCELLED, _R.ROLLING_BACK}),
    _R.PAUSED: frozenset({_R.QUEUED, _R.CANCELLED, _R.ROLLING_BACK, _R.FAILED}),
    _R.FAILED: frozenset({_R.QUEUED, _R.CANCELLED, _R.ROLLING_BACK}),
    _R.SUCCEEDED: frozenset({_R.QUEUED, _R.ROLLING_BACK}),
    _R.DEGRADED: frozenset({_R.QUEUED, _R.ROLLING_BACK}),
    _R.ROLLING_BACK: frozenset({_R.ROLLED_BACK, _R.ROLLBACK_FAILED, _R.PAUSED}),
    _R.ROLLBACK_FAILED: frozenset({_R.ROLLING_BACK, _R.CANCELLED}),
    _R.ROLLED_BACK: frozenset({_R.QUEUED}),
    _R.CANCELLED: frozenset({_R.QUEUED, _R.ROLLING_BACK}),
}

# What a rollback may write of a step whose outcome was not known: it looks, and undoes what it finds, in one go.
_FOUND_AND_UNDONE = frozenset({_S.COMPENSATED, _S.COMPENSATION_FAILED})

STEP_TRANSITIONS: dict[StepStatus, frozenset[StepStatus]] = {
    _S.PENDING: frozenset({_S.RUNNING, _S.WAITING, _S.SUCCEEDED, _S.FELL_BACK, _S.SKIPPED, _S.FAILED, _S.UNCERTAIN}),
    _S.RUNNING: frozenset({_S.PENDING, _S.WAITING, _S.SUCCEEDED, _S.FELL_BACK, _S.FAILED, _S.UNCERTAIN})
    | _FOUND_AND_UNDONE,
    _S.WAITING: frozenset({_S.PENDING, _S.RUNNING, _S.SUCCEEDED, _S.FELL_BACK, _S.SKIPPED, _S.FAILED, _S.UNCERTAIN})
    | _FOUND_AND_UNDONE,
    _S.FAILED: frozenset({_S.PENDING, _S.SKIPPED}) | _FOUND_AND_UNDONE,
    _S.UNCERTAIN: frozenset({_S.PENDING, _S.SUCCEEDED, _S.SKIPPED, _S.FAILED}) | _FOUND_AND_UNDONE,
    _S.SUCCEEDED: frozenset({_S.PENDING, _S.COMPENSATING, _S.COMPENSATED, _S.COMPENSATION_FAILED}),
    _S.FELL_BACK: frozenset({_S.PENDING, _S.COMPENSATING, _S.COMPENSATED, _S.COMPENSATION_FAILED}),
    _S.SKIPPED: frozenset({_S.PENDING}),
    _S.COMPENSATING: frozenset({_S.COMPENSATED, _S.COMPENSATION_FAILED}),
    _S.COMPENSATED: frozenset({_S.PENDING}),
    _S.COMPENSATION_FAILED: frozenset({_S.COMPENSATING, _S.COMPENSATED}),
}

# A run in one of these does nothing more by itself.
FINAL_RUN_STATUSES = frozenset(
    {_R.SUCCEEDED, _R.DEGRADED, _R.FAILED, _R.ROLLED_BACK, _R.ROLLBACK_FAILED, _R.CANCELLED}
)
# Later steps may go on after a step in one of these.
DONE_STEP_STATUSES = frozenset({_S.SUCCEEDED, _S.FELL_BACK, _S.SKIPPED})


def may_become(old: RunStatus, new: RunStatus) -> bool:
    """Tell whether a run in ``old`` may go to ``new``."""
    return new in RUN_TRANSITIONS[old]


def step_may_become(old: StepStatus, new: StepStatus) -> bool:
    """Tell whether a step in ``old`` may go to ``new``."""
    return new in STEP_TRANSITIONS[old]
