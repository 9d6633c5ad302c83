"""The audit trail for a page: entries with what changed, and whether the chain holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from portal.core import clock
from portal.core.audit import CHAIN, is_sealed, verify_chain
from portal.core.errors import NotFound
from portal.core.models import AuditEntry, AuditHead
from portal.core.paging import CappedCount, capped_count, keyset_page

PAGE_SIZE = 50
TAIL = 500  # entries that a page view verifies; more wait for the next full check
RECENT = 2000


@dataclass(frozen=True, slots=True)
class Change:
    """One value that an act changed, as text; "" where there was, or is, none. Of a list, also the difference."""

    name: str
    before: str
    after: str
    removed: str
    added: str


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry and what it changed."""

    entry: AuditEntry
    changes: list[Change]

    @property
    def words(self) -> str:
        """The action in words: "Grant role" for core.role.grant."""
        return action_words(self.entry.action)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page of the trail, newest first, and the cursors of its neighbours."""

    rows: list[AuditRow]
    newer: str
    older: str
    count: CappedCount


@dataclass(frozen=True, slots=True)
class ChainBadge:
    """Whether the chain holds, as far as is known. ``state`` is one of the seven words of the pages."""

    state: str
    title: str
    checked_at: datetime | None
    entries: int
    waiting: int = 0


def audit_page(entries: QuerySet[AuditEntry], *, before: str = "", after: str = "") -> AuditPage:
    """Return a page of these entries. Two queries."""
    page = keyset_page(entries, size=PAGE_SIZE, key="sequence", before=before, after=after)
    rows = [AuditRow(entry, changes(entry)) for entry in page.rows]
    return AuditPage(rows, page.newer, page.older, capped_count(entries))


def audit_entry(entry_id: UUID) -> tuple[AuditRow, bool]:
    """Return an entry and whether its own seal fits.

    :raises NotFound: if there is none of that id.
    """
    entry = AuditEntry.objects.filter(pk=entry_id).first()
    if entry is None:
        raise NotFound("There is no audit entry of that id.")
    return AuditRow(entry, changes(entry)), is_sealed(entry)


def recent_actions() -> list[str]:
    """Return the names of the actions among the latest entries, for the filter to suggest."""
    recent = AuditEntry.objects.order_by("-sequence").values("action")[:RECENT]
    found = AuditEntry.objects.filter(action__in=recent).order_by("action").values_list("action", flat=True)
    return list(found.distinct())


def chain_badge() -> ChainBadge:
    """Return how far the chain is verified: the last full check, carried on over the latest entries."""
    head = AuditHead.objects.filter(chain=CHAIN).first()
    if head is None:
        return ChainBadge("ok", "Nothing recorded yet", None, 0)
    if head.broken_at is not None:
        return ChainBadge("failed", f"Broken at entry {head.broken_at}", head.verified_at, head.sequence)
    last = AuditEntry.objects.filter(chain=CHAIN, sequence=head.verified_sequence).first()
    if last is None and head.verified_sequence:
        title = f"Entry {head.verified_sequence} is missing"
        return ChainBadge("failed", title, clock.now(), head.sequence)
    report = verify_chain(after=last, limit=TAIL, head=head)
    if not report.ok:
        return ChainBadge("failed", f"Broken at entry {report.broken_at}", clock.now(), head.sequence)
    verified = (last.sequence if last else 0) + report.entries
    if verified < head.sequence:
        title = f"Verified to entry {verified}"
        return ChainBadge("waiting", title, head.verified_at, head.sequence, head.sequence - verified)
    return ChainBadge("ok", f"Verified to entry {verified}", clock.now(), head.sequence)


def changes(entry: AuditEntry) -> list[Change]:
    """Return what differs between an entry's before and after, by dotted name."""
    before, after = dict(_flat(entry.before)), dict(_flat(entry.after))
    names = [*before, *(name for name in after if name not in before)]
    return [_change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def action_words(action: str) -> str:
    """Return "app.noun.verb" as a person would say it: verb first."""
    noun, _, verb = action.partition(".")[2].rpartition(".")
    return f"{verb} {noun}".replace("_", " ").strip().capitalize() or action


def _change(name: str, before: object, after: object) -> Change:
    old, new = _items(before), _items(after)
    removed = [item for item in old if item not in new]
    added = [item for item in new if item not in old]
    return Change(name, *(", ".join(items) for items in (old, new, removed, added)))


def _items(value: object) -> list[str]:
    if value is None:
        return []
    return [
        item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
        for item in (value if isinstance(value, list) else [value])
    ]


def _flat(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, value
