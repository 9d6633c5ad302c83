"""What can be repaired in bulk: a kind of thing, and the commands on it.

A kind says how its things are found and what a command would do to each; a command says how one thing is done and
how one sees that it helped. Everything else is the same for all kinds: dry run, limits, canary stages, rate,
progress, pages and API. To add a kind:

1. Write its ``find`` and its commands beside the services they call (see ``workflows/bulk/runs.py``)::

       DEAD_LETTERS = BulkKind(
           name="dead_letter", one="dead letter", many="dead letters", view_permission=Permission.VIEW_RUN,
           find=find, describe=describe, url_of=url_of, list_url_name="dead-letter-list",
           commands={"replay": BulkCommand(name="replay", ..., ladder=(5,))},
       )

2. Name it in the table of ``workflows/bulk/registry.py``.
3. Link its list to the dry run: ``{% url 'bulk-new' %}?kind=dead_letter&command=replay&filter=...``, with ``id=...``
   for each chosen row where it is not the whole filter.

``apply`` runs in a transaction of its own together with the item's mark, so it happens exactly once whatever dies;
it must therefore do all its work in the database of that transaction, as services do. Whatever it raises undoes
what it wrote, and halts the operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict

from portal.core.actor import Actor
from portal.core.permissions import Permission

LADDER = (1, 10)
WATCH = timedelta(minutes=3)


class Outcome(StrEnum):
    """What is known of a thing since the command."""

    OPEN = "open"  # nothing yet: look again
    GOOD = "good"
    BAD = "bad"  # a surprise: halts the operation


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a thing, and the words for it ("Succeeded", "Failed again: the card was declined")."""

    outcome: Outcome
    words: str


class NotNeeded(Exception):
    """Raised by ``apply`` when there is nothing left to do; the item is left alone, which surprises nobody."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that the filter matches, and what the command would do to it.

    ``why_not``: why the command does not apply, "" if it does. ``state``: what it is now, in a word. ``repeats``:
    effects that would happen again. ``irreversible``: what could not be taken back. Both are sentences that are the
    same for things alike, because they are counted.
    """

    id: UUID
    label: str
    state: str
    why_not: str = ""
    does: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    irreversible: tuple[str, ...] = ()
    amount: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class BulkCommand:
    """A command on many things.

    ``label`` is its verb as on a button ("Resume"), ``done`` as a fact ("resumed"). ``preview`` tells of each
    thing what would happen; it must not touch anything. ``apply`` does one; a ``PortalError`` is a refusal.
    ``settled`` tells what became of those that were done. ``ladder`` gives the sizes of the canary stages before
    the rest; a stage is watched for ``watch`` at most.
    """

    name: str
    label: str
    done: str
    icon: str
    permission: Permission
    preview: Callable[[Actor, Sequence[UUID]], Iterable[Candidate]]
    apply: Callable[[Actor, UUID, str], object]
    settled: Callable[[Sequence[UUID]], Mapping[UUID, Verdict]]
    kept: Sequence[str] = ()
    reasons: Sequence[str] = ()
    ladder: Sequence[int] = LADDER
    watch: timedelta = WATCH
    per_minute: int = 60
    is_danger: bool = False


@dataclass(frozen=True, slots=True)
class BulkKind:
    """A kind of thing. ``find`` returns what matches the query string of the kind's list and the actor may see.

    ``find`` raises ``InvalidInput`` for a filter that it does not know: a mistyped one must not select everything.
    ``describe`` gives the filter as (label, value) pairs for people.
    """

    name: str
    one: str
    many: str
    view_permission: Permission
    list_url_name: str
    find: Callable[[Actor, QueryDict], QuerySet[Any]]
    describe: Callable[[Actor, QueryDict], Sequence[tuple[str, str]]]
    url_of: Callable[[UUID], str]
    commands: Mapping[str, BulkCommand] = field(default_factory=dict)

    def counted(self, number: int) -> str:
        """Return "1 run" or "312 runs"."""
        return f"{number:,} {self.one if number == 1 else self.many}".replace(",", " ")
