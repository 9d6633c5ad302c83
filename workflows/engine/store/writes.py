"""What a worker has to say about a run it holds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from workflows.engine.state import RunStatus, StepStatus, WaitingReason


@dataclass(slots=True)
class Claimed:
    """A run that this worker holds, with its checkpoints as they were at the claim."""

    run_id: UUID
    workflow: str
    version: int
    status: RunStatus
    input: Any
    correlation_id: str
    started_by: str
    fence: int
    undo_to_step: str
    current_step: str
    lost_count: int
    request: str
    is_child: bool
    steps: list[dict[str, Any]]


@dataclass(slots=True, kw_only=True)
class Noted:
    """Something to write. ``at``: when it was noted (monotonic seconds), which may be a while before the commit."""

    at: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class StepWrite(Noted):
    """A checkpoint to write. ``seconds``: how long it took, None to keep the times; ``retry_in``: seconds or None."""

    step: str
    position: int
    status: StepStatus
    attempts: int
    helper_attempts: int
    generation: int
    output: Any
    error: dict[str, Any] | None
    seconds: float | None = None
    retry_in: float | None = None
    undone: bool = False


@dataclass(slots=True)
class EventWrite(Noted):
    """A line for the run's history."""

    kind: str
    step: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class AttemptWrite(Noted):
    """A try that did not become a checkpoint."""

    step: str
    number: int
    kind: str
    outcome: str
    error: dict[str, Any] | None
    seconds: float
    retry_in: float | None = None


@dataclass(slots=True)
class Release:
    """How a worker leaves a run. ``wake_in``: seconds until it goes on by itself, or None."""

    status: RunStatus
    waiting_reason: WaitingReason = WaitingReason.NONE
    waiting_on: str = ""
    wake_in: float | None = None
    output: Any = None
    error: dict[str, Any] | None = None
    current_step: str = ""


@dataclass(slots=True)
class Writes:
    """What goes along with a checkpoint or a release."""

    steps: list[StepWrite] = field(default_factory=list)
    events: list[EventWrite] = field(default_factory=list)
    attempts: list[AttemptWrite] = field(default_factory=list)
