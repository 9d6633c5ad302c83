"""Who holds which lock, and who waits for it in which order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber

from portal.core.access import may, within_reach
from portal.core.actor import Actor
from portal.core.clock import now
from portal.core.errors import NotFound
from portal.core.permissions import Permission
from workflows.models import LockTicket, ResourceLock, Run
from workflows.presentation import State, run_state, short_id

SHOWN = 100
QUEUE_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Party:
    """A run that holds a lock or waits for it. ``run`` is None for who may not see it."""

    run: Run | None
    step: str
    since: datetime

    @property
    def name(self) -> str:
        """The run as people call it."""
        return f"{self.run.workflow.title} {short_id(self.run.pk)}" if self.run else "a run that you may not see"

    @property
    def step_words(self) -> str:
        """The step, readable."""
        return self.step.replace("_", " ").capitalize()

    @property
    def state(self) -> State | None:
        """Where the run is."""
        return run_state(self.run) if self.run else None


@dataclass(frozen=True, slots=True)
class LockView:
    """A lock with its holder (None: it is being handed on) and the head of its queue."""

    row: ResourceLock
    holder: Party | None
    queue: tuple[Party, ...]
    waiting: int
    longest_wait: timedelta | None
    may_break: bool

    @property
    def not_shown(self) -> int:
        """How many more wait than are listed."""
        return self.waiting - len(self.queue)


@dataclass(frozen=True, slots=True)
class Place:
    """A run's place in a queue: ``number`` of ``length``, 1 for the next, and who holds the lock now."""

    key: str
    number: int
    length: int
    holder: Party | None


def lock_list(actor: Actor) -> list[LockView]:
    """Return the locks that are held or waited for, the longest queue first; at most a hundred."""
    return _views(actor, list(_taken(actor).order_by(F("waiting").desc(nulls_last=True), "since")[:SHOWN]))


def taken_locks(actor: Actor) -> QuerySet[ResourceLock]:
    """Return the locks that are held or waited for by runs that the actor may see."""
    return _taken(actor).select_related("run__workflow")


def access_lock(actor: Actor, key: str) -> LockView:
    """Return one lock that is held or waited for.

    :raises NotFound: if there is none of that key, or nobody at it whom the actor may see.
    """
    found = _views(actor, list(_taken(actor).filter(pk=key)))
    if not found:
        raise NotFound(f"Nobody holds the lock {key} now, or nobody whom you may see.")
    return found[0]


def place_in_queue(actor: Actor, run: Run) -> Place | None:
    """Return the run's place in the queue that it waits in, or None if it waits in none."""
    ticket = LockTicket.objects.filter(run=run).select_related("lock__run__workflow__team").first()
    if ticket is None:
        return None
    places = (
        _waiting()
        .filter(lock=ticket.lock_id)
        .aggregate(ahead=Count("pk", filter=Q(pk__lt=ticket.pk)), length=Count("pk"))
    )
    holder = _holder(actor, ticket.lock)
    return Place(ticket.lock_id, places["ahead"] + 1, places["length"], holder)


def _waiting() -> QuerySet[LockTicket]:
    """Return the tickets of runs that wait now: one that was woken early keeps its ticket, but looks for itself."""
    return LockTicket.objects.filter(run__waiting_on=F("lock_id"), run__lease_owner="")


def _taken(actor: Actor) -> QuerySet[Any]:
    tickets = _waiting().filter(lock=OuterRef("pk")).order_by()
    mine = tickets.filter(within_reach(actor, Permission.VIEW_RUN, workflow="run__workflow"))
    counted = tickets.values("lock")
    return ResourceLock.objects.filter(
        Q(within_reach(actor, Permission.VIEW_RUN, workflow="run__workflow"), run__isnull=False) | Exists(mine)
    ).annotate(
        waiting=Subquery(counted.annotate(n=Count("pk")).values("n")),
        first_queued_at=Subquery(counted.annotate(first=Min("queued_at")).values("first")),
    )


def _views(actor: Actor, rows: Sequence[Any]) -> list[LockView]:
    runs = Run.objects.select_related("workflow__team").in_bulk([row.run_id for row in rows if row.run_id])
    queues = _queues(actor, [row.pk for row in rows])
    moment = now()
    views = []
    for row in rows:
        row.run = runs.get(row.run_id)
        views.append(
            LockView(
                row=row,
                holder=_holder(actor, row),
                queue=tuple(queues[row.pk]),
                waiting=row.waiting or 0,
                longest_wait=moment - row.first_queued_at if row.first_queued_at else None,
                may_break=row.run is not None and may(actor, Permission.BREAK_LOCK, row.run),
            )
        )
    return views


def _queues(actor: Actor, keys: Sequence[str]) -> dict[str, list[Party]]:
    number = Window(RowNumber(), partition_by="lock_id", order_by="pk")
    tickets = _waiting().filter(lock__in=keys).annotate(number=number).filter(number__lte=QUEUE_SHOWN)
    queues: dict[str, list[Party]] = defaultdict(list)
    for ticket in tickets.select_related("run__workflow__team").order_by("pk"):
        queues[ticket.lock_id].append(_party(actor, ticket.run, ticket.step, ticket.queued_at))
    return queues


def _holder(actor: Actor, lock: ResourceLock) -> Party | None:
    return _party(actor, lock.run, lock.step, lock.since) if lock.run else None


def _party(actor: Actor, run: Run, step: str, since: datetime) -> Party:
    return Party(run, step, since) if may(actor, Permission.VIEW_RUN, run) else Party(None, "", since)
