"""What subscribers have missed: found by a filter, and what a person does about it: send it again, or give it up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import django_filters
from django.db import transaction
from django.db.models import Count, Min, Q, QuerySet, Sum
from django.http import QueryDict

from portal.core.access import authorise, within_reach
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.clock import now
from portal.core.errors import InvalidInput, InvalidTransition, NotFound
from portal.core.permissions import Permission
from portal.core.services.reasons import checked_reason
from workflows.events.queries import gap_rows
from workflows.events.services import send_again
from workflows.filters import DescribedFilterSet, example, without_shape
from workflows.models import InboxMessage
from workflows.money import Money, summed

_Status = InboxMessage.Status


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of one name that a subscriber has not acted on in their time; those in dead letters not counted."""

    event: str
    consumer: str
    workflow: str
    title: str
    kind: str
    missing: int
    oldest_due_at: datetime
    money: tuple[Money, ...]


class MissedFilter(DescribedFilterSet):
    """Filters for what was missed."""

    q = django_filters.CharFilter(label="Find", method="filter_q", widget=example("Key, customer, event id"))
    event = django_filters.CharFilter(label="Event", field_name="message__name", widget=example("payment.received"))
    consumer = django_filters.CharFilter(label="Subscriber", widget=example("settle-invoice"))

    class Meta:
        model = InboxMessage
        fields: list[str] = []

    def filter_q(self, rows: QuerySet[InboxMessage], name: str, value: str) -> QuerySet[InboxMessage]:
        """Find a missed event by what names it exactly."""
        value = value.strip()
        named = Q(message__key=value) | Q(message__customer_key=value) | Q(message__correlation_id=value)
        try:
            return rows.filter(named | Q(pk=UUID(value)) | Q(message=UUID(value)))
        except ValueError:
            return rows.filter(named)


def missed(actor: Actor) -> QuerySet[InboxMessage]:
    """Return what nobody has acted on in its time and what is not in dead letters, with event and workflow."""
    return gap_rows(actor).filter(status=_Status.PENDING)


def filtered_missed(actor: Actor, query: QueryDict) -> QuerySet[InboxMessage]:
    """Return what was missed and a query string of the list matches.

    :raises InvalidInput: for a filter that is not known or not valid: it must not match everything.
    """
    wanted = without_shape(query)
    filters = MissedFilter(wanted, queryset=missed(actor), request=actor)
    problems = {name: ["There is no such filter."] for name in wanted if name not in filters.filters}
    if problems or not filters.is_valid():
        raise InvalidInput("The filter is not valid.", fields=problems or dict(filters.form.errors.items()))
    found: QuerySet[InboxMessage] = filters.qs
    return found


def gaps(actor: Actor) -> list[Gap]:
    """Return what each subscriber has missed, the most first. One query."""
    rows = (
        InboxMessage.objects.filter(
            within_reach(actor, Permission.VIEW_RUN), status=_Status.PENDING, due_at__lt=now()
        )
        .order_by()
        .values("message__name", "consumer", "kind", "workflow__slug", "workflow__title", "message__currency")
        .annotate(missing=Count("pk"), oldest=Min("due_at"), sum=Sum("message__amount"))
    )
    alike: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        alike.setdefault((row["message__name"], row["consumer"]), []).append(row)
    return sorted(map(_gap, alike.values()), key=lambda gap: -gap.missing)


def access_missed(actor: Actor, inbox_id: UUID, *, permission: Permission = Permission.VIEW_RUN) -> InboxMessage:
    """Return what a subscriber has to do about an event, with event and workflow, if ``actor`` may do this with it.

    :raises NotFound: if there is none, or none that the actor may see.
    :raises Forbidden: if the actor may see it but not do that.
    """
    row = InboxMessage.objects.select_related("message", "workflow__team").filter(pk=inbox_id).first()
    if row is None:
        raise NotFound("There is no such event of a subscriber, or none that you may see.")
    authorise(actor, permission, row)
    return row


@transaction.atomic
def send_missed(*, actor: Actor, inbox_id: UUID, reason: str) -> InboxMessage:
    """Let the subscriber look at the event again.

    :raises NotFound: if the actor may not see it.
    :raises Forbidden: if the actor may see it but not do this.
    :raises InvalidInput: for a reason of fewer than 10 characters.
    :raises InvalidTransition: if it was acted on meanwhile, is a dead letter, or was given up.
    """
    reason = checked_reason(reason)
    row = _taken(actor, inbox_id, Permission.REPLAY_DEAD_LETTER)
    send_again(row)
    _audit(actor, "workflows.event.send_again", row, reason)
    return row


@transaction.atomic
def give_up_missed(*, actor: Actor, inbox_id: UUID, reason: str) -> InboxMessage:
    """Note that this subscriber need not act on the event. The event itself stays.

    :raises NotFound: if the actor may not see it.
    :raises Forbidden: if the actor may see it but not do this.
    :raises InvalidInput: for a reason of fewer than 10 characters.
    :raises InvalidTransition: if it was acted on meanwhile, is a dead letter, or was given up.
    """
    reason = checked_reason(reason)
    row = _taken(actor, inbox_id, Permission.DISCARD_DEAD_LETTER)
    row.status, row.next_attempt_at, row.taken_by = _Status.DISCARDED, None, ""
    row.save(update_fields=["status", "next_attempt_at", "taken_by"])
    _audit(actor, "workflows.event.give_up", row, reason)
    return row


def _gap(parts: Iterable[Mapping[str, Any]]) -> Gap:
    parts = list(parts)
    first = parts[0]
    return Gap(
        event=first["message__name"],
        consumer=first["consumer"],
        workflow=first["workflow__slug"] or "",
        title=first["workflow__title"] or first["consumer"],
        kind=first["kind"],
        missing=sum(part["missing"] for part in parts),
        oldest_due_at=min(part["oldest"] for part in parts),
        money=summed((part["sum"], part["message__currency"]) for part in parts),
    )


def _taken(actor: Actor, inbox_id: UUID, permission: Permission) -> InboxMessage:
    """Return the row, locked until the transaction ends, if the actor may do this and it is still to be acted on."""
    access_missed(actor, inbox_id, permission=permission)
    row = InboxMessage.objects.select_for_update(of=("self",)).select_related("message", "workflow").get(pk=inbox_id)
    if row.status != _Status.PENDING:
        raise InvalidTransition(f"It is {row.get_status_display().lower()} meanwhile; there is nothing to do.")
    return row


def _audit(actor: Actor, action: str, row: InboxMessage, reason: str) -> None:
    record(
        actor=actor,
        action=action,
        object_type="event",
        object_id=str(row.message_id),
        object_label=f"{row.message.name} for {row.consumer}",
        reason=reason,
        before={"status": _Status.PENDING.value},
        after={"status": str(row.status)},
    )
