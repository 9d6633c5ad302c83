"""What an event says: what was changed in it, without telling what is sensitive. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.redaction import HIDDEN

Json = Any
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is different. A field that came or went has only one side."""

    field: str
    before: Json = _ABSENT
    after: Json = _ABSENT

    @property
    def is_new(self) -> bool:
        """Whether the field was not there before."""
        return self.before is _ABSENT

    @property
    def is_gone(self) -> bool:
        """Whether the field is not there any more."""
        return self.after is _ABSENT

    def as_json(self) -> dict[str, Json]:
        """Return it as it is kept; a side that is absent is left out."""
        sides = {"before": self.before, "after": self.after}
        return {"field": self.field} | {name: side for name, side in sides.items() if side is not _ABSENT}


def changes_between(before: Json, after: Json) -> list[Change]:
    """Return the fields (paths with dots; list items by number) in which two JSON values differ, in order."""
    return list(_changes(before, after, ()))


def shown_changes(kept: Iterable[Mapping[str, Json]], sensitive: Iterable[str] | None) -> list[Change]:
    """Return changes from how they are kept, what is ``sensitive`` hidden. None hides everything."""
    paths = None if sensitive is None else {tuple(field.split(".")) for field in sensitive}
    return [_shown(change, paths) for change in kept]


def _changes(before: Json, after: Json, path: Sequence[str]) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _changes(before.get(name, _ABSENT), after.get(name, _ABSENT), (*path, name))
    elif isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            yield from _changes(_item(before, place), _item(after, place), (*path, str(place)))
    elif type(before) is not type(after) or before != after:
        yield Change(".".join(path), before, after)


def _item(items: Sequence[Json], place: int) -> Json:
    return items[place] if place < len(items) else _ABSENT


def _shown(change: Mapping[str, Json], sensitive: set[tuple[str, ...]] | None) -> Change:
    field = str(change["field"])
    is_hidden = sensitive is None or _is_sensitive(field, sensitive)
    sides = {side: HIDDEN if is_hidden else change[side] for side in ("before", "after") if side in change}
    return Change(field, **sides)


def _is_sensitive(field: str, sensitive: set[tuple[str, ...]]) -> bool:
    """Whether a field is, lies in, or holds something sensitive. Numbers of list items do not count."""
    path = tuple(part for part in field.split(".") if not part.isdigit())
    return any(path[: len(mark)] == mark or mark[: len(path)] == path for mark in sensitive)


def put_back(edited: Json, shown: Json, whole: Json) -> Json:
    """Return ``edited`` with what was hidden in ``shown``, and left so at its place, as it is in ``whole``.

    In a list that has become longer or shorter nobody can tell which item is which; there it stays hidden.
    """
    if edited == HIDDEN and shown == HIDDEN:
        return whole
    if isinstance(edited, dict) and isinstance(shown, dict):
        return {
            name: put_back(value, shown[name], whole[name]) if name in shown else value
            for name, value in edited.items()
        }
    if isinstance(edited, list) and isinstance(shown, list) and len(edited) == len(shown):
        return [put_back(*sides) for sides in zip(edited, shown, whole, strict=True)]
    return edited


def holds_hidden(value: Json) -> bool:
    """Whether something in a JSON value is only the sign for what is hidden."""
    if isinstance(value, dict):
        return any(map(holds_hidden, value.values()))
    return any(map(holds_hidden, value)) if isinstance(value, list) else value == HIDDEN
