"""The past of a step that was done for each item of a list: a few workers side by side, each item with its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from portal.demo.history.story import Json, Story
from workflows.definition.fan_out import FanOutStep
from workflows.engine.state import ItemStatus, StepStatus
from workflows.engine.store.fan_out import NAMED_IN_SUMMARY
from workflows.models import StepItem

Given = BaseModel | Json  # what the body gave, or the error that it failed with


@dataclass(frozen=True, slots=True)
class Place:
    """An item's place: its number in the list, its operation key, and when it was done."""

    index: int
    key: str
    at: datetime


class FanOutStory(Story):
    """A run with steps for each item of a list."""

    def do_items(
        self,
        step: str,
        items: Sequence[BaseModel | None],
        body: Callable[[Any, Place], Given],
        *,
        seconds: Callable[[], float],
    ) -> list[Any]:
        """Each item is done, in as many slots as the step has; returns what each gave, None for those that failed.

        :param items: None for one at which a step before this failed.
        :param body: returns what the step gives for an item, or the error as it is stored.
        """
        definition = self.definition.steps[step]
        assert isinstance(definition, FanOutStep)  # noqa: S101 - the caller names a step with each=
        row = self._row(step)
        row.started_at = self.at
        skipped = sum(item is None for item in items)
        self.event("step.waiting", step, reason="items", on=f"{skipped} of {len(items)} done", items=len(items))
        self._sleep(self.rng.uniform(0.01, 0.05))
        free_at = [self.at] * definition.each.concurrency
        rows, outputs = [], []
        for index, item in enumerate(items):
            slot = free_at.index(min(free_at))
            begun = free_at[slot]
            if item is not None:
                free_at[slot] += timedelta(seconds=seconds())
            place = Place(index, f"{self.run.id}:{step}:0:{index}", free_at[slot])
            given = None if item is None else body(item, place)
            rows.append(self._item(definition, item, given, begun, place, slot + 1))
            outputs.append(given if isinstance(given, BaseModel) else None)
        self.at = max(free_at)
        self.rows.items.extend(rows)
        row.status, row.ended_at, row.output = StepStatus.SUCCEEDED, self.at, _summary(rows)
        self._sleep(self.rng.uniform(0.01, 0.05))
        self.event("step.succeeded", step, items=len(rows), failed=row.output["failed"])
        return outputs

    def _item(
        self,
        step: FanOutStep[..., Any],
        item: BaseModel | None,
        given: Given | None,
        begun: datetime,
        place: Place,
        slot: int,
    ) -> StepItem:
        row = StepItem(run=self.run, step=step.name, index=place.index, status=ItemStatus.SKIPPED)
        if item is None:
            return row
        row.input = item.model_dump(mode="json")
        named = step.each.item
        row.name = row.input[named.name] if named.name else ""
        row.amount = Decimal(row.input[named.amount]) if named.amount else None
        row.currency = row.input[named.currency] if named.currency else ""
        row.attempts, row.slot, row.fence, row.worker = 1, slot, 1, self.worker
        row.started_at, row.ended_at = begun, place.at
        if isinstance(given, BaseModel):
            row.status, row.output = ItemStatus.SUCCEEDED, given.model_dump(mode="json")
        else:
            row.status, row.error, row.tries = ItemStatus.FAILED, given, [_failed_try(row, given)]
        return row


def _failed_try(row: StepItem, error: Json | None) -> Json:
    times = {name: getattr(row, name).isoformat() for name in ("started_at", "ended_at")}
    return {"number": 1, "outcome": "failed", "error": error, "worker": row.worker, **times}


def _summary(rows: Sequence[StepItem]) -> Json:
    """Return what stands for the list of outputs, as the engine makes it."""
    failed = [row for row in rows if row.status == ItemStatus.FAILED]
    worth: dict[str, Decimal] = {}
    for row in failed:
        if row.amount is not None:
            worth[row.currency] = worth.get(row.currency, Decimal(0)) + row.amount
    skipped = sum(row.status == ItemStatus.SKIPPED for row in rows)
    return {
        "total": len(rows),
        "succeeded": len(rows) - len(failed) - skipped,
        "failed": len(failed),
        "skipped": skipped,
        "missing": [row.name for row in failed][:NAMED_IN_SUMMARY],
        "worth": {currency: str(amount) for currency, amount in sorted(worth.items())},
    }
