"""Locks around steps: taken before the body, given back with the checkpoint, whatever that says.

1. Before the step the run takes the lock of its key. If another run has it, the run waits in the lock's queue.
2. The next checkpoint or release after the body gives the lock back, in the same transaction, and hands it to
   the next in the queue.
3. A worker that dies leaves the lock with its run: whoever takes the run over takes the lock again.
4. Each taking draws a higher fencing token. A person who breaks a lock makes the token of its holder void, and
   with it what the holder's step is about to commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.core.errors import LockLost
from workflows import dispatch
from workflows.engine import store
from workflows.engine.state import RunStatus, StepStatus, WaitingReason

if TYPE_CHECKING:
    from workflows.engine.plan import AnyStep
    from workflows.engine.session import Session

# A rollback that waits looks by itself after this time; a waiting run does not need to.
_ROLLBACK_LOOKS_AFTER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock in this worker's hands. ``token``: its fencing token."""

    key: str
    token: int


def acquire(session: Session, step: AnyStep, key: str) -> bool:
    """Take the lock, or let the run wait for it in the queue and return False."""
    token = store.take_lock(key, session.claimed.run_id, step.name)
    if token is None:
        _wait(session, step, key)
        return False
    session.lock = HeldLock(key, token)
    return True


def give_back_with_next_write(session: Session, *, must_be_held: bool = False) -> None:
    """Give the lock back, if there is one, in the transaction of the next checkpoint or release.

    :param must_be_held: let that transaction fail with ``LockLost`` if somebody broke the lock meanwhile.
    """
    held = session.lock
    if held is None:
        return

    def give_back() -> None:
        if session.lock is not held:  # given back, or taken again
            return
        session.lock = None
        queued = store.give_back(held.key, session.claimed.run_id, held.token)
        if queued is None and must_be_held:
            raise LockLost(f"Somebody broke the lock {held.key}.", lock=held.key)
        _send(queued or [])

    session.write_along(give_back)


def note_if_lost(session: Session, step: AnyStep) -> None:
    """Say in the run's history if the lock was broken during a call that nobody can take back."""
    held = session.lock
    if held and not store.holds_lock(held.key, session.claimed.run_id, held.token):
        session.note_event("step.lock_lost", step.name, lock=held.key)


def _wait(session: Session, step: AnyStep, key: str) -> None:
    def queue_up() -> None:
        _send(store.queue_up(key, session.claimed.run_id, step.name))

    checkpoint = session.checkpoint_of(step)
    session.note_event("step.awaits_lock", step.name, lock=key)
    if checkpoint.status in {StepStatus.PENDING, StepStatus.WAITING}:
        # An intent without an outcome stays one, and a step that is being undone stays that.
        session.note_step(step, StepStatus.WAITING)
    session.write_along(queue_up)
    wake_in = _ROLLBACK_LOOKS_AFTER_SECONDS if session.claimed.status is RunStatus.ROLLING_BACK else None
    session.wait(WaitingReason.LOCK, key, step=step.name, wake_in=wake_in)


def _send(queued: store.Queued) -> None:
    for run_id, queue in queued:
        dispatch.enqueue_run(run_id, queue)
