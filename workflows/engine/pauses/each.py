"""A fan-out, from the run's side: lay the items out, ask workers to do them, and wait until all are settled.

The items themselves are done by ``workflows.engine.items``, in as many slots as the step's ``concurrency``. The last
worker to leave wakes the run. Besides, the run looks again every few seconds, which heals what a crash or an
emptied broker took away: slots of lost workers are taken back, and those that nobody took are asked for again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from workflows import dispatch
from workflows.definition.fan_out import FanOutStep
from workflows.engine import store
from workflows.engine.holder import is_known_dead
from workflows.engine.pauses.verdicts import Pending, Settled
from workflows.engine.state import StepStatus, WaitingReason
from workflows.engine.store.fan_out import Counts, Slot
from workflows.errors import ItemsFailed

if TYPE_CHECKING:
    from workflows.engine.session import Session

LOOK_SECONDS = 3.0
PATIENCE_SECONDS = 5.0  # before a slot that nobody took is asked for again; doubles with each asking
LONGEST_PAUSE_SECONDS = 60.0


def each(session: Session, step: FanOutStep[..., Any]) -> Settled | Pending:
    """Tell whether all items are settled; if not, see to it that they are being done.

    :raises ItemsFailed: if more of them failed than the step tolerates.
    """
    run_id = session.claimed.run_id
    if session.checkpoint_of(step).status is not StepStatus.WAITING:
        _lay_out(session, step)
    slots = _take_back(session, step)
    counts = store.fan_out.count(run_id, step.name)
    tolerated = step.each.tolerated(counts.total)
    if counts.is_over(tolerated):
        return _settled(session, step, counts, tolerated)
    wanted = [slot.number for slot in slots if _is_to_be_asked_for(slot)][: counts.due]
    if wanted:
        session.write_along(partial(_ask_for, session, step.name, wanted))
    is_busy = bool(counts.running or counts.due)
    wake_in = LOOK_SECONDS if is_busy else min(max(counts.due_in or 0.0, 0.1), LONGEST_PAUSE_SECONDS)
    return Pending(WaitingReason.ITEMS, _progress(counts), wake_in=wake_in, told={"items": counts.total})


def _lay_out(session: Session, step: FanOutStep[..., Any]) -> None:
    """Make the items of the list, which must have been written before."""
    session.flush(step.name)
    store.fan_out.lay_out(
        session.claimed.run_id,
        session.claimed.fence,
        step.name,
        source=_source(session, step),
        generation=session.checkpoint_of(step).generation,
        concurrency=step.each.concurrency,
        item=step.each.item,
    )


def _source(session: Session, step: FanOutStep[..., Any]) -> tuple[str, str]:
    if not step.source:
        return "field", step.field
    source = session.definition.steps[step.source]
    # A list that was given by hand, or by a fallback, is the step's own output.
    has_items = isinstance(source, FanOutStep) and isinstance(session.checkpoint_of(source).output, dict)
    return ("items" if has_items else "step"), step.source


def _take_back(session: Session, step: FanOutStep[..., Any]) -> list[Slot]:
    """Take back the slots of workers that are gone, and return all slots."""
    run_id = session.claimed.run_id
    slots = store.fan_out.slots(run_id, step.name)
    dead = {slot.owner for slot in slots if slot.owner and is_known_dead(slot.owner)}
    lost = [slot.number for slot in slots if slot.owner and (slot.is_expired or slot.owner in dead)]
    if not lost:
        return slots
    store.fan_out.take_back(run_id, step.name, lost, sorted(dead))
    return store.fan_out.slots(run_id, step.name)


def _is_to_be_asked_for(slot: Slot) -> bool:
    if slot.owner:
        return False
    return slot.asked_for is None or slot.asked_for > PATIENCE_SECONDS * 2 ** min(slot.asked_times - 1, 5)


def _ask_for(session: Session, step: str, slots: list[int]) -> None:
    run_id = session.claimed.run_id
    store.fan_out.mark_asked(run_id, step, slots)
    dispatch.enqueue_items(run_id, step, slots, session.definition.queue)


def _settled(session: Session, step: FanOutStep[..., Any], counts: Counts, tolerated: int) -> Settled:
    names, worth, error = store.fan_out.missing(session.claimed.run_id, step.name)
    amounts = {currency: str(amount) for currency, amount in worth.items()}
    if counts.failed > tolerated:
        raise ItemsFailed(
            f"{counts.failed} of {counts.total} items failed, {tolerated or 'none'} may: "
            f"{_listed(names, counts.failed)}. The first: {(error or {}).get('message', 'no reason was recorded')}",
            failed=counts.failed,
            total=counts.total,
            tolerated=tolerated,
        )
    summary = {
        "total": counts.total,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "missing": names,
        "worth": amounts,
    }
    return Settled(summary, told={"items": counts.total, "failed": counts.failed})


def _listed(names: list[str], number: int) -> str:
    more = number - len(names[:3])
    return ", ".join(names[:3]) + (f" and {more} more" if more else "")


def _progress(counts: Counts) -> str:
    failed = f", {counts.failed} failed" if counts.failed else ""
    return f"{counts.succeeded + counts.skipped} of {counts.total} done{failed}"
