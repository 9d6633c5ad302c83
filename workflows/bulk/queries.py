"""What the pages and the API show of bulk operations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.http import QueryDict

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.paging import KeysetPage, keyset_page
from portal.core.permissions import Permission, Role
from workflows.bulk.access import access_operation, visible_operations
from workflows.bulk.conf import LIMITS
from workflows.bulk.kinds import BulkCommand, BulkKind
from workflows.bulk.registry import command_of, kind_of
from workflows.models import BulkItem, BulkOperation
from workflows.presentation import State, StateName
from workflows.queries.fleet import fleet

PAGE_SIZE = 50
_S, _I, _V = BulkOperation.Status, BulkItem.Status, BulkItem.Verdict
SHOWN: dict[str, State] = {
    _S.ASKED: State(StateName.WAITING, "Waits for approval"),
    _S.RUNNING: State(StateName.RUNNING, "Running"),
    _S.PAUSED: State(StateName.PAUSED, "Paused"),
    _S.HALTED: State(StateName.DEGRADED, "Halted"),
    _S.STOPPED: State(StateName.PAUSED, "Stopped"),
    _S.DONE: State(StateName.OK, "Done"),
}
ITEMS: dict[str, State] = {
    _I.PENDING: State(StateName.WAITING, "To do"),
    _I.DONE: State(StateName.OK, "Done"),
    _I.REFUSED: State(StateName.FAILED, "Refused"),
    _I.NOT_NEEDED: State(StateName.PAUSED, "Not needed"),
}
_SURPRISE = Q(verdict__in=[_V.BAD, _V.INCONCLUSIVE])
LISTS: dict[str, tuple[str, Q]] = {
    "": ("All", Q()),
    "surprises": ("Surprises", _SURPRISE),
    "done": ("Touched", ~Q(status=_I.PENDING)),
    "pending": ("To do", Q(status=_I.PENDING)),
}


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a number of items has come. ``settled`` are known to have turned out well."""

    total: int = 0
    pending: int = 0
    refused: int = 0
    not_needed: int = 0
    good: int = 0
    bad: int = 0
    inconclusive: int = 0

    @property
    def touched(self) -> int:
        """How many are not left to do."""
        return self.total - self.pending

    @property
    def surprises(self) -> int:
        """How many were refused, went wrong, or did not settle in time."""
        return self.bad + self.inconclusive

    @property
    def open(self) -> int:
        """How many were done and are not settled yet."""
        return self.touched - self.not_needed - self.good - self.surprises


