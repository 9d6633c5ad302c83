"""What people do to runs: resume, retry, skip, decide, pause, cancel, roll back. One service a command."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import ValidationError

from portal.core.actor import Actor
from portal.core.clock import now
from portal.core.errors import Forbidden, InvalidInput, InvalidTransition
from portal.core.permissions import Permission
from workflows.definition import registry
from workflows.definition.fan_out import FanOutStep
from workflows.definition.signatures import accepts_none
from workflows.definition.step import Step
from workflows.definition.values import Effect, StepKind
from workflows.engine import plan
from workflows.engine.plan import AnyStep, Checkpoint
from workflows.engine.state import ItemStatus, Request, RunStatus, StepStatus
from workflows.models import Attempt, EventWait, Run, StepItem, StepRun
from workflows.queries.approvals import open_request, why_not_answered_by
from workflows.services.approvals import withdraw_questions
from workflows.services.children import cancel_children, resume_children
from workflows.services.commands import (
    Command,
    command,
    refuse_while_held,
    refuse_while_items_are_held,
)
from workflows.services.items import has_items_done, steps_lacking_items, take_up_failed_items, with_followers

_S = StepStatus
STANDING = frozenset({RunStatus.FAILED, RunStatus.PAUSED, RunStatus.WAITING})
RESUMABLE = STANDING | {RunStatus.CANCELLED}


def resume_run(*, actor: Actor, run_id: UUID, reason: str, expected_version: int | None = None) -> Run:
    """Let a run go on where it stopped: after the last checkpoint, with the failed step tried afresh.

    A waiting run goes on now instead of later. A degraded run takes up the items that failed and were tolerated. A
    rollback that failed goes on rolling back.

    :raises InvalidTransition: if the run does not stand still, or a step's outcome must be decided first.
    """
    with command(
        actor=actor,
        run_id=run_id,
        permission=Permission.RESUME_RUN,
        action="workflows.run.resume",
        reason=reason,
        expected_version=expected_version,
    ) as doing:
        refuse_while_held(doing.run)
        undecided = _undecided(doing.steps)
        if undecided:
            raise InvalidTransition(f'First decide whether "{undecided}" happened.')
        if doing.run.status == RunStatus.ROLLBACK_FAILED:
            doing.set_status(RunStatus.ROLLING_BACK)
        elif doing.run.status in RESUMABLE:
            doing.set_status(RunStatus.QUEUED)
        elif steps_lacking_items(doing.run, doing.steps.values()):
            take_up_failed_items(doing)
        else:
            raise InvalidTransition(f"A run that is {doing.run.status.replace('_', ' ')} has nothing to resume.")
        resume_children(doing, resume_run)
        for checkpoint in doing.steps.values():
            _give_fresh_tries(doing, checkpoint)
        doing.tell("run.resumed", doing.run.current_step)
        doing.send()
    return doing.run


def retry_from_step(
    *, actor: Actor, run_id: UUID, step: str, reason: str, expected_version: int | None = None
) -> Run:
    """Run a step, and all that follows from it, again.

    :raises InvalidTransition: if a step among them has committed an effect that must not happen twice.
    """
    with command(
        actor=actor,
        run_id=run_id,
        permission=Permission.RETRY_STEP,
        action="workflows.run.retry",
        reason=reason,
        expected_version=expected_version,
    ) as doing:
        refuse_while_held(doing.run)
        refuse_while_items_are_held(doing.run)
        doing.step(step)
        problem = why_not_retried(doing.run, doing.steps, step)
        if problem:
            raise InvalidTransition(problem)
        again = with_followers(doing.definition, step)
        resume_children(doing, resume_run)
        doing.set_status(RunStatus.QUEUED)
        for each in again:
            if each.name in doing.steps:
                _reset(doing, doing.steps[each.name])
        doing.run.current_step = step
        doing.run.output = None
        doing.tell("step.reset", step, steps=[each.name for each in again])
        doing.send()
    return doing.run


def skip_step(
    *,
    actor: Actor,
    run_id: UUID,
    step: str,
    reason: str,
    output: Any = None,
    expected_version: int | None = None,
) -> Run:
    """Go on without a step, with an output given by hand where later steps need one.

    :raises InvalidInput: with ``fields["output"]`` if the output is needed and missing, or not valid.
    :raises InvalidTransition: if the step is not the one at which the run stands.
    """
    with command(
        actor=actor,
        run_id=run_id,
        permission=Permission.SKIP_STEP,
        action="workflows.step.skip",
        reason=reason,
        expected_version=expected_version,
    ) as doing:
        refuse_while_held(doing.run)
        refuse_while_items_are_held(doing.run)
        declared = doing.step(step)
        _refuse_unless_next(doing, declared)
        _refuse_to_pass_by(doing, step)
        checkpoint = doing.checkpoint(step)
        needed = output_is_needed(doing.definition.plan.order, declared)
        checkpoint.output = _checked_output(declared, output, needed=needed)
        doing.set_step(checkpoint, _S.SKIPPED)
        checkpoint.ended_at = now()
        doing.save_step(checkpoint)
        doing.go_on()
        doing.after["output"] = "given by hand" if output is not None else "none"
        doing.tell("step.skipped", step, by_hand=True)
    return doing.run


def decide_step(
    *,
    actor: Actor,
    run_id: UUID,
    step: str,
    happened: bool,
    reason: str,
    output: Any = None,
    expected_version: int | None = None,
) -> Run:
    """Say whether an uncertain step happened: if so the run goes on after it, if not the step is done again.

    A run that was cancelled stays so; only the step's state is put right.

    :raises InvalidInput: with ``fields["output"]`` if it happened and its output is missing or not valid.
    :raises InvalidTransition: if the step is not uncertain.
    """
    with command(
        actor=actor,
        run_id=run_id,
        permission=Permission.DECIDE_STEP,
        action="workflows.step.decide",
        reason=reason,
        expected_version=expected_version,
    ) as doing:
        refuse_while_held(doing.run)
        declared = doing.step(step)
        checkpoint = doing.checkpoint(step)
        if checkpoint.status != _S.UNCERTAIN:
            raise InvalidTransition(f'"{step}" is not uncertain; there is nothing to decide.')
        if happened:
            checkpoint.output = _checked_output(declared, output, needed=declared.has_output)
            doing.set_step(checkpoint, _S.SUCCEEDED)
            checkpoint.error = None
            checkpoint.ended_at = now()
        else:
            doing.set_step(checkpoint, _S.PENDING)
            checkpoint.attempts = 0
        doing.save_step(checkpoint)
        if doing.run.status in STANDING:
            doing.go_on()
        doing.after["happened"] = happened
        doing.tell("step.decided", step, happened=happened)
    return doing.run


def pause_run(*, actor: Actor, run_id: UUID, reason: str, expected_version: int | None = None) -> Run:
    """Stop a run before its next step. If a worker is at it, it stops at its next checkpoint."""
    with command(
        actor=actor,
        run_id=run_id,
        permission=Permission.PAUSE_RUN,
        action="workflows.run.pause",
        reason=reason,
        expected_version=expected_version,
    ) as doing:
        _stop(doing, Request.PAUSE, RunStatus.PAUSED)
    return doing.run


def cancel_run(*, actor: Actor, run_id: UUID, reason: str, expected_version: int | None = None) -> Run:
    """End a run where it is; what it has done stays done. A worker at it stops at its next checkpoint."""
    with command(
        actor=actor,
        run_id=run_id,
        permission=Permission.CANCEL_RUN,
        action="workflows.run.cancel",
        reason=reason,
        expected_version=expected_version,
    ) as doing:
        _stop(doing, Request.CANCEL, RunStatus.CANCELLED)
    return doing.run


def _stop(doing: Command, request: Request, status: RunStatus) -> None:
    if doing.run.status == RunStatus.ROLLING_BACK:
        raise InvalidTransition("A rollback is not stopped half-way; it ends, or fails and waits for a person.")
    if doing.run.status == RunStatus.RUNNING and doing.run.lease_owner:
        doing.run.request = request
        doing.tell(f"run.{request.value}_requested")
        return
    doing.set_status(status)
    if status is RunStatus.CANCELLED:
        withdraw_questions(doing.run)
        cancel_children(doing, cancel_run)
    doing.tell(f"run.{status.value}", doing.run.current_step)


def _refuse_to_pass_by(doing: Command, step: str) -> None:
    """Skipping a question is answering it: nobody else may.

    :raises Forbidden: if the run asks something at this step that the actor may not answer.
    """
    request = open_request(doing.run)
    if request is None or request.step != step:
        return
    problem = why_not_answered_by(doing.actor, doing.run, request)
    if problem:
        raise Forbidden(f"The step asks for an approval. {problem}.", permission=request.permission)
    withdraw_questions(doing.run)


def first_committed(steps: list[AnyStep], checkpoints: dict[str, StepRun]) -> AnyStep | None:
    """Return the first of the steps that must not run again: committed, or of unknown outcome."""
    for step in steps:
        checkpoint = checkpoints.get(step.name)
        if checkpoint is None:
            continue
        commits = step.options.effect is Effect.DATABASE or step.kind is StepKind.CHILD
        once_only = commits or not step.options.idempotent
        if checkpoint.status == _S.UNCERTAIN or (once_only and checkpoint.status in {_S.SUCCEEDED, _S.RUNNING}):
            return step
        if once_only and isinstance(step, FanOutStep) and has_items_done(checkpoint):
            return step
    return None


def output_is_needed(order: tuple[AnyStep, ...], step: Step[..., Any]) -> bool:
    """Tell whether a later step cannot do without the step's output."""
    return any(
        step.name in other.body.signature.parameters and not accepts_none(other.body.signature.parameters[step.name])
        for other in order
    )


