"""Emitting an event from outside a run; sending again what somebody missed, or giving it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from pydantic import ValidationError

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.clock import now
from portal.core.correlation import current_correlation_id, new_correlation_id
from portal.core.errors import IdempotencyKeyReused, InvalidInput, InvalidTransition
from portal.core.permissions import Permission
from workflows import dispatch
from workflows.definition import contracts
from workflows.definition.event import Event, Message, message_of
from workflows.events import store
from workflows.events.reading import misfitting_fields
from workflows.models import DeadLetter, InboxMessage, OutboxMessage

MAX_SOURCE_ID = 200
_ORIGINS = {
    "person": OutboxMessage.Origin.PERSON,
    "token": OutboxMessage.Origin.API,
    "system": OutboxMessage.Origin.SYSTEM,
}


@dataclass(frozen=True, slots=True)
class EmittedEvent:
    """An event, and whether this call emitted it (False: its sender has sent it before)."""

    message: OutboxMessage
    created: bool


def emit_event(
    *, actor: Actor, event: Event, source_id: str | None = None, correlation_id: str | None = None
) -> EmittedEvent:
    """Tell an event's subscribers, exactly if the caller's transaction commits.

    :param source_id: the sender's own id of it; the same one again, with the same content, is the first event.
    :raises Forbidden: if the actor may not emit events.
    :raises InvalidInput: if it cannot be stored.
    :raises IdempotencyKeyReused: if the id was used before with another content.
    """
    authorise(actor, Permission.EMIT_EVENT)
    message = _message(event)
    row = OutboxMessage(
        id=message.id,
        name=message.name,
        version=message.version,
        key=message.key,
        payload=message.payload,
        origin=_ORIGINS[actor.kind],
        emitted_by=actor.label[:200],
        source_id=_checked_source_id(source_id),
        correlation_id=correlation_id or current_correlation_id() or new_correlation_id(),
        customer_key=message.customer,
        amount=message.amount,
        currency=message.currency,
        emitted_at=now(),
    )
    with transaction.atomic():
        if not _insert(row):
            return EmittedEvent(_first(row), created=False)
        if actor.kind != "system":
            record(
                actor=actor,
                action="workflows.event.emit",
                object_type="event",
                object_id=str(row.pk),
                object_label=str(row),
            )
        store.wake_dispatcher()
    return EmittedEvent(row, created=True)


def read_emitted(*, name: str, payload: Mapping[str, Any], version: int | None = None) -> Event:
    """Return what somebody outside sent as an event, the latest version of it if they name none.

    :raises InvalidInput: with ``fields`` if there is no such event, or the payload does not fit it.
    """
    versions = contracts.versions_of(name)
    if not versions:
        message = "There is no event of this name."
        raise InvalidInput(message, fields={"name": [message]})
    contract = versions[-1] if version is None else contracts.find(name, version)
    if contract is None:
        known = ", ".join(str(each.version) for each in versions)
        message = f"There is no version {version} of {name}. Known: {known}."
        raise InvalidInput(message, fields={"version": [message]})
    try:
        return contract.model.model_validate(payload)
    except ValidationError as exc:
        fields = {f"payload.{field}": problems for field, problems in misfitting_fields(exc).items()}
        raise InvalidInput(f"The payload does not fit {contract}.", fields=fields) from exc


def replay_message(letter: DeadLetter, *, payload: Mapping[str, Any] | None = None) -> None:
    """Hand a locked dead letter to its subscriber again; it is an open one again if that fails.

    :param payload: read instead of what was sent before. The event itself stays as it was emitted.
    """
    inbox = letter.inbox
    if payload is not None:
        inbox.payload = letter.payload = payload
    inbox.status = InboxMessage.Status.PENDING
    send_again(inbox)
    letter.status, letter.last_replayed_at = DeadLetter.Status.REPLAYED, now()
    letter.replay_count += 1
    letter.save()


def send_again(inbox: InboxMessage) -> None:
    """Let a subscriber look at a locked, pending event again; harmless if it has it in hand this moment.

    :raises InvalidTransition: if it has acted on it already, or has been given up.
    """
    if inbox.status != InboxMessage.Status.PENDING:
        raise InvalidTransition(f"It is {inbox.status}; there is nothing to send again.")
    inbox.attempts, inbox.next_attempt_at, inbox.taken_by = 0, now(), ""
    inbox.save(update_fields=["status", "payload", "attempts", "next_attempt_at", "taken_by"])
    dispatch.enqueue_events()


def _message(event: Event) -> Message:
    try:
        return message_of(event)
    except ValueError as exc:
        raise InvalidInput(str(exc), fields={"payload": [str(exc)]}) from exc


def _checked_source_id(source_id: str | None) -> str | None:
    if source_id is not None and not (0 < len(source_id) <= MAX_SOURCE_ID and source_id.isprintable()):
        message = f"A sender's id has 1 to {MAX_SOURCE_ID} printable characters."
        raise InvalidInput(message, fields={"source_id": [message]})
    return source_id


def _insert(row: OutboxMessage) -> bool:
    """Write the event; False if its sender has sent it before."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        if not OutboxMessage.objects.filter(name=row.name, source_id=row.source_id).exists():
            raise
        return False
    return True


def _first(again: OutboxMessage) -> OutboxMessage:
    """Return the event that was emitted with the same id of its sender."""
    first = OutboxMessage.objects.get(name=again.name, source_id=again.source_id)
    if (first.version, first.payload) != (again.version, again.payload):
        raise IdempotencyKeyReused(
            "The sender's id was used before, for an event with another content.", event_id=str(first.pk)
        )
    return first
