"""What a command on a run does to the runs that its steps have started."""

from __future__ import annotations

from collections.abc import Callable

from workflows.engine.state import FINAL_RUN_STATUSES, RunStatus, StepStatus
from workflows.models import Run
from workflows.services.commands import Command

_STOPPED = frozenset({RunStatus.FAILED, RunStatus.CANCELLED})


def resume_children(doing: Command, resume: Callable[..., Run]) -> None:
    """Let the children go on, as the same actor, whose end is why the run stands; one that was undone starts afresh.

    :raises Forbidden: if the actor may not resume one of them.
    """
    is_rollback = doing.before["status"] == RunStatus.ROLLBACK_FAILED
    for child in _latest_of_each_step(doing):
        checkpoint = doing.steps.get(child.parent_step)
        if checkpoint is None or checkpoint.status in {StepStatus.SUCCEEDED, StepStatus.SKIPPED}:
            continue
        if child.status in ({RunStatus.ROLLBACK_FAILED} if is_rollback else _STOPPED):
            resume(actor=doing.actor, run_id=child.pk, reason=doing.reason)
        elif child.status == RunStatus.ROLLED_BACK and checkpoint.status == StepStatus.FAILED and not is_rollback:
            checkpoint.generation += 1
            doing.save_step(checkpoint)


def cancel_children(doing: Command, cancel: Callable[..., Run]) -> None:
    """Cancel the children that still run, as the same actor.

    :raises Forbidden: if the actor may not cancel one of them.
    """
    done = FINAL_RUN_STATUSES | {RunStatus.ROLLING_BACK}
    for child in Run.objects.filter(parent=doing.run).exclude(status__in=done).order_by("id"):
        cancel(actor=doing.actor, run_id=child.pk, reason=doing.reason)


def _latest_of_each_step(doing: Command) -> list[Run]:
    return list({child.parent_step: child for child in Run.objects.filter(parent=doing.run).order_by("id")}.values())
