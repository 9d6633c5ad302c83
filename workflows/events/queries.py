"""Completeness: what was emitted, and which of its subscribers have not acted on it in its time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum

from portal.core.access import within_reach
from portal.core.actor import Actor
from portal.core.clock import now
from portal.core.permissions import Permission
from workflows.definition import contracts
from workflows.models import InboxMessage, OutboxMessage

PERIOD = timedelta(days=30)
# Ages of a gap since it was due: (name, from, to); the last has no end.
AGES: tuple[tuple[str, timedelta, timedelta | None], ...] = (
    ("under 1 hour", timedelta(0), timedelta(hours=1)),
    ("1 to 24 hours", timedelta(hours=1), timedelta(days=1)),
    ("1 to 7 days", timedelta(days=1), timedelta(days=7)),
    ("over 7 days", timedelta(days=7), None),
)
UNROUTED_SECONDS = 60.0
_Status = InboxMessage.Status
Group = tuple[str, str]
Line = Mapping[str, Any]


@dataclass(slots=True)
class Subscription:
    """One event and one subscriber: how many it had to act on in the period, and what is missing now.

    ``missing``: overdue, nobody has acted; ``dead``: in dead letters. Both are the gap, whatever their age.
    ``ages`` and ``amounts`` (by currency) are the gap's.
    """

    event: str
    consumer: str
    kind: str
    workflow: str
    expected: int = 0
    consumed: int = 0
    in_time: int = 0
    discarded: int = 0
    missing: int = 0
    dead: int = 0
    oldest_due_at: datetime | None = None
    ages: dict[str, int] = field(default_factory=lambda: {name: 0 for name, _, _ in AGES})
    amounts: dict[str, Decimal] = field(default_factory=dict)

    @property
    def gap(self) -> int:
        """How many events it should have acted on and has not."""
        return self.missing + self.dead

    @property
    def reason(self) -> str:
        """Why an event may be missing here, in words; "" if none is."""
        if not self.missing:
            return "In dead letters." if self.dead else ""
        waits = self.kind == InboxMessage.Kind.WAIT
        return "No run has waited for its key." if waits else "No worker has acted on it."


@dataclass(frozen=True, slots=True)
class Unrouted:
    """Events that no dispatcher has handed to their subscribers, and what they are worth by currency."""

    event: str
    count: int
    oldest_at: datetime
    is_known: bool
    amounts: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Completeness:
    """Each subscription, those with a gap first; and what has not even been routed."""

    subscriptions: list[Subscription]
    unrouted: list[Unrouted]

    @property
    def gap(self) -> int:
        """How many times a subscriber has missed an event."""
        return sum(each.gap for each in self.subscriptions) + sum(each.count for each in self.unrouted)

    @property
    def amounts(self) -> dict[str, Decimal]:
        """What the gaps are worth, by currency. An event that two subscribers miss counts twice."""
        total: dict[str, Decimal] = defaultdict(Decimal)
        amounts = [each.amounts for each in self.subscriptions] + [dict(each.amounts) for each in self.unrouted]
        for currency, amount in (item for each in amounts for item in each.items()):
            total[currency] += amount
        return dict(total)


def completeness(actor: Actor, *, period: timedelta = PERIOD) -> Completeness:
    """Return what was emitted and who has acted on it, as far as the actor may see. Three queries."""
    found: dict[Group, Subscription] = {}
    for line in _counted(actor, period):
        each = _subscription(found, line)
        each.expected, each.consumed, each.discarded = line["expected"], line["consumed"], line["discarded"]
        each.in_time = line["in_time"]
    for line in _gaps_by_currency(actor):
        _add_gap(_subscription(found, line), line)
    in_order = sorted(found.values(), key=lambda each: (-each.gap, each.event, each.consumer))
    return Completeness(in_order, _unrouted(actor))


def gap_rows(actor: Actor) -> QuerySet[InboxMessage]:
    """Return what has not been acted on in its time, the oldest first, each with its event and workflow."""
    return (
        _visible(actor)
        .filter(status__in=[_Status.PENDING, _Status.DEAD], due_at__lt=now())
        .select_related("message", "workflow__team")
        .order_by("due_at")
    )


def _visible(actor: Actor) -> QuerySet[InboxMessage]:
    return InboxMessage.objects.filter(within_reach(actor, Permission.VIEW_RUN))


def _counted(actor: Actor, period: timedelta) -> Iterable[Line]:
    at = now()
    in_period = _visible(actor).filter(created_at__gte=at - period).order_by()
    return in_period.values("message__name", "consumer", "kind", "workflow__slug").annotate(
        expected=Count("pk"),
        consumed=Count("pk", filter=Q(status=_Status.HANDLED)),
        discarded=Count("pk", filter=Q(status=_Status.DISCARDED)),
        in_time=Count("pk", filter=Q(status=_Status.PENDING, due_at__gte=at)),
    )


def _gaps_by_currency(actor: Actor) -> Iterable[Line]:
    at = now()
    overdue = Q(status=_Status.PENDING, due_at__lt=at)
    gaps = _visible(actor).filter(overdue | Q(status=_Status.DEAD)).order_by()
    ages = {
        f"age_{number}": Count("pk", filter=_of_age(at, since, until))
        for number, (_, since, until) in enumerate(AGES)
    }
    return gaps.values("message__name", "consumer", "kind", "workflow__slug", "message__currency").annotate(
        missing=Count("pk", filter=overdue),
        dead=Count("pk", filter=Q(status=_Status.DEAD)),
        oldest=Min("due_at"),
        amount=Sum("message__amount"),
        **ages,
    )


def _of_age(at: datetime, since: timedelta, until: timedelta | None) -> Q:
    """Not due yet (a dead letter may die before) counts as the youngest."""
    older = Q() if not since else Q(due_at__lte=at - since)
    return older if until is None else older & Q(due_at__gt=at - until)


def _subscription(found: dict[Group, Subscription], line: Line) -> Subscription:
    group = (line["message__name"], line["consumer"])
    return found.setdefault(group, Subscription(*group, line["kind"], line["workflow__slug"] or ""))


def _add_gap(each: Subscription, line: Line) -> None:
    each.missing += line["missing"]
    each.dead += line["dead"]
    each.oldest_due_at = min(filter(None, (each.oldest_due_at, line["oldest"])))
    for number, (name, _, _) in enumerate(AGES):
        each.ages[name] += line[f"age_{number}"]
    if line["amount"] is not None:
        each.amounts[line["message__currency"]] = line["amount"]


def _unrouted(actor: Actor) -> list[Unrouted]:
    """Return events that stay in the outbox: no dispatcher lives, or none has code that knows them."""
    left = OutboxMessage.objects.filter(
        within_reach(actor, Permission.VIEW_RUN),
        routed_at=None,
        emitted_at__lt=now() - timedelta(seconds=UNROUTED_SECONDS),
    )
    found: dict[str, list[Line]] = defaultdict(list)
    for line in (
        left.order_by()
        .values("name", "currency")
        .annotate(count=Count("pk"), oldest=Min("emitted_at"), amount=Sum("amount"))
    ):
        found[line["name"]].append(line)
    return [
        Unrouted(
            event=name,
            count=sum(line["count"] for line in lines),
            oldest_at=min(line["oldest"] for line in lines),
            is_known=bool(contracts.versions_of(name)),
            amounts={line["currency"]: line["amount"] for line in lines if line["amount"] is not None},
        )
        for name, lines in sorted(found.items())
    ]
