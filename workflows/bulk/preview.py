"""The dry run: exactly what an operation would touch, what it would repeat, and what could not be taken back."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import QueryDict

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.errors import InvalidInput
from portal.core.permissions import Permission, Role
from workflows.bulk.conf import LIMITS, MOST, Limit
from workflows.bulk.kinds import BulkCommand, BulkKind, Candidate
from workflows.bulk.limits import limit_of
from workflows.bulk.registry import command_of, kind_of
from workflows.models import BulkItem, BulkOperation

CHUNK = 1_000
UNDER_WAY = (
    BulkOperation.Status.ASKED,
    BulkOperation.Status.RUNNING,
    BulkOperation.Status.PAUSED,
    BulkOperation.Status.HALTED,
)


@dataclass(frozen=True, slots=True)
class Selection:
    """A command on what a filter matches; of that only the ``chosen``, if any are named."""

    kind: str
    command: str
    filter: str = ""
    chosen: tuple[UUID, ...] = ()


@dataclass(slots=True)
class DryRun:
    """What an operation would do. ``affected`` are (id, label), in the order in which they would be done."""

    kind: BulkKind
    command: BulkCommand
    selection: Selection
    limit: Limit
    matching: int = 0
    affected: list[tuple[UUID, str]] = field(default_factory=list)
    does: Counter[str] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=Counter)
    irreversible: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    money: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    @property
    def count(self) -> int:
        """How many things would be touched."""
        return len(self.affected)

    @property
    def spared(self) -> int:
        """How many match but would not be touched."""
        return self.matching - self.count

    @property
    def digest(self) -> str:
        """Stands for exactly the things that would be touched."""
        ids = sorted(id.hex for id, _ in self.affected)
        return hashlib.sha256("".join(ids).encode()).hexdigest()

    @property
    def needs_approval(self) -> bool:
        """Whether it is larger than what the actor may start alone."""
        return self.count > self.limit.alone

    @property
    def needs_admin(self) -> bool:
        """Whether it is larger than what a manager may approve."""
        return self.count > LIMITS[Role.MANAGER].approve

    @property
    def missing(self) -> int:
        """How many of the chosen are not there any more, or do not match the filter any more."""
        return max(0, len(self.selection.chosen) - self.matching) if self.selection.chosen else 0

    @property
    def stages(self) -> list[int]:
        """How many things each stage has."""
        return stage_sizes(self.count, self.command.ladder)

    def facts(self) -> dict[str, Any]:
        """Return it as JSON, as the operation keeps it and the API gives it."""
        return {
            "matching": self.matching,
            "count": self.count,
            "digest": self.digest,
            "stages": self.stages,
            "needs_approval": self.needs_approval,
            "states": _counted(self.states),
            "does": _counted(self.does),
            "repeats": _counted(self.repeats),
            "irreversible": _counted(self.irreversible),
            "left_out": _counted(self.left_out),
            "money": [{"currency": code, "amount": f"{amount:.2f}"} for code, amount in sorted(self.money.items())],
        }

    def add(self, candidate: Candidate) -> None:
        """Count one thing that matches."""
        self.matching += 1
        if candidate.why_not:
            self.left_out[candidate.why_not] += 1
            return
        self.affected.append((candidate.id, candidate.label))
        self.states[candidate.state] += 1
        self.does.update(candidate.does)
        self.repeats.update(candidate.repeats)
        self.irreversible.update(candidate.irreversible)
        if candidate.amount is not None:
            self.money[candidate.currency] += candidate.amount


def dry_run(actor: Actor, selection: Selection) -> DryRun:
    """Tell what the operation would do, without doing anything. The oldest things come first.

    :raises Forbidden: if the actor may not start bulk operations, or give this command to anything.
    :raises InvalidInput: for a filter that is not valid, or that matches more than one operation may touch.
    """
    kind, command = kind_of(selection.kind), command_of(selection.kind, selection.command)
    authorise(actor, Permission.START_BULK_OPERATION)
    authorise(actor, command.permission)
    found = DryRun(kind, command, selection, limit_of(actor))
    for ids in _chunks(_matching(actor, kind, selection)):
        busy = _busy(kind, ids)
        for candidate in command.preview(actor, ids):
            found.add(_kept_out(candidate) if candidate.id in busy and not candidate.why_not else candidate)
    return found


def stage_sizes(total: int, ladder: Sequence[int]) -> list[int]:
    """Return the sizes of the canary stages, and of the rest behind them."""
    sizes, left = [], total
    for size in ladder:
        if left > 0:
            sizes.append(min(size, left))
            left -= size
    return [*sizes, left] if left > 0 else sizes


def _matching(actor: Actor, kind: BulkKind, selection: Selection) -> list[UUID]:
    found = kind.find(actor, QueryDict(selection.filter))
    if selection.chosen:
        found = found.filter(pk__in=selection.chosen)
    ids = list(found.order_by("pk").values_list("pk", flat=True)[: MOST + 1])
    if len(ids) > MOST:
        message = f"More than {MOST:,} {kind.many} match. Narrow the filter.".replace(",", " ", 1)
        raise InvalidInput(message, fields={"filter": [message]})
    return ids


def _chunks(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def _busy(kind: BulkKind, ids: Iterable[UUID]) -> set[UUID]:
    """Return those that another operation is still going to touch."""
    items = BulkItem.objects.filter(
        object_id__in=ids,
        status=BulkItem.Status.PENDING,
        operation__kind=kind.name,
        operation__status__in=UNDER_WAY,
    )
    return set(items.order_by().values_list("object_id", flat=True))


def _kept_out(candidate: Candidate) -> Candidate:
    return Candidate(candidate.id, candidate.label, candidate.state, "Another bulk operation is going to touch it")


def _counted(words: Counter[str]) -> list[dict[str, Any]]:
    """Return [{words, count}], the most frequent first."""
    return [{"words": text, "count": number} for text, number in words.most_common()]
