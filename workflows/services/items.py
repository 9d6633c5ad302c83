"""What commands do to the items of a fan-out: take up those that failed though the run went on without them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from portal.core.errors import InvalidTransition
from workflows.definition import registry
from workflows.definition.fan_out import FanOutStep
from workflows.definition.values import Effect
from workflows.engine.plan import AnyStep
from workflows.engine.state import ItemStatus, RunStatus, StepStatus
from workflows.gaps import gap_of
from workflows.models import Run, StepItem, StepRun
from workflows.services.commands import Command


def has_items_done(checkpoint: StepRun) -> bool:
    """Tell whether an item of this fan-out is done, though the step as a whole may not be."""
    return StepItem.objects.filter(run=checkpoint.run_id, step=checkpoint.step, status=ItemStatus.SUCCEEDED).exists()


def steps_lacking_items(run: Run, rows: Iterable[StepRun]) -> list[str]:
    """Return the steps of a degraded run whose items failed and were tolerated, in no order."""
    if run.status != RunStatus.DEGRADED:
        return []
    return [row.step for row in rows if (gap := gap_of(row)) and gap.what == "items"]


def take_up_failed_items(doing: Command) -> None:
    """Queue a degraded run to do the items that failed, and again what follows from them.

    Of a following fan-out only the items are done that now have something to do. Any other following step is done
    again as a new operation, because what it is given has changed.

    :raises InvalidTransition: if a following step has committed an effect that must not happen twice.
    """
    lacking = steps_lacking_items(doing.run, doing.steps.values())
    problem = why_not_taken_up(doing.definition, lacking, doing.steps)
    if problem:
        raise InvalidTransition(f"{problem}.")
    doing.set_status(RunStatus.QUEUED)
    doing.run.current_step = next(step.name for step in doing.definition.plan.order if step.name in lacking)
    doing.run.output = None
    for step in _done_again(doing.definition, lacking, doing.steps):
        checkpoint = doing.steps[step.name]
        if not isinstance(step, FanOutStep) and _is_done(checkpoint):
            checkpoint.generation += 1
        if checkpoint.status != StepStatus.PENDING:
            doing.set_step(checkpoint, StepStatus.PENDING)
        checkpoint.attempts, checkpoint.output, checkpoint.error, checkpoint.ended_at = 0, None, None, None
        doing.save_step(checkpoint)


def why_not_taken_up(
    definition: registry.Definition, lacking: Iterable[str], checkpoints: Mapping[str, StepRun]
) -> str:
    """Return what keeps the failed items of these steps from being done after all, "" if nothing does."""
    for step in _done_again(definition, lacking, checkpoints):
        if not isinstance(step, FanOutStep) and _is_once_only(step) and _is_done(checkpoints[step.name]):
            return (
                f'"{step.name}" is committed with what there was; doing it again would do it twice. Roll back first'
            )
    return ""


def _done_again(
    definition: registry.Definition, lacking: Iterable[str], checkpoints: Mapping[str, StepRun]
) -> list[AnyStep]:
    """Return the steps that lack items and those that follow from them, as far as the run has come."""
    again = {step.name for name in lacking for step in with_followers(definition, name)}
    return [step for step in definition.plan.order if step.name in again and step.name in checkpoints]


def _is_once_only(step: AnyStep) -> bool:
    return step.options.effect is Effect.DATABASE or not step.options.idempotent


def _is_done(checkpoint: StepRun) -> bool:
    return checkpoint.status == StepStatus.SUCCEEDED


def with_followers(definition: registry.Definition, name: str) -> list[AnyStep]:
    """Return the step and all that take values from it or come after it, in order."""
    declared = definition.plan
    names = {name}
    for step in declared.order:
        if names & {*declared.needs[step.name], *declared.after[step.name]}:
            names.add(step.name)
    return [step for step in declared.order if step.name in names]
