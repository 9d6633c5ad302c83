"""Doing a run's steps, one after the other, each with the promise of its effect.

==========================  =========================================  ==================================
effect                      the checkpoint is written                  a worker dies in the step
==========================  =========================================  ==================================
PURE                        with the next step's, or before a call    it is repeated
DATABASE                    in the transaction of the body's writes,   it is repeated if it did not commit
                            which short ones share
EXTERNAL                    after the call                             repeated with the same operation key
EXTERNAL, not idempotent    an intent before the call, the outcome     ``verify`` decides, else a person
                            after it
==========================  =========================================  ==================================
"""

from __future__ import annotations

import math
import time
from typing import Any

from portal.core.errors import LeaseLost, LockLost
from workflows.definition.fallbacks import AskOperator, Cached
from workflows.definition.fan_out import FanOutStep
from workflows.definition.locking import lock_key
from workflows.definition.step import PausingStep
from workflows.definition.values import Effect
from workflows.engine import crash_points, failure, fallbacks, locks, pauses, plan, retry
from workflows.engine.interrupt import FAILURES, LeaseTaken
from workflows.engine.plan import AnyStep
from workflows.engine.session import Session
from workflows.engine.state import Request, RunStatus, StepStatus, WaitingReason
from workflows.engine.store import Release
from workflows.engine.together import Together, note_pace
from workflows.errors import WorkflowError


