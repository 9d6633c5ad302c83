"""Which DATABASE and PURE steps share one transaction, and so one commit.

"Exactly once" holds for each of them as it does for one alone: all bodies and the one checkpoint commit together, and
a crash undoes all. If one fails, all are undone and done again each by itself: the good ones commit, and only the bad
one has failed. What a step has locked stays locked until the last one is done, so only short ones come together:
those that were short the last time this process did them.
"""

from __future__ import annotations

import time
from dataclasses import replace

from workflows.definition.values import Effect, StepKind
from workflows.engine.plan import AnyStep, Checkpoint
from workflows.engine.session import Session
from workflows.engine.state import StepStatus

OPEN_SECONDS = 0.05  # nobody joins a transaction that has been open for longer
SHORT_SECONDS = 0.02

_last_took: dict[AnyStep, float] = {}


def note_pace(step: AnyStep, seconds: float) -> None:
    """Remember how long the step took; infinity if it failed."""
    _last_took[step] = seconds


class Together:
    """The steps of one transaction, and what their checkpoints were before it.

    :param apart: the steps that must be done each by itself.
    """

    def __init__(self, session: Session, apart: frozenset[str]) -> None:
        self.steps: list[AnyStep] = []
        self._session = session
        self._apart = apart
        self._before: dict[str, Checkpoint] = {}
        self._lock = session.lock
        self._ends_at = time.monotonic() + OPEN_SECONDS

    def add(self, step: AnyStep) -> None:
        """Let the step be one of them; call it before its body."""
        self.steps.append(step)
        self._before[step.name] = replace(self._session.checkpoint_of(step))

    def may_add(self, step: AnyStep) -> bool:
        """Tell whether the step may be done in the same transaction as those before it."""
        session = self._session
        return (
            time.monotonic() < self._ends_at
            and _could_ever(step)
            and _last_took.get(step, SHORT_SECONDS) < SHORT_SECONDS
            and _is_fresh(session.checkpoint_of(step))
            # After a crash each step is done by itself, so that one that takes workers down is known by name.
            and not session.claimed.lost_count
            # Others wait for a lock that is held.
            and session.lock is None
            and self._apart.isdisjoint((self.steps[0].name, step.name))
        )

    def undo(self) -> None:
        """Have the checkpoints say again what they said before."""
        self._session.checkpoints |= self._before
        self._session.lock = self._lock


def _could_ever(step: AnyStep) -> bool:
    options = step.options
    return (
        step.kind is StepKind.WORK
        and options.effect is not Effect.EXTERNAL
        and not (step.condition or options.calls or options.lock)
    )


def _is_fresh(checkpoint: Checkpoint) -> bool:
    return checkpoint.status is StepStatus.PENDING and not checkpoint.attempts