_COUNTS = {
    "total": Count("id"),
    "pending": Count("id", filter=Q(status=_I.PENDING)),
    "refused": Count("id", filter=Q(status=_I.REFUSED)),
    "not_needed": Count("id", filter=Q(status=_I.NOT_NEEDED)),
    "good": Count("id", filter=Q(verdict=_V.GOOD)),
    "bad": Count("id", filter=Q(verdict=_V.BAD)),
    "inconclusive": Count("id", filter=Q(verdict=_V.INCONCLUSIVE)),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its number from 1, and how far it has come."""

    number: int
    counts: Counts
    state: State


@dataclass(frozen=True, slots=True)
class OperationRow:
    """An operation in the list."""

    operation: BulkOperation
    kind: BulkKind
    command: BulkCommand
    counts: Counts

    @property
    def title(self) -> str:
        """What it does, as a person would say it: "Resume 312 runs"."""
        return f"{self.command.label} {self.kind.counted(self.operation.total)}"

    @property
    def state(self) -> State:
        """Its state in the vocabulary of the pages."""
        if self.operation.status == _S.DONE and self.counts.surprises:
            return State(StateName.DEGRADED, "Done, with surprises")
        return SHOWN[self.operation.status]


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item as its row shows it. ``since`` is what became of the thing by now."""

    item: BulkItem
    url: str
    since: str

    @property
    def state(self) -> State:
        """Whether the command was carried out."""
        return ITEMS[self.item.status]

    @property
    def stage(self) -> int:
        """The number of its stage, from 1."""
        return self.item.stage + 1

    @property
    def is_bad(self) -> bool:
        """Whether it was a surprise."""
        return self.item.verdict in {_V.BAD, _V.INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """Something that happened to the operation itself."""

    at: datetime
    who: str
    what: str
    reason: str

    @property
    def state(self) -> str:
        """The mark beside it."""
        return {"Halted": "degraded", "Done": "ok", "Paused": "paused", "Stopped": "paused"}.get(self.what, "running")


@dataclass(frozen=True, slots=True)
class OperationPage:
    """An operation in full. ``commands`` are the names of what the actor may do with it now."""

    row: OperationRow
    stages: Sequence[Stage]
    filter_words: Sequence[tuple[str, str]]
    history: Sequence[HistoryLine]
    commands: Sequence[str]
    has_dispatcher: bool
    may_view_audit: bool

    @property
    def needs_admin(self) -> bool:
        """Whether it is larger than what a manager may approve."""
        return self.row.operation.total > LIMITS[Role.MANAGER].approve

    @property
    def is_live(self) -> bool:
        """Whether the page will change by itself."""
        return self.row.operation.status == _S.RUNNING or self.row.counts.open > 0


def operation_list(actor: Actor, *, before: str = "", after: str = "") -> KeysetPage[BulkOperation]:
    """Return one page of the operations that the actor may see, newest first."""
    return keyset_page(visible_operations(actor), size=PAGE_SIZE, before=before, after=after)


def operation_rows(operations: Sequence[BulkOperation]) -> list[OperationRow]:
    """Return operations as rows. One query for all of them together."""
    counts = _counted(BulkItem.objects.filter(operation__in=operations), "operation")
    return [
        OperationRow(each, kind_of(each.kind), command_of(each.kind, each.command), counts[each.pk])
        for each in operations
    ]


def operation_page(actor: Actor, operation_id: UUID) -> OperationPage:
    """Return an operation with its stages.

    :raises NotFound: if there is none, or none that the actor may see.
    """
    operation = access_operation(actor, operation_id)
    row = operation_rows([operation])[0]
    return OperationPage(
        row=row,
        stages=_stages(operation),
        filter_words=row.kind.describe(actor, QueryDict(operation.filter)),
        history=[
            HistoryLine(datetime.fromisoformat(e["at"]), e["who"], e["what"], e["reason"]) for e in operation.history
        ],
        commands=_commands(actor, row),
        has_dispatcher=fleet().has_dispatcher,
        may_view_audit=may(actor, Permission.VIEW_AUDIT),
    )


def operation_items(actor: Actor, operation_id: UUID) -> QuerySet[BulkItem]:
    """Return the items of an operation that the actor may see, in the order in which they are done."""
    return BulkItem.objects.filter(operation=access_operation(actor, operation_id)).order_by("position")


def item_rows(operation: BulkOperation, items: Iterable[BulkItem]) -> list[ItemRow]:
    """Return items as rows, with what became of each thing by now."""
    items = list(items)
    kind, command = kind_of(operation.kind), command_of(operation.kind, operation.command)
    done = [item.object_id for item in items if item.status == _I.DONE]
    now = command.settled(done) if done else {}
    return [
        ItemRow(item, kind.url_of(item.object_id), now[item.object_id].words if item.object_id in now else item.words)
        for item in items
    ]


def _stages(operation: BulkOperation) -> list[Stage]:
    counted = _counted(BulkItem.objects.filter(operation=operation), "stage")
    return [
        Stage(number + 1, each, _stage_state(operation, number, each)) for number, each in sorted(counted.items())
    ]


def _counted(items: QuerySet[BulkItem], by: str) -> dict[Any, Counts]:
    rows: Iterable[dict[str, Any]] = items.order_by().values(by).annotate(**_COUNTS)
    return {row[by]: Counts(**{name: row[name] for name in _COUNTS}) for row in rows}


def _stage_state(operation: BulkOperation, number: int, counts: Counts) -> State:
    if number > operation.stage or operation.status == _S.ASKED:
        return State(StateName.WAITING, "Not begun")
    if number == operation.stage and not operation.is_over:
        return SHOWN[operation.status]
    if counts.pending:
        return State(StateName.PAUSED, "Stopped")
    return State(StateName.DEGRADED, "With surprises") if counts.surprises else State(StateName.OK, "Done")


def _commands(actor: Actor, row: OperationRow) -> list[str]:
    operation = row.operation
    if operation.status == _S.ASKED:
        approves = may(actor, Permission.APPROVE_BULK_OPERATION)
        is_own = actor.user is not None and actor.user.pk == operation.user_id
        offered = ["approve"] * (approves and not is_own) + ["reject"] * approves
        return offered or ["stop"] * is_own
    if operation.is_over or not may(actor, Permission.START_BULK_OPERATION):
        return []
    if operation.status == _S.RUNNING:
        return ["pause", "stop"]
    return ["continue", "stop"] if may(actor, row.command.permission) else ["stop"]