class Forward:
    """Advances one claimed run until it ends, waits, or somebody asked it to stop."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._apart: frozenset[str] = frozenset()  # the steps of a transaction in which one failed

    def run(self) -> None:
        """Do all steps that can be done now.

        :raises LeaseLost: if another worker has taken the run.
        """
        session = self.session
        while not session.is_released:
            if session.request:
                if session.request is Request.CANCEL:
                    pauses.cancel_children(session)
                session.obey()
                return
            step = plan.next_step(session.order, session.checkpoints)
            if step is None:
                session.release(self._end())
                return
            self._advance(step)

    def _advance(self, step: AnyStep) -> None:
        checkpoint = self.session.checkpoint_of(step)
        if checkpoint.status is StepStatus.COMPENSATED:
            checkpoint.generation += 1
            checkpoint.attempts = 0
        if step.condition and not self._condition_holds(step):
            return
        if isinstance(step, PausingStep | FanOutStep):
            self._pause_at(step)
        elif step.options.lock and not self._has_lock(step, step.options.lock):
            return
        elif self._must_find_out(step):
            self._find_out(step)
        elif step.options.effect is Effect.DATABASE:
            self._do_in_transaction(step)
        else:
            self._do(step)

    def _condition_holds(self, step: AnyStep) -> bool:
        """Evaluate ``when``; if it is false, or fails, the step is settled."""
        session, started = self.session, time.perf_counter()
        assert step.condition is not None  # noqa: S101 - the caller has looked
        try:
            if session.call_unguarded(step, step.condition, attempt=1):
                return True
        except LeaseTaken:
            raise
        except FAILURES as error:
            self._failed(step, error, time.perf_counter() - started)
            return False
        session.note_event("step.skipped", step.name, reason="its condition does not hold")
        self._settle(step, StepStatus.SKIPPED, None)
        return False

    def _pause_at(self, step: AnyStep) -> None:
        """Ask whether what the step waits for has come; if not, let the run go until then."""
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        try:
            found = pauses.ask(session, step)
        except LeaseTaken:
            raise
        except FAILURES as error:
            self._failed(step, error, 0.0)
            return
        if isinstance(found, pauses.Settled):
            session.note_event("step.succeeded", step.name, **found.told)
            self._settle(step, found.status, found.output, checkpoint.waited)
            return
        if isinstance(found, pauses.Ended):
            self._end_cancelled(step, found.error)
            return
        if checkpoint.status is not StepStatus.WAITING:
            session.note_event("step.waiting", step.name, reason=found.reason, on=found.on, **found.told)
            session.note_step(step, StepStatus.WAITING, seconds=0.0, retry_in=found.wake_in)
        session.wait(found.reason, found.on, step=step.name, wake_in=found.wake_in)

    def _end_cancelled(self, step: AnyStep, error: WorkflowError) -> None:
        """End the run at a step that says so. It may be resumed, and asks again then."""
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        checkpoint.error = failure.describe_error(error)
        session.note_event("step.failed", step.name, error=failure.brief(checkpoint.error))
        session.note_step(step, StepStatus.FAILED, seconds=checkpoint.waited)
        session.note_event("run.cancelled", step.name)
        session.release(Release(RunStatus.CANCELLED, error=checkpoint.error, current_step=step.name))

    def _has_lock(self, step: AnyStep, template: str) -> bool:
        """Take the step's lock; False if the run waits for it now, or no key could be made."""
        try:
            key = lock_key(template, self.session.values)
        except FAILURES as error:
            self._failed(step, error, 0.0)
            return False
        return locks.acquire(self.session, step, key)

    # The step's body -----------------------------------------------------------------------------------

    def _do(self, step: AnyStep) -> None:
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        if not step.options.idempotent:
            checkpoint.attempts += 1
            session.note_step(step, StepStatus.RUNNING)
            session.flush(step.name)
            crash_points.reach("worker.after_intent", step.name)
            checkpoint.attempts -= 1
        started = time.perf_counter()
        crash_points.reach("worker.before_body", step.name)
        try:
            output = step.dump(session.call(step, step.body, attempt=checkpoint.attempts + 1))
        except LeaseTaken:
            raise
        except FAILURES as error:
            self._failed(step, error, time.perf_counter() - started)
            return
        crash_points.reach("worker.after_body", step.name)
        locks.note_if_lost(session, step)
        locks.give_back_with_next_write(session)
        self._note_success(step, output, started)
        self._write_unless_it_may_ride_along(step, StepStatus.SUCCEEDED)

    def _do_in_transaction(self, step: AnyStep) -> None:
        """Do the step, and those after it that may share its transaction. If one fails, none of them was done."""
        session, started = self.session, time.perf_counter()
        together = Together(session, self._apart)
        try:
            with session.in_transaction():
                following: AnyStep | None = step
                while following is not None and (following is step or together.may_add(following)):
                    together.add(following)
                    self._do_part(following)
                    following = plan.next_step(session.order, session.checkpoints)
                self._write(following)
        except (LeaseLost, LeaseTaken):
            raise
        except FAILURES as error:
            together.undo()
            if len(together.steps) > 1:
                note_pace(together.steps[-1], math.inf)
                self._apart = frozenset(each.name for each in together.steps)
            elif isinstance(error, LockLost):
                # Nothing was written, so nothing is used up: it waits for its turn again.
                session.lock = None
                session.note_event("step.lock_lost", step.name, **error.context)
            else:
                self._failed(step, error, time.perf_counter() - started)

    def _do_part(self, step: AnyStep) -> None:
        """Do one of the steps of a transaction."""
        session, started = self.session, time.perf_counter()
        crash_points.reach("worker.before_body", step.name)
        output = step.dump(session.call(step, step.body, attempt=session.checkpoint_of(step).attempts + 1))
        crash_points.reach("worker.inside_transaction", step.name)
        locks.give_back_with_next_write(session, must_be_held=True)
        self._note_success(step, output, started)

    def _note_success(self, step: AnyStep, output: Any, started: float) -> None:
        seconds = time.perf_counter() - started
        checkpoint = self.session.checkpoint_of(step)
        checkpoint.attempts += 1
        self.session.note_event(
            "step.succeeded", step.name, attempt=checkpoint.attempts, duration_ms=round(seconds * 1000, 1)
        )
        note_pace(step, seconds)
        fallbacks.remember(self.session, step, output)
        self._note_settled(step, StepStatus.SUCCEEDED, output, seconds)

    def _note_settled(self, step: AnyStep, status: StepStatus, output: Any, seconds: float | None) -> None:
        checkpoint = self.session.checkpoint_of(step)
        checkpoint.output = output
        if status is StepStatus.SUCCEEDED:
            checkpoint.error = None
        self.session.note_step(step, status, seconds=seconds)

    def _settle(self, step: AnyStep, status: StepStatus, output: Any, seconds: float | None = 0.0) -> None:
        """Checkpoint a step that needs nothing more; with the run's end if it was the last one."""
        self._note_settled(step, status, output, seconds)
        self._write_unless_it_may_ride_along(step, status)

    def _write_unless_it_may_ride_along(self, step: AnyStep, status: StepStatus) -> None:
        """A step without an effect need not be written at once, unless something follows that may last."""
        session = self.session
        following = plan.next_step(session.order, session.checkpoints)
        has_effect = step.options.effect is not Effect.PURE and status is not StepStatus.SKIPPED
        if following is None or has_effect or not session.may_ride_along or _may_last(following):
            self._write(following)

    def _write(self, following: AnyStep | None) -> None:
        """Write what is pending; with the run's end if no step follows."""
        if following is None:
            self.session.release(self._end())
            return
        self.session.flush(following.name)
        crash_points.reach("worker.after_checkpoint")

    def _end(self) -> Release:
        session = self.session
        status = plan.final_status(session.order, session.checkpoints)
        session.note_event(f"run.{status.value}")
        last = session.checkpoint_of(session.order[-1])
        return Release(status, output=last.output)

    # When it did not succeed ---------------------------------------------------------------------------

    def _failed(self, step: AnyStep, error: BaseException, seconds: float) -> None:
        checkpoint = self.session.checkpoint_of(step)
        locks.give_back_with_next_write(self.session)
        match retry.verdict(error, step.options, checkpoint.attempts + 1):
            case retry.AwaitDependency(at_capacity=True) as waits:
                self._await_turn(step, waits)
            case retry.AwaitDependency() as waits:
                self._await_dependency(step, error, waits, seconds)
            case retry.FindOut():
                checkpoint.attempts += 1
                checkpoint.error = self.session.note_attempt(step, checkpoint.attempts, error, seconds=seconds)
                checkpoint.status = StepStatus.RUNNING
                self._find_out(step)
            case retry.TryAgain(delay):
                checkpoint.attempts += 1
                self._try_again(step, error, delay, seconds)
            case retry.GiveUp():
                checkpoint.attempts += 1
                checkpoint.error = self.session.note_attempt(step, checkpoint.attempts, error, seconds=seconds)
                self._give_up(step, seconds)

    def _try_again(self, step: AnyStep, error: BaseException, delay: float, seconds: float) -> None:
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        checkpoint.error = session.note_attempt(step, checkpoint.attempts, error, seconds=seconds, retry_in=delay)
        session.note_step(step, StepStatus.WAITING, seconds=seconds, retry_in=delay)
        session.note_event(
            "step.retry_scheduled",
            step.name,
            attempt=checkpoint.attempts,
            of=step.options.retry.attempts,
            retry_in_seconds=round(delay, 2),
            error=failure.brief(checkpoint.error),
        )
        session.wait(WaitingReason.RETRY, step.name, step=step.name, wake_in=delay, error=checkpoint.error)

    def _await_dependency(
        self, step: AnyStep, error: BaseException, waits: retry.AwaitDependency, seconds: float
    ) -> None:
        """Wait on the dependency. Not a try of the step: nothing was done, and nothing is used up."""
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        checkpoint.error = session.note_attempt(
            step, checkpoint.attempts + 1, error, seconds=seconds, retry_in=waits.delay
        )
        session.note_step(step, StepStatus.WAITING, seconds=seconds, retry_in=waits.delay)
        session.note_event(
            "step.unavailable", step.name, dependency=waits.name, error=failure.brief(checkpoint.error)
        )
        session.wait(
            WaitingReason.DEPENDENCY,
            waits.name,
            step=step.name,
            wake_in=waits.delay,
            error=checkpoint.error,
        )

    def _await_turn(self, step: AnyStep, waits: retry.AwaitDependency) -> None:
        """Wait until the dependency may take one more call. Said once: a busy service would fill the history."""
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        if checkpoint.status is not StepStatus.WAITING:
            session.note_event("step.at_capacity", step.name, dependency=waits.name)
        session.note_step(step, StepStatus.WAITING, retry_in=waits.delay)
        session.wait(WaitingReason.CAPACITY, waits.name, step=step.name, wake_in=waits.delay)

    def _give_up(self, step: AnyStep, seconds: float) -> None:
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        assert checkpoint.error is not None  # noqa: S101 - noted by the caller
        session.note_event(
            "step.failed", step.name, attempt=checkpoint.attempts, error=failure.brief(checkpoint.error)
        )
        match step.options.fallback:
            case AskOperator(question=question):
                self._ask_operator(step, question)
                return
            case Cached() as cached if self._use_last_good(step, cached, seconds):
                return
            case _ if step.replacement and self._fall_back(step):
                return
        if step.options.optional:
            self._settle(step, StepStatus.FAILED, None, seconds)
            return
        session.note_step(step, StepStatus.FAILED, seconds=seconds)
        session.note_event("run.failed", step.name, error=failure.brief(checkpoint.error))
        session.release(Release(RunStatus.FAILED, error=checkpoint.error, current_step=step.name))

    def _fall_back(self, step: AnyStep) -> bool:
        session, started = self.session, time.perf_counter()
        assert step.replacement is not None  # noqa: S101 - the caller has looked
        try:
            # Not behind the breaker: a fallback is for when the dependency does not answer.
            output = step.dump(session.call_unguarded(step, step.replacement, attempt=1))
        except LeaseTaken:
            raise
        except FAILURES as error:
            checkpoint = session.checkpoint_of(step)
            checkpoint.error = session.note_attempt(
                step, checkpoint.attempts, error, seconds=time.perf_counter() - started
            )
            return False
        session.note_event("step.fell_back", step.name, fallback=step.replacement.call.__name__)
        self._settle(step, StepStatus.FELL_BACK, output, time.perf_counter() - started)
        return True

    def _use_last_good(self, step: AnyStep, cached: Cached, seconds: float) -> bool:
        kept = fallbacks.last_good(self.session, step, cached)
        if kept is None:
            return False
        self.session.note_event(
            "step.fell_back", step.name, fallback="last good value", age_seconds=round(kept.age_seconds)
        )
        self._settle(step, StepStatus.FELL_BACK, kept.output, seconds)
        return True

    def _ask_operator(self, step: AnyStep, question: str) -> None:
        """Wait for a person, who skips the step with an output of theirs, or resumes to try it again."""
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        session.note_step(step, StepStatus.WAITING)
        session.note_event("step.asked", step.name, question=question)
        session.wait(WaitingReason.APPROVAL, question, step=step.name, wake_in=None, error=checkpoint.error)

    # When it is not known whether it happened ---------------------------------------------------------

    def _must_find_out(self, step: AnyStep) -> bool:
        """An intent without an outcome; or a worker was lost in the step and there is a way to look."""
        if self.session.checkpoint_of(step).status is StepStatus.RUNNING:
            return True
        lost_here = self.session.claimed.lost_count > 0 and self.session.claimed.current_step == step.name
        return lost_here and step.verification is not None

    def _find_out(self, step: AnyStep) -> None:
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        session.claimed.lost_count = 0
        locks.give_back_with_next_write(session)
        if step.verification is None:
            self._leave_uncertain(step)
            return
        started = time.perf_counter()
        try:
            found = session.call(step, step.verification, attempt=checkpoint.helper_attempts + 1)
        except LeaseTaken:
            raise
        except FAILURES as error:
            self._verify_later(step, error, time.perf_counter() - started)
            return
        checkpoint.helper_attempts = 0
        happened = bool(found) if not step.has_output else found is not None
        session.note_event("step.verified", step.name, happened=happened)
        if happened:
            output = step.dump(found) if step.has_output else None
            self._settle(step, StepStatus.SUCCEEDED, output, time.perf_counter() - started)
        else:
            self._did_not_happen(step)

    def _did_not_happen(self, step: AnyStep) -> None:
        """The step is as if it had never been called; after a failure it is tried again, but not at once."""
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        if checkpoint.attempts >= step.options.retry.attempts:
            checkpoint.error = checkpoint.error or _NOTHING_KNOWN
            self._give_up(step, 0.0)
            return
        checkpoint.status = StepStatus.PENDING
        if checkpoint.attempts:
            delay = retry.backoff(step.options.retry, checkpoint.attempts)
            session.note_step(step, StepStatus.WAITING, retry_in=delay)
            session.note_event(
                "step.retry_scheduled",
                step.name,
                attempt=checkpoint.attempts,
                of=step.options.retry.attempts,
                retry_in_seconds=round(delay, 2),
            )
            session.wait(WaitingReason.RETRY, step.name, step=step.name, wake_in=delay, error=checkpoint.error)

    def _verify_later(self, step: AnyStep, error: BaseException, seconds: float) -> None:
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        checkpoint.helper_attempts += 1
        decision = retry.helper_verdict(error, step.options, checkpoint.helper_attempts)
        if isinstance(decision, retry.GiveUp):
            session.note_attempt(step, checkpoint.helper_attempts, error, kind="verify", seconds=seconds)
            self._leave_uncertain(step)
            return
        delay = decision.delay
        session.note_attempt(step, checkpoint.helper_attempts, error, kind="verify", seconds=seconds, retry_in=delay)
        session.note_step(step, StepStatus.RUNNING, seconds=seconds, retry_in=delay)
        session.note_event("step.retry_scheduled", step.name, verifying=True, retry_in_seconds=round(delay, 2))
        reason, on = WaitingReason.RETRY, step.name
        if isinstance(decision, retry.AwaitDependency):
            on = decision.name
            reason = WaitingReason.CAPACITY if decision.at_capacity else WaitingReason.DEPENDENCY
        session.wait(reason, on, step=step.name, wake_in=delay, error=checkpoint.error)

    def _leave_uncertain(self, step: AnyStep) -> None:
        """Nobody knows whether it happened, and it must not be done twice: a person decides."""
        session, checkpoint = self.session, self.session.checkpoint_of(step)
        checkpoint.error = checkpoint.error or _NOTHING_KNOWN
        session.note_step(step, StepStatus.UNCERTAIN)
        session.note_event("step.uncertain", step.name, error=failure.brief(checkpoint.error))
        session.release(Release(RunStatus.PAUSED, error=checkpoint.error, current_step=step.name))


def _may_last(step: AnyStep) -> bool:
    """Tell whether people will want to know that the run is in this step while it is.

    One that is not idempotent writes an intent, which tells it too.
    """
    return step.options.effect is Effect.EXTERNAL and step.options.idempotent


_NOTHING_KNOWN: dict[str, Any] = {
    "type": "OutcomeUnknown",
    "code": "outcome-unknown",
    "message": "The worker died during the call; it is not known whether it had its effect.",
    "context": {},
    "chain": [],
    "stack": [],
}
