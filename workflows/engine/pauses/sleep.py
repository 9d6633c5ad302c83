"""Sleeping for a length of time, or until a moment, counted from when the run came to the step."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from portal.core.clock import now
from workflows.definition.step import PausingStep
from workflows.engine.pauses.verdicts import Pending, Settled
from workflows.engine.state import StepStatus, WaitingReason
from workflows.errors import InvalidData

if TYPE_CHECKING:
    from workflows.engine.session import Session


def sleep(session: Session, step: PausingStep[Any]) -> Settled | Pending:
    """Wait for the rest of the time. What is left is measured with the database's clock, if a length was given.

    :raises InvalidData: if the author's function gives neither a length of time nor a moment with a zone.
    """
    checkpoint = session.checkpoint_of(step)
    waited = checkpoint.waited if checkpoint.status is StepStatus.WAITING else 0.0
    wanted = session.call_unguarded(step, step.body, attempt=1)
    if isinstance(wanted, timedelta):
        left = wanted.total_seconds() - waited
    elif isinstance(wanted, datetime) and wanted.tzinfo is not None:
        left = (wanted - now()).total_seconds()
    else:
        raise InvalidData(f"{step.name} must sleep for a timedelta or until a datetime with a zone, not {wanted!r}")
    return Settled() if left <= 0 else Pending(WaitingReason.TIMER, step.name, wake_in=left)
