"""How a subscriber's part in an event ends: it has acted, or the event is a dead letter for a person."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from django.db.models import F

from portal.core.clock import now
from workflows.models import DeadLetter, InboxMessage

log = logging.getLogger(__name__)


def payload_of(inbox: InboxMessage) -> dict[str, Any]:
    """Return what the subscriber reads: the event's payload, or what a person made of it."""
    payload: dict[str, Any] = inbox.message.payload if inbox.payload is None else inbox.payload
    return payload


def mark_handled(inbox: InboxMessage, run_id: UUID | None) -> None:
    """Note that the subscriber has acted. ``run_id``: what it started or woke; None if it was not for it."""
    inbox.status, inbox.handled_at, inbox.run_id = InboxMessage.Status.HANDLED, now(), run_id
    inbox.next_attempt_at, inbox.error = None, None
    inbox.save(update_fields=["status", "handled_at", "run", "next_attempt_at", "error"])


def bury(inbox: InboxMessage, reason: DeadLetter.Reason, error: dict[str, Any]) -> DeadLetter:
    """Make the locked inbox row a dead letter; one that was replayed in vain is an open one again."""
    inbox.status, inbox.error, inbox.next_attempt_at, inbox.taken_by = InboxMessage.Status.DEAD, error, None, ""
    inbox.save(update_fields=["status", "error", "next_attempt_at", "taken_by"])
    found = {
        "reason": reason,
        "error": error,
        "died_at": now(),
        "status": DeadLetter.Status.OPEN,
        "payload": payload_of(inbox),
    }
    message = inbox.message
    fixed = {"message": message, "consumer": inbox.consumer, "workflow": inbox.workflow, "is_demo": message.is_demo}
    letter, is_new = DeadLetter.objects.get_or_create(
        inbox=inbox, defaults=found | fixed | {"attempts": inbox.attempts}
    )
    if not is_new:
        DeadLetter.objects.filter(pk=letter.pk).update(**found, attempts=F("attempts") + inbox.attempts)
        letter.refresh_from_db()
    log.error(
        "It is a dead letter now: %s could not act on event %s (%s): %s",
        inbox.consumer,
        message.name,
        message.pk,
        error["message"],
    )
    return letter
