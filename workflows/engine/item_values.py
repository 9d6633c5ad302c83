"""The values that a fan-out's functions may ask for by name while one of its items is in hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.definition.fan_out import FanOutStep
from workflows.definition.sensitive import sensitive_fields
from workflows.engine.session import AtItem
from workflows.engine.store.items import ClaimedItem
from workflows.redaction import values_under


class ItemValues(Mapping[str, Any]):
    """The item in hand, what the body gave for it (to a compensation), and what all items share.

    What they share is read once: to make ten thousand times a value that may hold the whole list would take longer
    than the work itself.
    """

    def __init__(self, step: FanOutStep[..., Any], shared: Mapping[str, Any]) -> None:
        self._step, self._shared = step, shared
        self._read: dict[str, Any] = {}
        self._sensitive = sensitive_fields(step.item_type)
        self._item: Any = None
        self._given: Any = None

    def at(self, item: ClaimedItem, given: Any = None) -> AtItem:
        """Take an item in hand; ``given``: what the body gave for it, as plain JSON values."""
        self._item, self._given = item.input, given
        return AtItem(f"{item.generation}:{item.index}", self, values_under(item.input, self._sensitive))

    def __getitem__(self, name: str) -> Any:
        if name == self._step.item_name:
            return self._step.load_item(self._item)
        if name == self._step.name:
            return self._step.load_given(self._given)
        if name not in self._read:
            self._read[name] = self._shared[name]
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter((self._step.item_name, *self._shared))

    def __len__(self) -> int:
        return 1 + len(self._shared)
