"""Steps at which a run waits for something that is no function of its author: one module for each kind.

A handler is asked when the run comes to the step, and again whenever the run was woken there. It says whether
what the step waits for has come (``Settled``), or on what and until when the run waits (``Pending``). What it
wants written goes along with the checkpoint (``Session.write_along``). What it raises is the step's failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows.definition.step import PausingStep
from workflows.definition.values import StepKind
from workflows.engine.pauses.sleep import sleep
from workflows.engine.pauses.verdicts import Handler, Pending, Settled

if TYPE_CHECKING:
    from workflows.engine.session import Session

HANDLERS: dict[StepKind, Handler] = {StepKind.SLEEP: sleep}

__all__ = ["HANDLERS", "Handler", "Pending", "Settled", "ask"]


def ask(session: Session, step: PausingStep[Any]) -> Settled | Pending:
    """Ask the step's handler whether the wait is over."""
    return HANDLERS[step.kind](session, step)
