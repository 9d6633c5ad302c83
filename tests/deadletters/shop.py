"""A small event, a workflow that starts on it, and rows of both that look real."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Annotated, Any

from pydantic import BaseModel, Field

from portal.core.clock import now
from portal.core.ids import uuid7
from tests.engine.flows import OBJECTIVE
from tests.factories import make_team
from workflows import Effect, Event, Impact, On, Sensitive, StepContext, Workflow
from workflows.models import DeadLetter, InboxMessage, OutboxMessage
from workflows.models import Workflow as WorkflowRow
from workflows.services.registration import registered_workflow

_numbers = count(7001)


class Received(
    Event, name="test.received", version=2, key="invoice", amount="amount", currency="currency", customer="client"
):
    """Somebody has paid an invoice."""

    invoice: str
    client: str
    amount: Annotated[Decimal, Field(gt=0)]
    currency: str = "EUR"
    iban: Annotated[str, Sensitive()]


class Booking(BaseModel):
    """What is booked."""

    invoice: str
    amount: Decimal
    currency: str


def booking_of(received: Received) -> Booking:
    """Make the input of a run from the event."""
    return Booking(invoice=received.invoice, amount=received.amount, currency=received.currency)


book_payment = Workflow(
    "test-book-payment",
    version=1,
    owner="test-team",
    title="Book a payment",
    input=Booking,
    objective=OBJECTIVE,
    runbook="test",
    impact=Impact(amount="amount", currency="currency"),
    on_event=On(Received, input=booking_of),
)


@book_payment.step(effect=Effect.PURE)
def book(booking: Booking, ctx: StepContext) -> None:
    """Book it."""


def subscriber() -> WorkflowRow:
    """Return the registered workflow that starts on the event."""
    make_team("test-team")
    return registered_workflow(book_payment)


def make_event(**payload: Any) -> OutboxMessage:
    """Return an event that was emitted and handed to its subscribers."""
    number = next(_numbers)
    said = {
        "invoice": f"INV-{number}",
        "client": "client-3",
        "amount": "250.00",
        "currency": "EUR",
        "iban": "DE02120300000000202051",
    } | payload
    return OutboxMessage.objects.create(
        name="test.received",
        version=2,
        key=said["invoice"],
        payload=said,
        origin=OutboxMessage.Origin.API,
        emitted_by="bank",
        correlation_id=uuid7().hex,
        customer_key="client-3",
        amount=Decimal("250.00"),
        currency="EUR",
        emitted_at=now() - timedelta(minutes=20),
        routed_at=now() - timedelta(minutes=20),
    )


def make_letter(
    *,
    error: str = "amount: Input should be greater than 0",
    reason: DeadLetter.Reason = DeadLetter.Reason.CONTRACT,
    died_at: datetime | None = None,
    payload: dict[str, Any] | None = None,
    workflow: WorkflowRow | None = None,
    **fields: Any,
) -> DeadLetter:
    """Return a dead letter of the subscriber, open unless ``fields`` say otherwise."""
    message, workflow = make_event(**payload or {}), workflow or subscriber()
    inbox = InboxMessage.objects.create(
        consumer=workflow.slug,
        kind=InboxMessage.Kind.START,
        workflow=workflow,
        message=message,
        key=message.key,
        status=InboxMessage.Status.DEAD,
        attempts=1,
        due_at=now() - timedelta(minutes=5),
        created_at=message.emitted_at,
    )
    told = {
        "type": "PayloadDoesNotFit",
        "code": "contract",
        "message": error,
        "context": {},
        "chain": [],
        "stack": [],
    }
    values = {
        "inbox": inbox,
        "message": message,
        "consumer": inbox.consumer,
        "workflow": workflow,
        "reason": reason,
        "error": told,
        "payload": message.payload,
        "attempts": 1,
        "died_at": died_at or now() - timedelta(minutes=10),
    }
    return DeadLetter.objects.create(**values | fields)


def make_missed(*, workflow: WorkflowRow | None = None, overdue: timedelta = timedelta(minutes=5)) -> InboxMessage:
    """Return an event that its subscriber should have acted on, and has not."""
    message, workflow = make_event(), workflow or subscriber()
    return InboxMessage.objects.create(
        consumer=workflow.slug,
        kind=InboxMessage.Kind.START,
        workflow=workflow,
        message=message,
        key=message.key,
        status=InboxMessage.Status.PENDING,
        due_at=now() - overdue,
        created_at=message.emitted_at,
    )
