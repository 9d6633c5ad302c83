"""Rolling a run back: what it would undo, and the command."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from portal.core.actor import Actor
from portal.core.errors import InvalidTransition, NotFound
from portal.core.permissions import Permission
from workflows.definition import registry
from workflows.definition.values import Effect
from workflows.engine import plan
from workflows.engine.plan import AnyStep, Checkpoint
from workflows.engine.state import RunStatus, StepStatus
from workflows.models import Attempt, Run, StepRun
from workflows.queries.access import access_run
from workflows.services.approvals import withdraw_questions
from workflows.services.commands import Command, command, refuse_while_held, refuse_while_items_are_held

_S = StepStatus


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """One step in a rollback's preview, with a note in words."""

    step: str
    title: str
    effect: str
    note: str


@dataclass(frozen=True, slots=True)
class RollbackPreview:
    """What a rollback would do, in the order it would do it.

    ``not_undone``: effects that stay. ``untouched``: steps without an effect, kept, or never done.
    ``blocked``: why it cannot start, "" if it can.
    """

    undone: list[PreviewLine]
    not_undone: list[PreviewLine]
    untouched: list[PreviewLine]
    amount: Decimal | None
    currency: str
    blocked: str


def preview_rollback(*, actor: Actor, run_id: UUID, to_step: str | None = None) -> RollbackPreview:
    """Tell what rolling back would undo, without doing anything.

    :param to_step: the step that stays done, with all before it; None for the whole run.
    :raises NotFound: if there is no such run or step.
    """
    run = access_run(actor, run_id)
    return rollback_preview_of(run, {row.step: row for row in StepRun.objects.filter(run=run)}, to_step)


def rollback_preview_of(run: Run, rows: dict[str, StepRun], to_step: str | None = None) -> RollbackPreview:
    """Tell what rolling a run back would undo, from its checkpoints by step name.

    :raises NotFound: if there is no such step.
    """
    definition = _definition(run, to_step)
    checkpoints = _checkpoints(rows, _tried_in_vain(run, rows))
    order = definition.plan.order
    undone = plan.to_undo(order, checkpoints, to_step or "")
    lines: tuple[list[PreviewLine], list[PreviewLine]] = ([], [])
    kept = True
    for step in order:
        kept = kept and bool(to_step)
        if step not in undone:
            note, stays = _why_not(step, checkpoints.get(step.name), kept=kept)
            lines[0 if stays else 1].append(_line(step, note))
        if step.name == to_step:
            kept = False
    return RollbackPreview(
        undone=[_line(step, _how(step, checkpoints[step.name])) for step in undone],
        not_undone=lines[0],
        untouched=lines[1],
        amount=run.amount,
        currency=run.currency,
        blocked=why_not_rolled_back(run, rows),
    )


def roll_back_run(
    *,
    actor: Actor,
    run_id: UUID,
    reason: str,
    to_step: str | None = None,
    expected_version: int | None = None,
) -> Run:
    """Undo the run's completed steps, last one first; a worker does it, and goes on after a crash.

    :param to_step: the step that stays done, with all before it; the run is paused there. None: the whole run.
    :raises InvalidTransition: if the run is not standing still, or a step's outcome must be decided first.
    """
    with command(
        actor=actor,
        run_id=run_id,
        permission=Permission.ROLL_BACK_RUN,
        action="workflows.run.roll_back",
        reason=reason,
        expected_version=expected_version,
    ) as doing:
        refuse_while_held(doing.run)
        refuse_while_items_are_held(doing.run)
        definition = _definition(doing.run, to_step)
        problem = why_not_rolled_back(doing.run, doing.steps)
        if problem:
            raise InvalidTransition(problem)
        doing.set_status(RunStatus.ROLLING_BACK)
        withdraw_questions(doing.run)
        for name in _tried_in_vain(doing.run, doing.steps):
            _say_that_it_was_tried(doing, name)
        undone = plan.to_undo(definition.plan.order, _checkpoints(doing.steps), to_step or "")
        for step in undone:
            doing.steps[step.name].helper_attempts = 0
            doing.save_step(doing.steps[step.name])
        doing.run.undo_to_step = to_step or ""
        doing.run.current_step = undone[0].name if undone else ""
        doing.after["undoes"] = [step.name for step in undone]
        doing.tell("run.rollback_started", to_step=to_step, undoes=[step.name for step in undone])
        doing.send()
    return doing.run


