"""The nightly batch: charge the card of each invoice that is due, post what was paid, and report what is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from portal.demo.cast import DECLINED_CARD, some_invoice
from portal.demo.flows import Email, Mail, mail, mail_url, payments, payments_url
from portal.demo.models import Account
from portal.demo.services.ledger import book_entry, reverse_entry
from workflows import Effect, Item, Objective, Retry, Schedule, Sensitive, StepContext, Workflow

DECLINED_EVERY = 83  # one card in so many is declined


class BillingNight(BaseModel):
    """One night's batch."""

    day: Annotated[date, Field(description="The day whose invoices are due", examples=["2026-11-19"])]
    invoices: Annotated[int, Field(ge=1, le=5000, description="How many invoices the demo makes up")] = 300
    report_to: Annotated[
        Email, Field(title="Report to", description="Who is told what is missing", examples=["billing@firm.example"])
    ] = "billing@firm.example"


class DueInvoice(BaseModel):
    """An invoice that is due, and the card that it is charged to."""

    invoice_number: str
    client_id: str
    amount: Decimal
    currency: str
    card_token: Annotated[str, Sensitive()]


class Payment(BaseModel):
    """An invoice that was paid by card."""

    invoice_number: str
    client_id: str
    amount: Decimal
    currency: str
    charge_id: str


class Posting(BaseModel):
    """A payment in the ledger."""

    entry_id: UUID


def billing_night(due: datetime) -> BillingNight:
    """Return the batch of the day before ``due``."""
    return BillingNight(day=due.date() - timedelta(days=1))


nightly_batch_billing = Workflow(
    "nightly-batch-billing",
    version=1,
    owner="finance-operations",
    tier=2,
    input=BillingNight,
    title="Nightly batch billing",
    description="Charges every invoice that is due, posts each payment, and reports the invoices that are missing.",
    objective=Objective(success=0.99, within=timedelta(hours=1)),
    runbook="nightly-batch-billing",
    requires=[payments_url, mail_url],
    schedule=Schedule("30 2 * * *", zone="Europe/London", input=billing_night),
)


@nightly_batch_billing.step(effect=Effect.PURE, title="Collect the invoices")
def collect_invoices(billing_night: BillingNight) -> list[DueInvoice]:
    """List the invoices that are due. The demo makes the same ones up for the same day."""
    rng = Random(billing_night.day.toordinal())  # noqa: S311 - plausible, not secret
    at = datetime.combine(billing_night.day, time(), UTC)
    found = []
    for number in range(1, billing_night.invoices + 1):
        card = DECLINED_CARD if number % DECLINED_EVERY == 0 else ""
        invoice = some_invoice(rng, number, at, card=card)
        number_of_the_night = f"NB-{billing_night.day:%Y%m%d}-{number:04}"
        found.append(DueInvoice(**invoice.model_dump() | {"invoice_number": number_of_the_night}))
    return found


@nightly_batch_billing.step(
    effect=Effect.EXTERNAL,
    calls=payments,
    retry=Retry(attempts=4, base=2, cap=60),
    each="collect_invoices",
    concurrency=8,
    tolerate=0.05,
    item=Item(name="invoice_number", amount="amount", currency="currency"),
    title="Charge each card",
)
def charge_card(due_invoice: DueInvoice, ctx: StepContext) -> Payment:
    """Take the amount from the client's card. The gateway honours the operation key of each invoice."""
    answer = ctx.http.post(
        "/charges",
        json={
            "amount": str(due_invoice.amount),
            "currency": due_invoice.currency,
            "invoice": due_invoice.invoice_number,
            "card_token": due_invoice.card_token,
        },
    )
    paid = due_invoice.model_dump(exclude={"card_token"})
    return Payment(**paid, charge_id=answer.json()["id"])


@charge_card.compensate
def refund_card(charge_card: Payment, ctx: StepContext) -> None:
    """Give the money of each invoice back."""
    ctx.http.post(f"/charges/{charge_card.charge_id}/refunds")


@nightly_batch_billing.step(
    effect=Effect.DATABASE,
    each="charge_card",
    concurrency=8,
    item=Item(name="invoice_number", amount="amount", currency="currency"),
    title="Post each payment",
)
def post_payment(payment: Payment, ctx: StepContext) -> Posting:
    """Book the payment: card clearing against the client's receivable, once and together with the checkpoint."""
    entry = book_entry(
        operation_key=ctx.operation_key,
        debit=Account.CARD_CLEARING,
        credit=Account.RECEIVABLES,
        amount=payment.amount,
        currency=payment.currency,
        party=payment.client_id,
        text=f"{payment.invoice_number} paid by card, {payment.charge_id}",
    )
    return Posting(entry_id=entry.id)


@post_payment.compensate
def reverse_payment(post_payment: Posting, ctx: StepContext) -> None:
    """Book the mirror image of each posting."""
    reverse_entry(entry_id=post_payment.entry_id, operation_key=ctx.operation_key)


@nightly_batch_billing.step(
    effect=Effect.EXTERNAL,
    calls=mail,
    retry=Retry(attempts=3, base=2, cap=30),
    after=[post_payment],
    optional=True,
    title="Report what is missing",
)
def report_missing(
    billing_night: BillingNight,
    collect_invoices: list[DueInvoice],
    charge_card: list[Payment | None],
    ctx: StepContext,
) -> Mail:
    """Tell billing which invoices were not paid, and what they are worth."""
    missing = [due for due, paid in zip(collect_invoices, charge_card, strict=True) if paid is None]
    worth: dict[str, Decimal] = {}
    for due in missing:
        worth[due.currency] = worth.get(due.currency, Decimal(0)) + due.amount
    amounts = ", ".join(f"{amount} {currency}" for currency, amount in sorted(worth.items()))
    names = ", ".join(due.invoice_number for due in missing[:50])
    answer = ctx.http.post(
        "/receipts",
        json={
            "to": billing_night.report_to,
            "subject": f"{len(charge_card) - len(missing)} of {len(charge_card)} invoices were paid",
            "text": f"Missing: {names}, worth {amounts}." if missing else "None is missing.",
        },
    )
    return Mail.model_validate(answer.json())
