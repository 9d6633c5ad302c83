"""What a pausing step's handler answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workflows.engine.state import StepStatus, WaitingReason
from workflows.errors import WorkflowError

if TYPE_CHECKING:
    from workflows.engine.session import Session


@dataclass(frozen=True, slots=True)
class Settled:
    """The wait is over. ``output``: plain JSON values; ``told``: what the run's history says of it."""

    output: Any = None
    status: StepStatus = StepStatus.SUCCEEDED
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """The run waits ``on`` something (in words); it is asked again after ``wake_in`` seconds, None: when woken."""

    reason: WaitingReason
    on: str
    wake_in: float | None = None
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """What the step waits for will not come, and that ends the run as cancelled."""

    error: WorkflowError


Verdict = Settled | Pending | Ended
Handler = Callable[["Session", Any], Verdict]
