"""Paging by key: "newer" and "older" instead of page numbers, at the same cost on every page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)
COUNT_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class KeysetPage(Generic[M]):
    """Rows, newest first, and the cursors of the pages beside it ("" where there is none)."""

    rows: Sequence[M]
    newer: str
    older: str


@dataclass(frozen=True, slots=True)
class CappedCount:
    """A number of rows that was counted up to a limit and no further."""

    number: int
    limit: int = COUNT_LIMIT

    def __str__(self) -> str:
        if self.number > self.limit:
            return f"{self.limit:,}+".replace(",", " ")
        return f"{self.number:,}".replace(",", " ")


def keyset_page(rows: QuerySet[M], *, size: int, key: str = "id", before: str = "", after: str = "") -> KeysetPage[M]:
    """Return ``size`` rows in descending order of ``key``: the first, those before a cursor, or those after one.

    A cursor is the key of the last row seen. One that cannot be read counts as none.
    """
    value = _read(rows, key, before or after)
    backwards = value is not None and not before
    if value is not None:
        rows = rows.filter(**{f"{key}__{'gt' if backwards else 'lt'}": value})
    found = list(rows.order_by(key if backwards else f"-{key}")[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    has_newer, has_older = (more, True) if backwards else (value is not None, more)
    return KeysetPage(
        rows=found,
        newer=str(getattr(found[0], key)) if found and has_newer else "",
        older=str(getattr(found[-1], key)) if found and has_older else "",
    )


def capped_count(rows: QuerySet[Any], limit: int = COUNT_LIMIT) -> CappedCount:
    """Count ``rows``, but stop beyond ``limit``: nobody needs to know, and counting all is slow."""
    return CappedCount(rows.order_by().values("pk")[: limit + 1].count(), limit)


def _read(rows: QuerySet[Any], key: str, cursor: str) -> object | None:
    if not cursor:
        return None
    try:
        return rows.model._meta.get_field(key).to_python(cursor)  # type: ignore[no-any-return]
    except ValidationError:
        return None
