"""Doing items of a fan-out: one Celery task takes one slot of one step, for a while.

==========  ===============================================  ==============================================
effect      an item's checkpoint is written                  a worker dies in the item
==========  ===============================================  ==============================================
PURE        with others, within a second                     it is repeated
DATABASE    in the transaction of the body's writes          it is repeated if it did not commit
EXTERNAL    after the call                                   repeated with the same operation key
==========  ===============================================  ==============================================

A task claims as many items as take about half a second, does them one after the other, and claims again. After a few
seconds it leaves the slot and sends itself behind what else waits in the queue, so that a long list holds up nobody.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any
from uuid import UUID

from structlog.contextvars import bound_contextvars

from portal.core.correlation import correlated
from portal.core.errors import LeaseLost
from workflows import dispatch
from workflows.definition import registry
from workflows.definition.fan_out import FanOutStep
from workflows.definition.values import Effect
from workflows.engine import crash_points, failure, retry, store
from workflows.engine.holder import Held, holder, identity
from workflows.engine.interrupt import FAILURES, LeaseTaken
from workflows.engine.item_values import ItemValues
from workflows.engine.session import Session, outcome_of
from workflows.engine.state import ItemStatus, RunStatus, StepStatus
from workflows.engine.store import Claimed
from workflows.engine.store.items import ClaimedItem, ItemWrite, Opened

log = logging.getLogger(__name__)
TURN_SECONDS = 3.0
CHUNK_SECONDS = 0.5  # a worker claims what it does in this time, so that the last ones do not wait for one of them
FIRST_CHUNK, LARGEST_CHUNK = 4, 100
SHORTEST_PAUSE = 0.2  # before a run asks again for the slots of workers that stepped back
RIDE_SECONDS = 1.0  # PURE items are written together, but not later than this

AnyFanOut = FanOutStep[..., Any]


def work(run_id: UUID, step_name: str, slot: int) -> None:
    """Do items in this slot for a while. Does nothing if another worker has the slot, or the run was stopped."""
    opened = store.items.open_slot(run_id, step_name, slot, identity())
    if opened is None:
        return
    definition = registry.find(opened.workflow, opened.version)
    step = definition.steps.get(step_name) if definition else None
    if definition is None or not isinstance(step, FanOutStep):
        store.items.leave(opened.place, again=False)  # the run itself says that its code is missing
        return
    with (
        correlated(opened.correlation_id),
        bound_contextvars(run_id=str(run_id)),
        holder.holding(partial(store.items.renew, opened.place)) as held,
    ):
        try:
            _Turn(opened, definition, step, held).take()
        except (LeaseLost, LeaseTaken):
            log.warning("Slot %d of %s in run %s was taken back; its items are others' now.", slot, step_name, run_id)


class _Turn:
    """One worker's time in one slot."""

    def __init__(self, opened: Opened, definition: registry.Definition, step: AnyFanOut, held: Held) -> None:
        self.place, self.step, self.definition = opened.place, step, definition
        self.tolerated = step.each.tolerated(opened.total)
        self.session = Session(_claimed(opened, definition, step), definition, held)
        self.values = ItemValues(step, self.session.values)
        self.until = time.monotonic() + TURN_SECONDS
        self.goes_on = True
        self.comes_back_in: float | None = None
        self.written_at = time.monotonic()
        self.pending: list[ItemWrite] = []

    def take(self) -> None:
        """Do items until the time is over or none can be done now, and leave the slot to the next."""
        limit, is_over = FIRST_CHUNK, False
        while self.goes_on and not is_over:
            items = store.items.claim(self.place, identity(), limit=limit, tolerated=self.tolerated)
            if not items:
                break
            began = time.monotonic()
            is_over = self._do_all(items)
            seconds = max(time.monotonic() - began, 0.001) / len(items)
            limit = min(max(int(CHUNK_SECONDS / seconds), 1), LARGEST_CHUNK)
        again = self.goes_on and is_over
        store.items.leave(self.place, again=again)
        if again:
            place = self.place
            dispatch.enqueue_items(place.run_id, place.step, [place.slot], self.definition.queue)
        else:
            self._tell_the_run()

    def _do_all(self, items: list[ClaimedItem]) -> bool:
        """Do the items one after the other; returns whether the time is over."""
        is_over = False
        for item in items:
            self._do(item)
            is_over = time.monotonic() > self.until
            if is_over or not self.goes_on:
                break
        self._write()
        return is_over

    def _do(self, item: ClaimedItem) -> None:
        with self.session.at_item(self.values.at(item)):
            self._do_it(item)

    def _do_it(self, item: ClaimedItem) -> None:
        started = time.monotonic()
        crash_points.reach("worker.before_body", self.step.name)
        try:
            if self.step.options.effect is Effect.DATABASE:
                self._do_in_transaction(item, started)
                return
            output = self._call(item)
        except (LeaseLost, LeaseTaken):
            raise
        except FAILURES as error:
            self._failed(item, error, started)
            return
        crash_points.reach("worker.after_body", self.step.name)
        self._note(self._succeeded(item, output, started))

    def _do_in_transaction(self, item: ClaimedItem, started: float) -> None:
        with self.session.in_transaction():
            output = self._call(item)
            crash_points.reach("worker.inside_transaction", self.step.name)
            self._settle([self._succeeded(item, output, started)])

    def _call(self, item: ClaimedItem) -> Any:
        return self.step.dump_given(self.session.call(self.step, self.step.body, attempt=item.attempts + 1))

    def _settle(self, writes: list[ItemWrite]) -> None:
        goes_on = self.session.write_now(lambda: store.items.settle(self.place, writes, time.monotonic()))
        self.goes_on = self.goes_on and goes_on

    def _succeeded(self, item: ClaimedItem, output: Any, started: float) -> ItemWrite:
        self.session.send_emitted(self.step.name, is_done=True)
        now = time.monotonic()
        return ItemWrite(item.index, ItemStatus.SUCCEEDED, item.attempts + 1, now, now - started, output)

    def _failed(self, item: ClaimedItem, error: BaseException, started: float) -> None:
        self.session.send_emitted(self.step.name, is_done=False)
        decision = retry.verdict(error, self.step.options, item.attempts + 1)
        described = self.session.describe(error)
        if isinstance(decision, retry.AwaitDependency):
            self._await_dependency(item, decision, described)
            return
        now = time.monotonic()
        self._note(
            ItemWrite(
                item.index,
                ItemStatus.FAILED if decision.delay is None else ItemStatus.PENDING,
                item.attempts + 1,
                now,
                now - started,
                error=described,
                outcome=outcome_of(error),
                retry_in=decision.delay,
            )
        )

    def _await_dependency(self, item: ClaimedItem, waits: retry.AwaitDependency, error: dict[str, Any]) -> None:
        """End the turn: nothing was done, no try is used up, and the next item would not get through either."""
        if waits.at_capacity:  # the calls of others are under way: this worker steps back, the items go on
            now = time.monotonic()
            self._note(ItemWrite(item.index, ItemStatus.PENDING, item.attempts, now, 0.0, retry_in=waits.delay))
            self.comes_back_in = waits.delay
        else:
            run_id, brief = self.place.run_id, failure.brief(error)
            store.items.await_dependency(run_id, self.step.name, waits.name, waits.delay, brief)
        self.goes_on = False

    def _note(self, write: ItemWrite) -> None:
        """Write what became of an item; of one without an effect, together with others."""
        self.pending.append(write)
        rides = self.step.options.effect is Effect.PURE and time.monotonic() - self.written_at < RIDE_SECONDS
        if not rides:
            self._write()

    def _write(self) -> None:
        if self.pending:
            writes, self.pending = self.pending, []
            self._settle(writes)
            self.written_at = time.monotonic()
            crash_points.reach("worker.after_checkpoint")

    def _tell_the_run(self) -> None:
        """Wake the run if nothing is left to do, or say when something will be."""
        run_id = self.place.run_id
        if self.comes_back_in is not None:
            store.items.wake_run_in(run_id, max(self.comes_back_in, SHORTEST_PAUSE))
            return
        counts = store.fan_out.count(run_id, self.step.name)
        if counts.is_over(self.tolerated):
            queue = store.items.wake_run(run_id)
            if queue:
                dispatch.enqueue_run(run_id, queue)
        elif not counts.running and counts.due_in is not None:
            store.items.wake_run_in(run_id, max(counts.due_in, 0.0))


def _claimed(opened: Opened, definition: registry.Definition, step: AnyFanOut) -> Claimed:
    """Return the run as the body needs it: the values that all items share, and no others."""
    wanted = [name for name in step.body.signature.parameters if name in definition.steps]
    run_id = opened.place.run_id
    data, steps = store.items.shared_values(
        run_id, with_input=definition.input_name in step.body.signature.parameters, steps=wanted
    )
    return Claimed(
        run_id=run_id,
        workflow=opened.workflow,
        version=opened.version,
        status=RunStatus.WAITING,
        input=data,
        correlation_id=opened.correlation_id,
        started_by=opened.started_by,
        fence=opened.place.fence,
        undo_to_step="",
        current_step=step.name,
        lost_count=0,
        request="",
        is_child=False,
        steps=[_line(name, value) for name, value in steps.items()],
    )


def _line(step: str, value: dict[str, Any]) -> dict[str, Any]:
    nothing = {"attempts": 0, "helper_attempts": 0, "generation": 0, "error": None, "waited": 0.0}
    return {"step": step, "status": StepStatus(value["status"]), "output": value["output"], **nothing}
