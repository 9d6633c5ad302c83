"""Undoing a fan-out: the items that are done, the last one first, each with a checkpoint of its own."""

from __future__ import annotations

from typing import Any

from workflows.definition.fan_out import FanOutStep
from workflows.definition.values import Effect
from workflows.engine import crash_points, store
from workflows.engine.item_values import ItemValues
from workflows.engine.session import Session
from workflows.engine.state import StepStatus
from workflows.engine.store.items import ClaimedItem

_READ_AT_ONCE = 100


def undo_items(session: Session, step: FanOutStep[..., Any]) -> None:
    """Undo each item that is done, one after the other, and then note that the step is undone.

    What a compensation raises ends it there; called again, it goes on with what is left.

    :raises LeaseLost: if another worker has the run.
    """
    undone = 0
    values = ItemValues(step, session.values)
    while done := store.fan_out.latest_done(session.claimed.run_id, step.name, limit=_READ_AT_ONCE):
        for item, given in done:
            with session.at_item(values.at(item, given)):
                _undo(session, step, item)
        undone += len(done)
    session.checkpoint_of(step).helper_attempts = 0
    session.note_event("step.compensated", step.name, items=undone)
    session.note_step(step, StepStatus.COMPENSATED)
    session.flush(step.name)


def _undo(session: Session, step: FanOutStep[..., Any], item: ClaimedItem) -> None:
    if step.options.effect is Effect.DATABASE:
        with session.in_transaction():
            _compensate(session, step, item)
    else:
        _compensate(session, step, item)


def _compensate(session: Session, step: FanOutStep[..., Any], item: ClaimedItem) -> None:
    assert step.compensation is not None  # noqa: S101 - plan.to_undo names no other
    attempt = session.checkpoint_of(step).helper_attempts + 1
    session.call(step, step.compensation, attempt=attempt, key_suffix=":undo")
    crash_points.reach("worker.after_compensation")
    run = session.claimed
    session.write_now(lambda: store.fan_out.mark_undone(run.run_id, run.fence, step.name, item.index))
