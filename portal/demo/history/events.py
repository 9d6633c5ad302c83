"""The past of events: what was emitted, who acted on it, and what became a dead letter."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from portal.demo.history.story import Json, Rows, id_at
from workflows.definition.event import Event, contract_of, message_of
from workflows.models import DeadLetter, InboxMessage, OutboxMessage, Run, Workflow

ROUTING = timedelta(seconds=0.02)


class Events:
    """Writes events of the past into ``rows``."""

    def __init__(self, rows: Rows, rng: Random) -> None:
        self._rows, self._rng = rows, rng

    def emit(self, event: Event, at: datetime, **origin: Any) -> OutboxMessage:
        """An event is told at that moment. ``origin``: the fields that say by whom."""
        said = message_of(event)
        message = OutboxMessage(
            id=id_at(self._rng, at),
            name=said.name,
            version=said.version,
            key=said.key,
            payload=said.payload,
            customer_key=said.customer,
            amount=said.amount,
            currency=said.currency,
            emitted_at=at,
            routed_at=at + ROUTING,
            is_demo=True,
            **({"correlation_id": id_at(self._rng, at).hex} | origin),
        )
        self._rows.messages.append(message)
        return message

    def unclaimed(
        self, event: type[Event], message: OutboxMessage, consumer: str, workflow: Workflow
    ) -> InboxMessage:
        """No run has waited for it, until today."""
        at = message.emitted_at + ROUTING
        inbox = InboxMessage(
            id=id_at(self._rng, at),
            consumer=consumer,
            kind=InboxMessage.Kind.WAIT if "." in consumer else InboxMessage.Kind.START,
            workflow=workflow,
            message=message,
            key=message.key,
            due_at=message.emitted_at + contract_of(event).within,
            created_at=at,
        )
        self._rows.inboxes.append(inbox)
        return inbox

    def acted(
        self, event: type[Event], message: OutboxMessage, consumer: str, workflow: Workflow, run: Run
    ) -> InboxMessage:
        """The subscriber acted on it at once: it started the run, or ended the run's wait."""
        inbox = self.unclaimed(event, message, consumer, workflow)
        inbox.status, inbox.run, inbox.attempts = InboxMessage.Status.HANDLED, run, 1
        inbox.taken_at = inbox.handled_at = inbox.created_at + ROUTING
        return inbox

    def died(self, inbox: InboxMessage, reason: DeadLetter.Reason, error: Json) -> None:
        """The subscriber could not act on it."""
        inbox.status, inbox.error, inbox.attempts = InboxMessage.Status.DEAD, error, 1
        inbox.taken_at = inbox.created_at + ROUTING
        letter = DeadLetter(
            id=id_at(self._rng, inbox.taken_at),
            inbox=inbox,
            message=inbox.message,
            consumer=inbox.consumer,
            workflow=inbox.workflow,
            reason=reason,
            error=error,
            payload=inbox.message.payload,
            attempts=1,
            died_at=inbox.taken_at,
            is_demo=True,
        )
        self._rows.letters.append(letter)