def why_not_retried(run: Run, steps: dict[str, StepRun], step: str) -> str:
    """Return why ``step``, which the workflow has, cannot be run again with all that follows; "" if it can."""
    definition = registry.find(run.workflow.slug, run.version)
    if definition is None:
        return f"Version {run.version} of {run.workflow.slug} is not in the code any more."
    blocked = first_committed(with_followers(definition, step), steps)
    if blocked is None:
        return ""
    return f'"{blocked.name}" is committed; running it again would do it twice. Roll back first.'


def _reset(doing: Command, checkpoint: StepRun) -> None:
    again = StepItem.objects.filter(run=doing.run, step=checkpoint.step, status=ItemStatus.SUCCEEDED)
    again.update(status=ItemStatus.PENDING)
    if checkpoint.status == _S.PENDING:
        return
    if checkpoint.status == _S.SUCCEEDED:
        Attempt.objects.create(
            run=doing.run,
            step=checkpoint.step,
            number=checkpoint.attempts,
            outcome=Attempt.Outcome.SUPERSEDED,
            output=checkpoint.output,
            worker=checkpoint.worker,
            started_at=checkpoint.started_at,
            ended_at=checkpoint.ended_at or now(),
        )
    if checkpoint.status == _S.COMPENSATED:
        checkpoint.generation += 1
    doing.set_step(checkpoint, _S.PENDING)
    checkpoint.attempts = 0
    checkpoint.output = checkpoint.error = None
    checkpoint.ended_at = None
    doing.save_step(checkpoint)
    EventWait.objects.filter(run=doing.run, step=checkpoint.step).delete()  # a step that is run again waits anew


