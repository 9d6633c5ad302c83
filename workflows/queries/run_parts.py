"""The parts of a run's page: one step, what it took and gave, and what went wrong in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from portal.core.durations import duration_words
from workflows import step_words
from workflows.engine.plan import lacks_items
from workflows.engine.state import StepStatus
from workflows.lanes import ATTEMPT_WORDS
from workflows.models import Attempt, StepRun
from workflows.presentation import State

Json = Mapping[str, Any]
ATTEMPTS_SHOWN = 50
ELEMENTS_SHOWN = 20


def shortened(value: Any) -> Any:
    """Return a JSON value with only the beginning of each long list: a page is no place for thousands of items."""
    if isinstance(value, dict):
        return {name: shortened(part) for name, part in value.items()}
    if not isinstance(value, list):
        return value
    shown = [shortened(part) for part in value[:ELEMENTS_SHOWN]]
    more = len(value) - len(shown)
    return [*shown, f"… and {more} more"] if more > 0 else shown


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
    def is_waiting(self) -> bool:
        """Whether it waits for its next try."""
        return self.status == StepStatus.WAITING and not self.has_items

    @property
    def has_items(self) -> bool:
        """Whether it is done once for each item of a list."""
        return "each" in self.declared

    @property
    def lacks_items(self) -> bool:
        """Whether items of it failed and were tolerated."""
        return self.has_items and self.row is not None and lacks_items(self.row.output)

    @property
    def each_words(self) -> str:
        """Over what it goes, how many at a time, and how many may fail."""
        return step_words.each_words(self.declared) if self.has_items else ""

    @property
    def latest_attempts(self) -> list[tuple[str, Attempt]]:
        """The attempts with their names, the latest first."""
        latest = reversed(self.attempts[-ATTEMPTS_SHOWN:])
        return [(f"{ATTEMPT_WORDS[attempt.kind]} {attempt.number}", attempt) for attempt in latest]

    @property
    def summary(self) -> str:
        """State, tries and duration in a few words, for those who cannot see the bars."""
        parts = [self.state.word]
        if self.tries > 1:
            parts.append(f"{self.tries} tries")
        if self.took is not None:
            parts.append(f"took {duration_words(self.took)}")
        return ", ".join([*parts, self.message] if self.message else parts)

    @property
    def effect_words(self) -> str:
        """Where the step has its effect."""
        return step_words.effect_words(self.declared)

    @property
    def promise(self) -> str:
        """What is promised when a worker dies in it."""
        return step_words.promise(self.declared)

    @property
    def retry_words(self) -> str:
        """How often it is tried."""
        return step_words.retry_words(self.declared)

    @property
    def undo_words(self) -> str:
        """Whether a rollback undoes it, or has."""
        return step_words.undo_words(self.declared, is_undone=self.status == StepStatus.COMPENSATED)

    @property
    def no_output_words(self) -> str:
        """Why there is no output."""
        done = {StepStatus.SUCCEEDED, StepStatus.FELL_BACK, StepStatus.COMPENSATED}
        return "This step returns nothing." if self.status in done else f"None: {self.state.word.lower()}."

    @property
    def message(self) -> str:
        """The latest error in one line, "" without one."""
        return str((self.row.error or {}).get("message", "")) if self.row else ""


@dataclass(frozen=True, slots=True)
class InputPart:
    """What one edge brings to a step."""

    title: str
    value: Any


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a stack. ``in_app``: of a flow, not of the engine or a library."""

    file: str
    line: int
    function: str
    code: str
    in_app: bool


@dataclass(frozen=True, slots=True)
class ErrorView:
    """An error as one viewer may see it."""

    type: str
    message: str
    chain: Sequence[Json]
    context: Json
    frames: Sequence[Frame]
    stack_is_hidden: bool


def error_view(error: Json, *, sees_payload: bool) -> ErrorView:
    """Return an error; without the right to see payloads neither its stack nor its context, which quote values."""
    stack = [Frame(**frame) for frame in error.get("stack", [])]
    return ErrorView(
        type=error.get("type", ""),
        message=error.get("message", "") or error.get("type", ""),
        chain=error.get("chain", []),
        context=error.get("context", {}) if sees_payload else {},
        frames=stack if sees_payload else [],
        stack_is_hidden=bool(stack) and not sees_payload,
    )


@dataclass(frozen=True, slots=True)
class Drawer:
    """One step in full. ``hides_values``: something it takes or gives is not shown to this viewer."""

    step: StepView
    inputs: Sequence[InputPart]
    output: Any
    error: ErrorView | None
    hides_values: bool
    previous: StepView | None
    next: StepView | None
