"""What every command on a run has in common: guard, lock, check what the person saw, write, tell, send."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction

from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.clock import now
from portal.core.errors import InvalidTransition, NotFound, StaleVersion
from portal.core.permissions import Permission
from portal.core.services.reasons import checked_reason
from workflows import dispatch
from workflows.definition import registry
from workflows.engine import plan, store
from workflows.engine.children import tell_parent
from workflows.engine.plan import AnyStep, Checkpoint
from workflows.engine.state import (
    FINAL_RUN_STATUSES,
    RunStatus,
    StepStatus,
    may_become,
    step_may_become,
)
from workflows.models import EventWait, ItemSlot, Run, RunEvent, StepRun
from workflows.queries.access import access_run


@dataclass(slots=True)
class Command:
    """A command in progress: the locked run, its checkpoints by step name, and who wants what."""

    actor: Actor
    run: Run
    steps: dict[str, StepRun]
    reason: str
    action: str
    before: dict[str, Any]
    after: dict[str, Any] = field(default_factory=dict)

    @property
    def definition(self) -> registry.Definition:
        """The code of the run's version.

        :raises InvalidTransition: if this process does not have it.
        """
        found = registry.find(self.run.workflow.slug, self.run.version)
        if found is None:
            raise InvalidTransition(
                f"Version {self.run.version} of {self.run.workflow.slug} is not in the code any more, "
                "so its steps cannot be told."
            )
        return found

    def step(self, name: str) -> AnyStep:
        """Return a step of the run's workflow.

        :raises NotFound: if it has none of that name.
        """
        step = self.definition.steps.get(name)
        if step is None:
            raise NotFound(f'{self.run.workflow.slug} version {self.run.version} has no step "{name}".')
        return step

    def checkpoint(self, name: str) -> StepRun:
        """Return the step's checkpoint, a new one (pending) if it was never reached."""
        if name not in self.steps:
            position = [step.name for step in self.definition.plan.order].index(name)
            self.steps[name] = StepRun(run=self.run, step=name, position=position, status=StepStatus.PENDING)
        return self.steps[name]

    def set_status(self, status: RunStatus) -> None:
        """Move the run, if its transition table allows it.

        :raises InvalidTransition: if not.
        """
        old = RunStatus(self.run.status)
        if not may_become(old, status):
            raise InvalidTransition(f"A run that is {_words(old)} cannot become {_words(status)}.")
        self.run.status = status
        self.run.waiting_reason = self.run.waiting_on = ""
        self.run.wake_at = None
        self.run.request = ""
        self.run.lost_count = 0
        self.run.ended_at = now() if status in FINAL_RUN_STATUSES else None

    def set_step(self, checkpoint: StepRun, status: StepStatus) -> None:
        """Move a step, if its transition table allows it.

        :raises InvalidTransition: if not.
        """
        old = StepStatus(checkpoint.status)
        if old is not status and not step_may_become(old, status):
            raise InvalidTransition(f"A step that is {_words(old)} cannot become {_words(status)}.")
        checkpoint.status = status
        checkpoint.helper_attempts = 0
        checkpoint.next_attempt_at = None

    def tell(self, kind: str, step: str = "", **data: Any) -> None:
        """Add a line to the run's history, with who did it and why."""
        self.run.event_count += 1
        RunEvent.objects.create(
            run=self.run,
            number=self.run.event_count,
            at=now(),
            kind=kind,
            step=step,
            data={"actor": self.actor.label, "reason": self.reason, **data},
        )

    def save_step(self, checkpoint: StepRun) -> None:
        """Write a checkpoint, new or changed."""
        if checkpoint._state.adding:
            checkpoint.save(force_insert=True)
        else:
            checkpoint.save()

    def go_on(self) -> None:
        """Queue the run behind the step that was settled by hand."""
        done = {name: Checkpoint(status=StepStatus(row.status)) for name, row in self.steps.items()}
        following = plan.next_step(self.definition.plan.order, done)
        self.run.current_step = following.name if following else ""
        self.run.error = None
        if self.run.status != RunStatus.QUEUED:
            self.set_status(RunStatus.QUEUED)
        self.send()

    def send(self) -> None:
        """Let a worker take the run after the commit."""
        self.run.dispatched_at = now()
        self.run.dispatch_count += 1
        dispatch.enqueue_run(self.run.pk, self.run.queue)


