"""Two workflows that are tied together by events: the bank tells of a transfer, the ledger of a paid invoice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from portal.demo.flows import Booking, Currency, Email, Invoice, Mail, Money, mail, mail_url
from portal.demo.models import Account
from portal.demo.services.ledger import book_entry, reverse_entry
from workflows import Effect, Event, Impact, InvalidData, Objective, On, Retry, Sensitive, StepContext, Workflow

PAYMENT_TIME = timedelta(minutes=10)  # a demo's ten days


class PaymentConfirmed(
    Event,
    name="payment.confirmed",
    version=1,
    key="invoice_number",
    amount="amount",
    currency="currency",
    customer="client_id",
    within=timedelta(minutes=15),
):
    """The bank has credited a transfer. Sent by the bank, more than once if it hears no answer."""

    invoice_number: str
    client_id: str
    amount: Decimal
    currency: Currency
    bank_reference: str
    account: Annotated[str, Sensitive()] = ""


class InvoicePaid(
    Event,
    name="invoice.paid",
    version=1,
    key="invoice_number",
    amount="amount",
    currency="currency",
    customer="client_id",
    within=timedelta(minutes=5),
):
    """A transfer is in the ledger."""

    invoice_number: str
    client_id: str
    amount: Decimal
    currency: Currency
    receipt_to: Annotated[str, Sensitive()]


class TransferRequest(BaseModel):
    """An invoice that a client pays by bank transfer."""

    invoice_number: Annotated[str, Field(title="Invoice number", pattern=r"^INV-\d{4}-\d{4,6}$")]
    client_id: Annotated[str, Field(title="Client", pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
    amount: Annotated[Money, Field(description="What the client owes, tax included", examples=["1250.00"])]
    currency: Currency = "EUR"
    receipt_to: Annotated[Email, Field(title="Receipt to", description="Where bill and receipt are mailed")]

    @classmethod
    def for_invoice(cls, invoice: Invoice) -> TransferRequest:
        """Return the request to pay this invoice by transfer instead of by card."""
        return cls.model_validate(invoice.model_dump(include=set(cls.model_fields)))


class Receipt(BaseModel):
    """A receipt that is owed for a payment."""

    invoice_number: str
    client_id: str
    amount: Money
    currency: Currency
    receipt_to: Annotated[Email, Sensitive()]


payment_confirmation = Workflow(
    "payment-confirmation",
    version=1,
    owner="finance-operations",
    tier=2,
    input=TransferRequest,
    title="Await a bank transfer",
    description="Bills a client, waits for the bank's notice of the transfer and books it; reminds who has not paid.",
    objective=Objective(success=0.99, within=timedelta(minutes=15)),
    runbook="payment-confirmation",
    impact=Impact(amount="amount", currency="currency", customer="client_id"),
    requires=[mail_url],
)


def is_paid(payment: PaymentConfirmed | None) -> bool:
    """Tell whether the bank's notice came in time."""
    return payment is not None


def is_unpaid(payment: PaymentConfirmed | None) -> bool:
    """Tell whether nothing came in time."""
    return payment is None


def _mailed(ctx: StepContext, request: TransferRequest | Receipt, subject: str, text: str) -> Mail:
    body = {"to": request.receipt_to, "subject": subject, "text": text}
    return Mail.model_validate(ctx.http.post("/receipts", json=body).json())


@payment_confirmation.step(effect=Effect.EXTERNAL, calls=mail, title="Send the bill")
def send_bill(transfer_request: TransferRequest, ctx: StepContext) -> Mail:
    """Mail the client what to pay, and the invoice number to name."""
    amount = f"{transfer_request.amount} {transfer_request.currency}"
    return _mailed(
        ctx,
        transfer_request,
        f"Invoice {transfer_request.invoice_number}",
        f"Please transfer {amount} and name {transfer_request.invoice_number}.",
    )


payment = payment_confirmation.wait_for(
    "payment",
    PaymentConfirmed,
    key=lambda transfer_request: transfer_request.invoice_number,
    timeout=PAYMENT_TIME,
    after=[send_bill],
    title="Wait for the bank's notice",
)


@payment_confirmation.step(effect=Effect.DATABASE, when=is_paid, emits=[InvoicePaid], title="Book the payment")
def book_payment(transfer_request: TransferRequest, payment: PaymentConfirmed | None, ctx: StepContext) -> Booking:
    """Book what came in, and tell that the invoice is paid."""
    assert payment is not None  # noqa: S101 - see when=
    entry = book_entry(
        operation_key=ctx.operation_key,
        debit=Account.BANK,
        credit=Account.RECEIVABLES,
        amount=payment.amount,
        currency=payment.currency,
        party=transfer_request.client_id,
        text=f"{transfer_request.invoice_number} paid by transfer, {payment.bank_reference}"[:200],
    )
    ctx.emit(
        InvoicePaid(
            invoice_number=transfer_request.invoice_number,
            client_id=transfer_request.client_id,
            amount=payment.amount,
            currency=payment.currency,
            receipt_to=transfer_request.receipt_to,
        )
    )
    return Booking(entry_id=entry.id)


@book_payment.compensate
def reverse_payment(book_payment: Booking, ctx: StepContext) -> None:
    """Book the mirror image of the payment."""
    reverse_entry(entry_id=book_payment.entry_id, operation_key=ctx.operation_key)


@payment_confirmation.step(
    effect=Effect.EXTERNAL,
    calls=mail,
    retry=Retry(attempts=3, base=2, cap=30),
    when=is_unpaid,
    optional=True,
    title="Remind the client",
)
def remind(transfer_request: TransferRequest, payment: PaymentConfirmed | None, ctx: StepContext) -> Mail:
    """Ask again. Not vital: a failure only degrades the run."""
    number = transfer_request.invoice_number
    return _mailed(ctx, transfer_request, f"Reminder: {number}", f"We have no payment for {number} yet.")


def receipt_for(event: InvoicePaid) -> Receipt:
    """Make the receipt that a payment asks for.

    :raises InvalidData: naming what has to be corrected before it is replayed.
    """
    try:
        return Receipt.model_validate(event.model_dump())
    except ValidationError as exc:
        wrong = ", ".join(str(each["loc"][0]) for each in exc.errors(include_input=False, include_url=False))
        raise InvalidData(f"A receipt cannot have this {wrong}. Correct it and replay.") from None


payment_receipt = Workflow(
    "payment-receipt",
    version=1,
    owner="finance-operations",
    tier=3,
    input=Receipt,
    title="Send a payment receipt",
    description="Mails the receipt for an invoice that was paid by transfer. Started by the event invoice.paid.",
    objective=Objective(success=0.98, within=timedelta(minutes=10)),
    runbook="payment-confirmation",
    impact=Impact(amount="amount", currency="currency", customer="client_id"),
    requires=[mail_url],
    on_event=On(InvoicePaid, input=receipt_for),
)


@payment_receipt.step(effect=Effect.EXTERNAL, calls=mail, title="Mail the receipt")
def mail_receipt(receipt: Receipt, ctx: StepContext) -> Mail:
    """Mail what was paid."""
    text = f"We received {receipt.amount} {receipt.currency}. Thank you."
    return _mailed(ctx, receipt, f"Receipt for {receipt.invoice_number}", text)
