"""Waiting for an event by its key. The wait goes along with the checkpoint; whoever brings the event wakes it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from workflows.definition.event import WaitTerms, contract_of
from workflows.definition.step import PausingStep
from workflows.engine.pauses.verdicts import Pending, Settled
from workflows.engine.state import WaitingReason
from workflows.errors import InvalidData
from workflows.events import store, waits

if TYPE_CHECKING:
    from workflows.engine.session import Session

_MAX_KEY = 200


def wait_for(session: Session, step: PausingStep[Any]) -> Settled | Pending:
    """Take the event if it has come, give up if the time is over, else wait on.

    :raises InvalidData: if the author's function gives no text of 1 to 200 characters.
    """
    terms, run_id = step.terms, session.claimed.run_id
    assert isinstance(terms, WaitTerms)  # noqa: S101 - WorkflowDefinition.wait_for makes no other
    generation = session.checkpoint_of(step).generation
    wait = waits.wait_of(run_id, step.name, generation)
    if wait is not None and wait.closed_at is not None:
        came = {"event_id": str(wait.message_id)} if wait.message_id else {"timed_out": True}
        return Settled(wait.payload, told={"event": wait.event, "key": wait.key, **came})
    key = wait.key if wait is not None else _key(session, step)
    left = store.seconds_left(run_id, step.name, generation) if wait is not None else None
    session.write_along(partial(waits.begin, run_id, step, generation, key))
    name = contract_of(terms.event).name
    return Pending(
        WaitingReason.EVENT,
        f"{name} for {key}",
        wake_in=terms.timeout.total_seconds() if left is None else max(left, 0.0),
        told={"event": name, "key": key},
    )


def _key(session: Session, step: PausingStep[Any]) -> str:
    key = session.call_unguarded(step, step.body, attempt=1)
    if not isinstance(key, str) or not 0 < len(key) <= _MAX_KEY:
        raise InvalidData(f"{step.name} must wait for a key of 1 to {_MAX_KEY} characters, not for {key!r}")
    return key
