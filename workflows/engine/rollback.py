"""Undoing a run: the compensations of its completed steps, last one first, each checkpointed and retried."""

from __future__ import annotations

import time
from typing import Any

from portal.core.errors import LeaseLost
from workflows.definition.fan_out import FanOutStep
from workflows.definition.locking import lock_key
from workflows.definition.step import PausingStep
from workflows.definition.values import Effect
from workflows.engine import crash_points, failure, locks, pauses, plan, retry
from workflows.engine.interrupt import FAILURES, LeaseTaken
from workflows.engine.plan import AnyStep
from workflows.engine.session import Session
from workflows.engine.state import RunStatus, StepStatus, WaitingReason
from workflows.engine.store import Release
from workflows.engine.undo_items import undo_items

_STATUSES_TO_FIND_OUT = frozenset({StepStatus.RUNNING, StepStatus.WAITING, StepStatus.FAILED, StepStatus.UNCERTAIN})


class Rollback:
    """Undoes one claimed run, as far as was asked for. Goes on where it was after a crash."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def run(self) -> None:
        """Undo what is to be undone, and let the run go.

        :raises LeaseLost: if another worker has taken the run.
        """
        session = self.session
        for step in plan.to_undo(session.order, session.checkpoints, session.claimed.undo_to_step):
            started = time.perf_counter()
            try:
                self._undo(step)
            except (LeaseLost, LeaseTaken):
                raise
            except FAILURES as error:
                self._failed(step, error, time.perf_counter() - started)
            if session.is_released:
                return
        if session.claimed.undo_to_step:
            kept = session.claimed.undo_to_step
            session.note_event("run.rolled_back", to_step=kept)
            session.release(Release(RunStatus.PAUSED, current_step=self._first_undone()))
            return
        session.note_event("run.rolled_back")
        session.release(Release(RunStatus.ROLLED_BACK))

    def _undo(self, step: AnyStep) -> None:
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        if isinstance(step, PausingStep):
            self._undo_by_waiting(step)
            return
        if step.options.lock and not locks.acquire(session, step, lock_key(step.options.lock, session.values)):
            return
        is_unknown = checkpoint.status in _STATUSES_TO_FIND_OUT and not isinstance(step, FanOutStep)
        if is_unknown and not self._did_happen(step):
            locks.give_back_with_next_write(session)
            session.note_event("step.verified", step.name, happened=False)
            session.note_step(step, StepStatus.FAILED)
            session.flush(step.name)
            return
        crash_points.reach("worker.before_compensation")
        if isinstance(step, FanOutStep):
            undo_items(session, step)
        elif step.options.effect is Effect.DATABASE:
            with session.in_transaction():
                self._compensate(step)
        else:
            self._compensate(step)

    def _undo_by_waiting(self, step: PausingStep[Any]) -> None:
        """Undo what the step started elsewhere; the run is let go until that has ended."""
        session = self.session
        found = pauses.undo(session, step)
        if isinstance(found, pauses.Pending):
            if session.checkpoint_of(step).status not in _STATUSES_TO_FIND_OUT:
                session.note_step(step, StepStatus.COMPENSATING)
            session.wait(found.reason, found.on, step=step.name, wake_in=found.wake_in)
            return
        session.checkpoint_of(step).helper_attempts = 0
        session.note_event("step.compensated", step.name)
        session.note_step(step, StepStatus.COMPENSATED)
        session.flush(step.name)

    def _did_happen(self, step: AnyStep) -> bool:
        """A step that was tried without a known outcome is looked up before it is undone."""
        assert step.verification is not None  # noqa: S101 - plan.to_undo names no other
        found = self.session.call(step, step.verification, attempt=1)
        if not found:
            return False
        checkpoint = self.session.checkpoint_of(step)
        checkpoint.output = step.dump(found) if step.has_output else None
        return True

    def _compensate(self, step: AnyStep) -> None:
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        assert step.compensation is not None  # noqa: S101 - plan.to_undo names no other
        session.call(step, step.compensation, attempt=checkpoint.helper_attempts + 1, key_suffix=":undo")
        crash_points.reach("worker.after_compensation")
        locks.give_back_with_next_write(session, must_be_held=step.options.effect is Effect.DATABASE)
        checkpoint.helper_attempts = 0
        session.note_event("step.compensated", step.name)
        session.note_step(step, StepStatus.COMPENSATED)
        session.flush(step.name)

    def _failed(self, step: AnyStep, error: BaseException, seconds: float) -> None:
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        locks.give_back_with_next_write(session)
        decision = retry.helper_verdict(error, step.options, checkpoint.helper_attempts + 1)
        waits_on = decision.name if isinstance(decision, retry.AwaitDependency) else ""
        if not waits_on:
            checkpoint.helper_attempts += 1
        delay = decision.delay
        checkpoint.error = session.note_attempt(
            step, max(checkpoint.helper_attempts, 1), error, kind="compensate", seconds=seconds, retry_in=delay
        )
        if delay is None:
            session.note_step(step, StepStatus.COMPENSATION_FAILED)
            session.note_event("step.compensation_failed", step.name, error=failure.brief(checkpoint.error))
            session.note_event("run.rollback_failed", step.name, error=failure.brief(checkpoint.error))
            session.release(Release(RunStatus.ROLLBACK_FAILED, error=checkpoint.error, current_step=step.name))
            return
        session.note_event(
            "step.retry_scheduled",
            step.name,
            compensating=True,
            retry_in_seconds=round(delay, 2),
            error=failure.brief(checkpoint.error),
        )
        known = checkpoint.status not in _STATUSES_TO_FIND_OUT | {StepStatus.PENDING}
        session.note_step(step, StepStatus.COMPENSATING if known else checkpoint.status)
        session.wait(
            WaitingReason.RETRY, waits_on or step.name, step=step.name, wake_in=delay, error=checkpoint.error
        )

    def _first_undone(self) -> str:
        step = plan.next_step(self.session.order, self.session.checkpoints)
        return step.name if step else ""
