"""Steps at which a run waits for something that is no function of its author: one module for each kind.

A handler is asked when the run comes to the step, and again whenever the run was woken there. It says whether
what the step waits for has come (``Settled``), on what and until when the run waits (``Pending``), or that the
run ends here, cancelled (``Ended``). What it wants written goes along with the checkpoint
(``Session.write_along``). What it raises is the step's failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows.definition.step import PausingStep, Step
from workflows.definition.values import StepKind
from workflows.engine.pauses.approval import approval
from workflows.engine.pauses.child import cancel_children, child, undo_child
from workflows.engine.pauses.each import each
from workflows.engine.pauses.sleep import sleep
from workflows.engine.pauses.verdicts import Ended, Handler, Pending, Settled, Verdict
from workflows.engine.pauses.wait_for import wait_for

if TYPE_CHECKING:
    from workflows.engine.session import Session

HANDLERS: dict[StepKind, Handler] = {
    StepKind.APPROVAL: approval,
    StepKind.CHILD: child,
    StepKind.EACH: each,
    StepKind.SLEEP: sleep,
    StepKind.WAIT_FOR: wait_for,
}

__all__ = ["HANDLERS", "Ended", "Handler", "Pending", "Settled", "Verdict", "ask", "cancel_children", "undo"]


def ask(session: Session, step: Step[..., Any]) -> Verdict:
    """Ask the step's handler whether the wait is over."""
    return HANDLERS[step.kind](session, step)


def undo(session: Session, step: PausingStep[Any]) -> Settled | Pending:
    """Undo what a step has started elsewhere; only a child run is something to undo."""
    return undo_child(session, step)