@contextmanager
def command(
    *,
    actor: Actor,
    run_id: UUID,
    permission: Permission,
    action: str,
    reason: str,
    expected_version: int | None,
) -> Iterator[Command]:
    """Open a command on a locked run; what the block changed is saved and audited in one transaction.

    :raises NotFound: if the actor may not see the run.
    :raises Forbidden: if the actor may see it but not do this.
    :raises InvalidInput: for a reason of fewer than 10 characters.
    :raises StaleVersion: if the run has changed since ``expected_version`` (its ``event_count`` then).
    """
    access_run(actor, run_id, permission=permission)
    reason = checked_reason(reason)
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).select_related("workflow__team").get(pk=run_id)
        if expected_version is not None and run.event_count != expected_version:
            raise StaleVersion(_what_changed(run, expected_version), version=run.event_count)
        steps = {step.step: step for step in StepRun.objects.filter(run=run)}
        doing = Command(actor, run, steps, reason, action, _summary(run))
        yield doing
        run.save()
        if run.parent_id and run.is_final and run.status != doing.before["status"]:
            tell_parent(run.pk)
        _leave_other_waits(run)
        record(
            actor=actor,
            action=action,
            object_type="run",
            object_id=str(run.pk),
            object_label=f"{run.workflow.slug} {run.pk}",
            reason=reason,
            before=doing.before,
            after=_summary(run) | doing.after,
        )


def _leave_other_waits(run: Run) -> None:
    """Take the run away from where it waited for an event, unless it still stands there: it takes no more of them."""
    is_going_on = run.status not in FINAL_RUN_STATUSES and run.status != RunStatus.ROLLING_BACK
    left = EventWait.objects.filter(run=run, closed_at=None)
    (left.exclude(step=run.current_step) if is_going_on else left).delete()


def refuse_while_held(run: Run) -> None:
    """Let nobody change a run under a worker's hands.

    :raises InvalidTransition: if a worker holds it.
    """
    if run.lease_owner:
        raise InvalidTransition("A worker is at this run right now. Pause it first, or wait for the step to end.")


def refuse_while_items_are_held(run: Run) -> None:
    """Let nobody change what a worker is about to write; what lost workers had in hand is taken back.

    Locks the slots: a worker that claims items meanwhile finds that it may not.

    :raises InvalidTransition: if a worker is at an item of the run.
    """
    slots = ItemSlot.objects.select_for_update().filter(run=run).exclude(lease_owner="")
    held = [(slot.step, slot.number, slot.lease_expires_at) for slot in slots]
    if any(expires and expires > now() for _, _, expires in held):
        raise InvalidTransition("A worker is at an item of this run right now. Pause it first, or wait a moment.")
    for step in {step for step, _, _ in held}:
        store.fan_out.take_back(run.pk, step, [number for name, number, _ in held if name == step], [])


def _summary(run: Run) -> dict[str, Any]:
    return {"status": run.status, "step": run.current_step, "waiting_reason": run.waiting_reason}


def _what_changed(run: Run, expected_version: int) -> str:
    since = RunEvent.objects.filter(run=run, number__gt=expected_version).order_by("number")[:3]
    told = ", ".join(f"{event.kind} {event.step}".strip() for event in since)
    since_then = f"; since then: {told}" if told else ""
    return f"The run has changed since you looked at it (now {_words(run.status)}{since_then})."


def _words(status: str) -> str:
    return str(status).replace("_", " ")
