"""What a run does next, from its definition and its checkpoints. Pure: no database, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.definition.fan_out import FanOutStep
from workflows.definition.step import Step
from workflows.definition.values import StepKind
from workflows.definition.workflow import WorkflowDefinition
from workflows.engine.state import DONE_STEP_STATUSES, RunStatus, StepStatus

AnyStep = Step[..., Any]


@dataclass(slots=True)
class Checkpoint:
    """What is stored of a step; ``output`` as plain JSON values. ``waited``: seconds from its begin to the claim."""

    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    helper_attempts: int = 0
    generation: int = 0
    output: Any = None
    error: dict[str, Any] | None = None
    waited: float = 0.0


def is_settled(step: AnyStep, checkpoint: Checkpoint | None) -> bool:
    """Tell whether later steps may go on: the step is done, or it failed and is optional."""
    if checkpoint is None:
        return False
    return checkpoint.status in DONE_STEP_STATUSES or (
        checkpoint.status is StepStatus.FAILED and step.options.optional
    )


def next_step(order: Sequence[AnyStep], checkpoints: Mapping[str, Checkpoint]) -> AnyStep | None:
    """Return the first step that is not settled, or None when the run is through."""
    return next((step for step in order if not is_settled(step, checkpoints.get(step.name))), None)


def final_status(order: Sequence[AnyStep], checkpoints: Mapping[str, Checkpoint]) -> RunStatus:
    """Return the status of a run that is through: degraded if a step fell back, or something optional failed."""
    lacking = {StepStatus.FELL_BACK, StepStatus.FAILED}
    degraded = any(
        checkpoint.status in lacking or (isinstance(step, FanOutStep) and lacks_items(checkpoint.output))
        for step in order
        if (checkpoint := checkpoints.get(step.name))
    )
    return RunStatus.DEGRADED if degraded else RunStatus.SUCCEEDED


def lacks_items(output: Any) -> bool:
    """Tell whether items of a fan-out failed and were tolerated, by the summary that stands for its output."""
    return isinstance(output, dict) and bool(output["failed"])


def to_undo(order: Sequence[AnyStep], checkpoints: Mapping[str, Checkpoint], undo_to: str = "") -> list[AnyStep]:
    """Return the steps that a rollback undoes, in the order it undoes them: the last one first.

    :param undo_to: the step that stays done, with all before it; "" undoes everything.
    """
    undone: list[AnyStep] = []
    for step in reversed(order):
        if step.name == undo_to:
            break
        if step.compensation and _may_have_happened(step, checkpoints.get(step.name)):
            undone.append(step)
    return undone


def _may_have_happened(step: AnyStep, checkpoint: Checkpoint | None) -> bool:
    if checkpoint is None:
        return False
    if step.kind is StepKind.CHILD:  # the run that it started may have done something, whatever became of it
        return checkpoint.status not in {StepStatus.COMPENSATED, StepStatus.SKIPPED}
    if checkpoint.status in {StepStatus.SUCCEEDED, StepStatus.COMPENSATING, StepStatus.COMPENSATION_FAILED}:
        return True
    if isinstance(step, FanOutStep):  # some of its items may be done
        return checkpoint.status in {StepStatus.PENDING, StepStatus.WAITING, StepStatus.FAILED}
    return step.verification is not None and needs_finding_out(checkpoint)


def needs_finding_out(checkpoint: Checkpoint) -> bool:
    """Tell whether the step was tried and left without an outcome that is known."""
    unsettled = {StepStatus.RUNNING, StepStatus.WAITING, StepStatus.FAILED, StepStatus.UNCERTAIN}
    return checkpoint.status in unsettled and checkpoint.attempts > 0


class Values(Mapping[str, Any]):
    """The values that step functions may ask for by name: the input and the outputs so far.

    Each read makes a fresh value from what was checkpointed, so a step cannot change what another sees,
    and a resumed run sees exactly what an uninterrupted one does. What the items of a fan-out gave is no part of
    its checkpoint (there may be thousands): ``items_of`` reads it.
    """

    def __init__(
        self,
        workflow: WorkflowDefinition[Any],
        data: Any,
        checkpoints: Mapping[str, Checkpoint],
        items_of: Callable[[str], Iterable[Any]] = lambda step: (),
    ) -> None:
        self._workflow, self._input, self._checkpoints = workflow, data, checkpoints
        self._items_of = items_of

    def __getitem__(self, name: str) -> Any:
        if name == self._workflow.input_name:
            return self._workflow.input_type.model_validate(self._input)
        step = self._workflow.steps[name]
        checkpoint = self._checkpoints.get(name)
        if checkpoint is None:
            return None
        if checkpoint.output is None and (step.may_lack_output or checkpoint.status is StepStatus.SKIPPED):
            return None
        if isinstance(step, FanOutStep) and isinstance(checkpoint.output, dict):
            return step.load(list(self._items_of(name)))
        return step.load(checkpoint.output)

    def __iter__(self) -> Iterator[str]:
        return iter((self._workflow.input_name, *self._workflow.steps))

    def __len__(self) -> int:
        return 1 + len(self._workflow.steps)