def nothing_was_done(run: Run, steps: dict[str, StepRun]) -> bool:
    """Tell whether no step was done or tried."""
    untouched = all(row.status in {_S.PENDING, _S.SKIPPED} for row in steps.values())
    return untouched and not _tried_in_vain(run, steps)


def why_not_rolled_back(run: Run, steps: dict[str, StepRun]) -> str:
    """Return why the run cannot be rolled back now, "" if it can."""
    if run.lease_owner or run.status in {RunStatus.RUNNING, RunStatus.ROLLING_BACK}:
        return "A worker is at this run. Pause it first."
    if run.status in {RunStatus.ROLLED_BACK, RunStatus.SCHEDULED}:
        return f"A run that is {run.status.replace('_', ' ')} has nothing to undo."
    if nothing_was_done(run, steps):
        return "No step was done yet."
    definition = registry.find(run.workflow.slug, run.version)
    for name, row in steps.items():
        verifies = definition is not None and definition.steps[name].verification is not None
        if row.status == _S.UNCERTAIN and not verifies:
            return f'First decide whether "{name}" happened.'
    return ""


def _definition(run: Run, to_step: str | None) -> registry.Definition:
    definition = registry.find(run.workflow.slug, run.version)
    if definition is None:
        raise InvalidTransition(f"Version {run.version} of {run.workflow.slug} is not in the code any more.")
    if to_step and to_step not in definition.steps:
        raise NotFound(f'{run.workflow.slug} has no step "{to_step}".')
    return definition


def _tried_in_vain(run: Run, rows: dict[str, StepRun]) -> set[str]:
    """Return the steps that look untouched but were tried once: fresh tries were given, or their worker was lost.

    What such a try did is not known, so a rollback must look.
    """
    attempts = Attempt.objects.filter(run=run, kind=Attempt.Kind.RUN).exclude(outcome=Attempt.Outcome.UNAVAILABLE)
    tried = set(attempts.order_by().values_list("step", flat=True).distinct())
    return {name for name in tried if name not in rows or rows[name].status == _S.PENDING}


def _say_that_it_was_tried(doing: Command, name: str) -> None:
    if doing.step(name).verification is None:
        return  # there is no way to look
    checkpoint = doing.checkpoint(name)
    doing.set_step(checkpoint, _S.WAITING)
    checkpoint.attempts = 1
    doing.save_step(checkpoint)


def _checkpoints(rows: dict[str, StepRun], tried: Collection[str] = ()) -> dict[str, Checkpoint]:
    known = {
        name: Checkpoint(status=StepStatus(row.status), attempts=row.attempts, generation=row.generation)
        for name, row in rows.items()
    }
    return known | {name: Checkpoint(status=_S.WAITING, attempts=1) for name in tried}


def _line(step: AnyStep, note: str) -> PreviewLine:
    return PreviewLine(step.name, step.title, step.options.effect.value, note)


def _how(step: AnyStep, checkpoint: Checkpoint) -> str:
    assert step.compensation is not None  # noqa: S101 - plan.to_undo names no other
    what = step.compensation.call.__doc__ or step.compensation.call.__name__.replace("_", " ")
    first = what.strip().splitlines()[0]
    if plan.needs_finding_out(checkpoint) and step.verification:
        return f"Looks first whether it happened; if so: {first}"
    return first


def _why_not(step: AnyStep, checkpoint: Checkpoint | None, *, kept: bool) -> tuple[str, bool]:
    """Return why a step is not undone, and whether an effect of it stays."""
    if checkpoint is None or checkpoint.status is _S.PENDING:
        return "Was not done.", False
    if checkpoint.status is _S.COMPENSATED:
        return "Is undone already.", False
    if checkpoint.status is _S.SKIPPED:
        return "Was skipped.", False
    if kept:
        return "Stays as it is.", False
    if step.options.effect is Effect.PURE:
        return "Changed nothing.", False
    if checkpoint.status in {_S.SUCCEEDED, _S.FELL_BACK}:
        return "Its effect stays: there is no way to undo it.", True
    if plan.needs_finding_out(checkpoint) and step.options.effect is Effect.EXTERNAL:
        return "Was tried; it is not known whether it had an effect.", True
    return "Did not take effect.", False
