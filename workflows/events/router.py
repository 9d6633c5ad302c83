"""From the outbox to the inboxes: the dispatcher's part. Any number of dispatchers share it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from portal.core.clock import now
from workflows import dispatch
from workflows.definition import contracts, registry
from workflows.engine import crash_points, holder
from workflows.events import store
from workflows.events.consumers import Consumer, every_consumer
from workflows.models import InboxMessage, OutboxMessage, Workflow
from workflows.services.registration import registered_workflow

log = logging.getLogger(__name__)
ROUTED_AT_ONCE = 500
PATIENCE_SECONDS = 2.0  # an event that is due for longer was forgotten, or all workers are busy


def tend_events() -> int:
    """Route what is new, take back what dead workers had in hand, and ring for it; returns the number routed."""
    routed = route_events()
    dead = [name for name in store.takers() if holder.is_known_dead(name)]
    taken_back = store.take_back(dead) if dead else 0
    if routed or taken_back or (store.is_left_alone(PATIENCE_SECONDS) and dispatch.is_silent(dispatch.EVENTS)):
        dispatch.ring(dispatch.EVENTS)
    return routed


def route_events() -> int:
    """Give each subscriber of each new event its inbox row; returns the number of events.

    An event of a version that this process's code does not know is left to a dispatcher with newer code.
    """
    known = _known_here()
    if not OutboxMessage.objects.filter(known, routed_at=None).exists():
        return 0
    with transaction.atomic():
        new = OutboxMessage.objects.select_for_update(skip_locked=True).filter(known, routed_at=None)
        messages = list(new.order_by("id")[:ROUTED_AT_ONCE])
        InboxMessage.objects.bulk_create(_inbox_rows(messages), ignore_conflicts=True)
        OutboxMessage.objects.filter(pk__in=[message.pk for message in messages]).update(routed_at=now())
        crash_points.reach("router.inside_transaction")
    crash_points.reach("router.after_commit")
    return len(messages)


def _known_here() -> Q:
    latest = {contract.name: contract.version for contract in contracts.every_contract()}  # the last one wins
    known = Q(pk__in=())
    for name, version in latest.items():
        known |= Q(name=name, version__lte=version)
    return known


def _inbox_rows(messages: Iterable[OutboxMessage]) -> list[InboxMessage]:
    consumers = every_consumer()
    wanted = [(message, consumer) for message in messages for consumer in consumers if consumer.event == message.name]
    slugs = {consumer.workflow for _, consumer in wanted}
    workflows = {slug: registered_workflow(registry.find_latest(slug)) for slug in slugs}
    return [_inbox_row(message, consumer, workflows[consumer.workflow]) for message, consumer in wanted]


def _inbox_row(message: OutboxMessage, consumer: Consumer, workflow: Workflow) -> InboxMessage:
    contract = contracts.find(message.name, message.version) or contracts.versions_of(message.name)[-1]
    return InboxMessage(
        consumer=consumer.label,
        kind=consumer.kind,
        workflow=workflow,
        message=message,
        key=message.key,
        next_attempt_at=Now(),  # the database's: a dispatcher whose clock is ahead would put the event off
        due_at=message.emitted_at + contract.within,
        created_at=Now(),
    )