def _give_fresh_tries(doing: Command, checkpoint: StepRun) -> None:
    """A person's resume starts the count of tries anew; checkpoints of done steps stay as they are."""
    checkpoint.helper_attempts = 0
    if _is_pausing(doing, checkpoint):
        return
    if checkpoint.status in {_S.FAILED, _S.WAITING}:
        optional = doing.definition.steps[checkpoint.step].options.optional
        if not (optional and checkpoint.status == _S.FAILED):
            doing.set_step(checkpoint, _S.PENDING)
            checkpoint.attempts = 0
    doing.save_step(checkpoint)


def _is_pausing(doing: Command, checkpoint: StepRun) -> bool:
    """Tell whether a step's wait goes on when the run is resumed: a time, an answer, an event, another run."""
    if checkpoint.status != _S.WAITING or checkpoint.attempts:
        return False
    goes_on = doing.before["status"] in {RunStatus.WAITING, RunStatus.PAUSED}
    return goes_on and doing.definition.steps[checkpoint.step].kind is not StepKind.WORK


def _undecided(steps: dict[str, StepRun]) -> str:
    return next((name for name, step in steps.items() if step.status == _S.UNCERTAIN), "")


def _refuse_unless_next(doing: Command, step: AnyStep) -> None:
    done = {name: Checkpoint(status=StepStatus(row.status)) for name, row in doing.steps.items()}
    following = plan.next_step(doing.definition.plan.order, done)
    if doing.run.status not in STANDING:
        raise InvalidTransition(
            f"A step can be skipped while the run stands still; it is {doing.run.status.replace('_', ' ')}."
        )
    if following is not step:
        where = f'The run stands at "{following.name}"' if following else "The run is through"
        raise InvalidTransition(f'{where}; only that step can be skipped, not "{step.name}".')


def _checked_output(step: AnyStep, output: Any, *, needed: bool) -> Any:
    if output is None and (not needed or accepts_none(step.output_type)):
        return None
    if output is None:
        message = f"Later steps need what this step gives ({step.name}). Give it here."
        raise InvalidInput(message, fields={"output": [message]})
    try:
        return step.dump(step.load(output))
    except ValidationError as exc:
        problems = [
            f"{'.'.join(str(part) for part in error['loc']) or 'output'}: {error['msg']}"
            for error in exc.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise InvalidInput(f"The output of {step.name} is not valid.", fields={"output": problems}) from exc
