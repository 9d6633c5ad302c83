"""The bar above a list whose rows can be ticked: the commands, and what is handed to the dry run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import QueryDict

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.paging import CappedCount
from portal.core.permissions import Permission
from workflows.bulk.kinds import BulkCommand, BulkKind
from workflows.filters import without_shape


@dataclass(frozen=True, slots=True)
class BulkBar:
    """What the bar offers. ``filter`` is the list's own; ``expected`` how many match, "" where that is not known."""

    kind: BulkKind
    commands: Sequence[BulkCommand]
    filter: str
    total: CappedCount

    @property
    def expected(self) -> str:
        """The number that the list shows, for the dry run to compare."""
        return str(self.total.number) if self.total.number <= self.total.limit else ""


def bulk_bar(actor: Actor, kind: BulkKind, query: QueryDict, total: CappedCount) -> BulkBar | None:
    """Return the bar, or None for those who may start nothing."""
    if not may(actor, Permission.START_BULK_OPERATION):
        return None
    commands = [command for command in kind.commands.values() if may(actor, command.permission)]
    return BulkBar(kind, commands, without_shape(query).urlencode(), total) if commands else None
