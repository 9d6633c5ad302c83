"""What became of bills that were to be paid by transfer, and of the events that tie them to their receipts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from portal.demo.flows import Booking, Mail
from portal.demo.history.events import ROUTING, Events
from portal.demo.history.story import Rows, Story
from portal.demo.models import Account
from portal.demo.transfers.bank import BANK, WAITS
from portal.demo.transfers.flows import (
    PAYMENT_TIME,
    InvoicePaid,
    PaymentConfirmed,
    TransferRequest,
    payment_receipt,
    receipt_for,
)
from workflows import InvalidData
from workflows.engine.failure import describe_error
from workflows.engine.state import RunStatus
from workflows.models import DeadLetter, OutboxMessage, Workflow

# Told by another program lately: (hours ago, invoice, client, amount, where the receipt goes).
_REFUSED: Sequence[tuple[float, str, str, str, str]] = (
    (26.0, "INV-2026-88104", "kestrel-logistics", "4180.00", "accounts(at)kestrel.example"),
    (3.1, "INV-2026-88131", "vermeer-instruments", "12650.00", "accounts(at)vermeer.example"),
    (0.8, "INV-2026-88140", "quayside-dental", "515.00", "accounts at quayside.example"),
)


class TransferStory(Story):
    """A bill on its way through ``payment-confirmation``."""

    @property
    def data(self) -> TransferRequest:
        """The run's input."""
        return TransferRequest.model_validate(self.run.input)

    @property
    def events(self) -> Events:
        """Where the run's events are written."""
        return Events(self.rows, self.rng)

    def mail(self, step: str) -> Mail:
        """A mail goes out."""
        mail = Mail(id=f"ml_{self.rng.getrandbits(80):020x}")
        self.succeed(step, mail, self.rng.lognormvariate(-1.7, 0.4))
        return mail

    def stand_waiting(self, seconds: float) -> None:
        """The run stands at the wait, without a worker."""
        key = {"event": "payment.confirmed", "key": self.data.invoice_number}
        self.event("step.waiting", "payment", reason="event", on=f"{key['event']} for {key['key']}", **key)
        self._sleep(seconds)

    def notice(self, invoice_number: str) -> PaymentConfirmed:
        """The bank's notice, with the invoice number that the client has named."""
        data = self.data
        return PaymentConfirmed(
            invoice_number=invoice_number,
            client_id=data.client_id,
            amount=data.amount,
            currency=data.currency,
            bank_reference=f"TRF-{data.invoice_number[4:]}",
        )

    def hear(self, notice: PaymentConfirmed, at: datetime) -> OutboxMessage:
        """The bank tells of a transfer."""
        source = f"transfer {self.data.invoice_number} of {at:%Y-%m-%d}"
        origin = OutboxMessage.Origin.SYSTEM
        return self.events.emit(notice, at, origin=origin, emitted_by=BANK.label, source_id=source)


def go_well(story: TransferStory, receipts: Workflow) -> ReceiptStory:
    """The client pays, the bank tells, it is booked, and a receipt goes out: returns the receipt's run."""
    data = story.data
    story.mail("send_bill")
    waited = story.rng.uniform(15, 420)
    story.stand_waiting(waited)
    notice = story.notice(data.invoice_number)
    told = story.hear(notice, story.at - 4 * ROUTING)
    story.events.acted(PaymentConfirmed, told, WAITS, story.run.workflow, story.run)
    story.settle_wait("payment", notice, waited)
    text = f"{data.invoice_number} paid by transfer, {notice.bank_reference}"
    entry = story.book("book_payment", Account.BANK, Account.RECEIVABLES, data.amount, text)
    booking = Booking(entry_id=entry.id)
    story.succeed("book_payment", booking, story.rng.uniform(0.004, 0.012))
    receipt = _send_receipt(story, receipts)
    story.skip("remind")
    story.end(RunStatus.SUCCEEDED)
    return receipt


def go_unpaid(story: TransferStory, *, is_mistyped: bool) -> None:
    """Nothing comes in time, and the client is reminded. One may have paid, and named another invoice."""
    story.mail("send_bill")
    number = story.data.invoice_number
    if is_mistyped:
        notice = story.notice(f"{number[:-2]}{number[-1]}{number[-2]}0")
        told = story.hear(notice, story.at + timedelta(seconds=story.rng.uniform(15, 420)))
        story.events.unclaimed(PaymentConfirmed, told, WAITS, story.run.workflow)
    story.stand_waiting(PAYMENT_TIME / timedelta(seconds=1))
    story.settle_wait("payment", None, PAYMENT_TIME / timedelta(seconds=1))
    story.skip("book_payment")
    reminder = story.mail("remind")
    story.end(RunStatus.SUCCEEDED, output=reminder.model_dump(mode="json"))


class ReceiptStory(Story):
    """A receipt on its way through ``payment-receipt``."""


def _send_receipt(story: TransferStory, workflow: Workflow) -> ReceiptStory:
    """The booking tells that the invoice is paid, and that starts the receipt's run."""
    paid = InvoicePaid.model_validate(story.data.model_dump())
    told = story.events.emit(
        paid,
        story.at,
        origin=OutboxMessage.Origin.RUN,
        workflow=story.run.workflow,
        run=story.run,
        step="book_payment",
        correlation_id=story.run.correlation_id,
    )
    at = story.at + 3 * ROUTING
    receipt = ReceiptStory(workflow, payment_receipt, receipt_for(paid), at, story.rng, "event invoice.paid")
    receipt.run.correlation_id, receipt.run.idempotency_key = story.run.correlation_id, f"event:{told.pk}"
    story.events.acted(InvoicePaid, told, payment_receipt.name, workflow, receipt.run)
    mail = Mail(id=f"ml_{story.rng.getrandbits(80):020x}")
    receipt.succeed("mail_receipt", mail, story.rng.lognormvariate(-1.7, 0.4))
    receipt.end(RunStatus.SUCCEEDED, output=mail.model_dump(mode="json"))
    return receipt


def refused_events(rng: Random, now: datetime, workflow: Workflow) -> Rows:
    """Another program told of paid invoices, with addresses that no receipt can be mailed to."""
    rows = Rows()
    events = Events(rows, rng)
    for hours, number, client, amount, address in _REFUSED:
        paid = InvoicePaid(
            invoice_number=number, client_id=client, amount=Decimal(amount), currency="EUR", receipt_to=address
        )
        told = events.emit(
            paid,
            now - timedelta(hours=hours),
            origin=OutboxMessage.Origin.API,
            emitted_by="Client portal",
            source_id=f"receipt {number}",
        )
        inbox = events.unclaimed(InvoicePaid, told, payment_receipt.name, workflow)
        try:
            receipt_for(paid)
        except InvalidData as exc:
            error = describe_error(exc, {address})
            error["stack"] = error["stack"][-1:]  # without this function, in which nothing of it has happened
            events.died(inbox, DeadLetter.Reason.REJECTED, error)
    return rows
