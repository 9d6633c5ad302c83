"""Acting on an event, once for each subscriber: what it leads to and the note that it is done commit together.

A worker takes rows from the table (the message that called it names none): that counts as an attempt and is a
fencing token. What it leaves behind when it dies is given to another. What fails is tried again after growing pauses,
then it is a dead letter; a payload that does not fit is one at once.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now
from structlog.contextvars import bound_contextvars

from portal.core.actor import Actor
from portal.core.correlation import correlated
from portal.core.errors import PortalError
from workflows.definition import contracts
from workflows.definition.event import On
from workflows.definition.sensitive import sensitive_fields
from workflows.definition.values import Retry
from workflows.engine import crash_points, retry
from workflows.engine.failure import describe_error
from workflows.engine.interrupt import FAILURES, time_limit
from workflows.events import waits
from workflows.events.consumers import UnknownConsumer, subscription
from workflows.events.endings import bury, mark_handled, payload_of
from workflows.events.reading import PayloadDoesNotFit, read_event
from workflows.models import DeadLetter, InboxMessage
from workflows.redaction import values_under
from workflows.services.start import start_run

log = logging.getLogger(__name__)
TRIES = Retry(attempts=5, base=2.0, cap=300.0)
LIMIT_SECONDS = 10.0  # for an author's functions that make an input from an event
_AWAY = (OperationalError, InterfaceError)  # says nothing about the message; it is taken again
_Reason = DeadLetter.Reason


def handle(inbox_id: UUID, attempt: int) -> None:
    """Act on an event that this worker has taken. Does nothing if somebody else has taken it since.

    :raises django.db.OperationalError: if the database is away.
    """
    if attempt > TRIES.attempts:
        _give_up(inbox_id, attempt)
        return
    try:
        with transaction.atomic():
            inbox = _held(inbox_id, attempt)
            if inbox is not None:
                _act(inbox)
                crash_points.reach("consumer.inside_transaction")
    except _AWAY:
        raise
    except FAILURES as error:
        _failed(inbox_id, attempt, error)
    crash_points.reach("consumer.after_commit")


def _held(inbox_id: UUID, attempt: int) -> InboxMessage | None:
    """Return the row, locked (those it wakes before it), if it is still this worker's to act on."""
    row = InboxMessage.objects.filter(pk=inbox_id).values_list("kind", "consumer", "key").first()
    if row is not None and row[0] == InboxMessage.Kind.WAIT:
        waits.hold_runs(row[1], row[2])
    return _locked(inbox_id, attempt)


def _locked(inbox_id: UUID, attempt: int) -> InboxMessage | None:
    pending = InboxMessage.objects.filter(pk=inbox_id, status=InboxMessage.Status.PENDING, attempts=attempt)
    return pending.select_for_update(of=("self",)).select_related("message", "workflow").first()


def _act(inbox: InboxMessage) -> None:
    with (
        correlated(inbox.message.correlation_id),
        bound_contextvars(event=inbox.message.name, event_id=str(inbox.message_id), consumer=inbox.consumer),
    ):
        if inbox.kind == InboxMessage.Kind.START:
            mark_handled(inbox, _start(inbox))
        elif not waits.deliver(inbox):
            _leave_unclaimed(inbox)


def _start(inbox: InboxMessage) -> UUID | None:
    """Start the run that the event asks for; None if it is not for this workflow."""
    message = inbox.message
    on = subscription(inbox.consumer, message.name)
    event = read_event(on.event, payload_of(inbox), message.version)
    with time_limit(LIMIT_SECONDS):
        data, key = on.input(event), _key_of(on, event)
    if data is None:
        return None
    started = start_run(
        actor=Actor(kind="system", id="event", label=f"event {message.name}", origin="engine"),
        workflow=inbox.consumer,
        input=data,
        idempotency_key=key or f"event:{message.pk}",
        correlation_id=message.correlation_id,
        reason=f"Event {message.pk}",
    )
    return started.run.pk


def _key_of(on: On[Any], event: Any) -> str | None:
    return on.key(event) if on.key else None


def _leave_unclaimed(inbox: InboxMessage) -> None:
    """Nobody waits for it yet: it stays for the first run that does."""
    inbox.next_attempt_at, inbox.taken_by, inbox.attempts = None, "", 0
    inbox.save(update_fields=["next_attempt_at", "taken_by", "attempts"])


# When it did not go well --------------------------------------------------------------------------------


def _failed(inbox_id: UUID, attempt: int, error: BaseException) -> None:
    with transaction.atomic():
        inbox = _locked(inbox_id, attempt)
        if inbox is None:
            return
        described = describe_error(error, _secrets(inbox))
        reason = _reason_to_end(error, attempt)
        if reason is not None:
            bury(inbox, reason, described)
            return
        pause = timedelta(seconds=retry.backoff(TRIES, attempt))
        inbox.error, inbox.next_attempt_at, inbox.taken_by = described, Now() + pause, ""
        inbox.save(update_fields=["error", "next_attempt_at", "taken_by"])
        log.warning("%s could not act on event %s: %s", inbox.consumer, inbox.message_id, described["message"])


def _reason_to_end(error: BaseException, attempt: int) -> DeadLetter.Reason | None:
    """Return why no further try will help, None if one may."""
    if isinstance(error, PayloadDoesNotFit):
        return _Reason.CONTRACT
    is_last = attempt >= TRIES.attempts
    if isinstance(error, UnknownConsumer):
        return _Reason.UNKNOWN_CONSUMER if is_last else None  # other workers may have newer code
    if retry.is_final(error) or (isinstance(error, PortalError) and not error.retryable):
        return _Reason.REJECTED
    return _Reason.EXHAUSTED if is_last else None


def _give_up(inbox_id: UUID, attempt: int) -> None:
    """Put aside what took worker after worker down."""
    with transaction.atomic():
        inbox = _locked(inbox_id, attempt)
        if inbox is not None:
            bury(inbox, _Reason.EXHAUSTED, inbox.error or _LOST)


def _secrets(inbox: InboxMessage) -> set[str]:
    contract = contracts.find(inbox.message.name, inbox.message.version)
    return values_under(payload_of(inbox), sensitive_fields(contract.model)) if contract else set()


_LOST: dict[str, Any] = {
    "type": "WorkerLost",
    "code": "worker-lost",
    "message": "Each worker that took it died or stopped before it was done.",
    "context": {},
    "chain": [],
    "stack": [],
}
