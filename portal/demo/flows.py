"""Two workflows of a legal-finance firm that move real (if sandboxed) money."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from portal.demo.models import Account
from portal.demo.services.ledger import book_entry, reverse_entry
from workflows import (
    Breaker,
    BusinessRuleViolation,
    Dependency,
    Effect,
    Impact,
    Objective,
    Question,
    Retry,
    Sensitive,
    Setting,
    StepContext,
    Workflow,
)

CENT = Decimal("0.01")
SINGLE_CHARGE_LIMIT = Decimal("50000.00")
APPROVED_FROM = Decimal("4000.00")  # a payout of this or more needs a second person

Currency = Literal["EUR", "GBP", "USD"]
Money = Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=2)]
Email = Annotated[
    str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254, json_schema_extra={"format": "email"})
]

payments_url = Setting("PAYMENTS_URL", kind="url")
banking_url = Setting("BANKING_URL", kind="url")
mail_url = Setting("MAIL_URL", kind="url")
payments = Dependency(
    "payments-gateway",
    availability=0.995,
    timeout=5,
    breaker=Breaker(failure_rate=0.5, minimum_calls=10, open_for=8, open_at_most=20),
    url=payments_url,
)
banking = Dependency(
    "partner-bank",
    availability=0.99,
    timeout=8,
    breaker=Breaker(failure_rate=0.5, minimum_calls=5, open_for=10, open_at_most=30),
    url=banking_url,
)
mail = Dependency("mail", availability=0.99, timeout=5, url=mail_url)


class Invoice(BaseModel):
    """An invoice that a client has agreed to pay by card."""

    invoice_number: Annotated[
        str,
        Field(
            title="Invoice number",
            pattern=r"^INV-\d{4}-\d{4,6}$",
            description="As printed on the invoice, like INV-2026-00412",
            examples=["INV-2026-00412"],
        ),
    ]
    client_id: Annotated[
        str,
        Field(
            title="Client",
            pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
            max_length=80,
            description="The client's short name in the client register, like harbour-lane-estates",
            examples=["harbour-lane-estates"],
        ),
    ]
    amount: Annotated[Money, Field(description="What the client owes, tax included", examples=["1250.00"])]
    currency: Annotated[Currency, Field(description="The currency that the invoice is made out in")] = "EUR"
    card_token: Annotated[
        str,
        Field(
            title="Card token",
            min_length=8,
            max_length=80,
            pattern=r"^tok_[A-Za-z0-9_]+$",
            description="The gateway's token for the client's card, never the card's number",
            examples=["tok_visa_4242"],
        ),
        Sensitive(),
    ]
    receipt_to: Annotated[
        Email,
        Field(title="Receipt to", description="Where the receipt is mailed", examples=["a@client.example"]),
    ]


class CheckedInvoice(BaseModel):
    """What is to be charged, after the firm's rules."""

    amount: Decimal
    currency: str
    statement: str


class Charge(BaseModel):
    """A charge at the gateway."""

    id: str
    amount: Decimal
    currency: str


class Booking(BaseModel):
    """An entry in the ledger."""

    entry_id: UUID


class Mail(BaseModel):
    """A mail that was handed over."""

    id: str


settle_invoice = Workflow(
    "settle-invoice",
    version=1,
    owner="finance-operations",
    tier=1,
    input=Invoice,
    title="Settle an invoice",
    description="Charges a client's card, books the payment and mails the receipt.",
    objective=Objective(success=0.995, within=timedelta(minutes=10)),
    runbook="settle-invoice",
    impact=Impact(amount="amount", currency="currency", customer="client_id"),
    requires=[payments_url, mail_url],
)


@settle_invoice.step(effect=Effect.PURE, title="Check the invoice")
def check_invoice(invoice: Invoice) -> CheckedInvoice:
    """Apply the firm's rules before any money moves."""
    if invoice.amount > SINGLE_CHARGE_LIMIT:
        raise BusinessRuleViolation(
            f"{invoice.amount} {invoice.currency} is above {SINGLE_CHARGE_LIMIT}, the limit of one charge. "
            "Split the invoice, or take the payment by bank transfer.",
            limit=str(SINGLE_CHARGE_LIMIT),
        )
    return CheckedInvoice(
        amount=invoice.amount, currency=invoice.currency, statement=f"{invoice.invoice_number} legal services"
    )


@settle_invoice.step(
    effect=Effect.EXTERNAL, calls=payments, retry=Retry(attempts=5, base=2, cap=60), title="Charge the card"
)
def charge(invoice: Invoice, check_invoice: CheckedInvoice, ctx: StepContext) -> Charge:
    """Take the amount from the client's card. The gateway honours the operation key."""
    answer = ctx.http.post(
        "/charges",
        json={
            "amount": str(check_invoice.amount),
            "currency": check_invoice.currency,
            "invoice": invoice.invoice_number,
            "card_token": invoice.card_token,
        },
    )
    return Charge.model_validate(answer.json())


@charge.compensate
def refund(charge: Charge, ctx: StepContext) -> None:
    """Give the money back. The gateway refunds a charge once at most."""
    ctx.http.post(f"/charges/{charge.id}/refunds")


@charge.verify
def find_charge(invoice: Invoice, ctx: StepContext) -> Charge | None:
    """Ask the gateway whether the charge of this operation exists."""
    found = ctx.http.get("/charges", params={"operation_key": ctx.operation_key}).json()["charges"]
    return Charge.model_validate(found[0]) if found else None


@settle_invoice.step(effect=Effect.DATABASE, title="Post to the ledger")
def post_to_ledger(invoice: Invoice, charge: Charge, ctx: StepContext) -> Booking:
    """Book the payment: card clearing against the client's receivable."""
    entry = book_entry(
        operation_key=ctx.operation_key,
        debit=Account.CARD_CLEARING,
        credit=Account.RECEIVABLES,
        amount=charge.amount,
        currency=charge.currency,
        party=invoice.client_id,
        text=f"{invoice.invoice_number} paid by card, {charge.id}",
    )
    return Booking(entry_id=entry.id)


@post_to_ledger.compensate
def reverse_posting(post_to_ledger: Booking, ctx: StepContext) -> None:
    """Book the mirror image; the ledger itself is never changed."""
    reverse_entry(entry_id=post_to_ledger.entry_id, operation_key=ctx.operation_key)


@settle_invoice.step(
    effect=Effect.EXTERNAL,
    calls=mail,
    retry=Retry(attempts=3, base=2, cap=30),
    after=[post_to_ledger],
    optional=True,
    title="Mail the receipt",
)
def send_receipt(invoice: Invoice, charge: Charge, ctx: StepContext) -> Mail:
    """Mail the receipt. The money is safe without it, so a failure only degrades the run."""
    answer = ctx.http.post(
        "/receipts",
        json={
            "to": invoice.receipt_to,
            "subject": f"Receipt for {invoice.invoice_number}",
            "text": f"We received {charge.amount} {charge.currency}. Reference: {charge.id}.",
        },
    )
    return Mail.model_validate(answer.json())


class PartnerShare(BaseModel):
    """A referral partner's share of the fees of one month."""

    partner_id: Annotated[
        str,
        Field(
            title="Partner",
            pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
            max_length=80,
            description="The partner's short name in the partner register, like northwind-advisers",
            examples=["northwind-advisers"],
        ),
    ]
    month: Annotated[
        str,
        Field(
            pattern=r"^20\d\d-(0[1-9]|1[0-2])$",
            description="The month that the fees were earned in, like 2026-10",
            examples=["2026-10"],
        ),
    ]
    fees: Annotated[Money, Field(description="Fees earned through this partner in the month")]
    currency: Annotated[Currency, Field(description="The currency of the partner's account")] = "EUR"
    share_percent: Annotated[
        Decimal,
        Field(
            title="Share in percent",
            gt=0,
            le=50,
            decimal_places=2,
            description="The partner's share as agreed",
        ),
    ] = Decimal("12.50")
    account: Annotated[
        str,
        Field(
            min_length=8,
            max_length=34,
            pattern=r"^[A-Z0-9]+$",
            description="The partner's account (IBAN, without spaces)",
            examples=["DE02120300000000202051"],
        ),
        Sensitive(),
    ]
    advice_to: Annotated[
        Email | None,
        Field(title="Advice to", description="Where the payment advice is mailed; empty for none"),
    ] = None


class Share(BaseModel):
    """What the partner gets."""

    amount: Decimal
    currency: str


class Payout(BaseModel):
    """A payment at the bank."""

    id: str
    amount: Decimal
    currency: str


def wants_advice(partner_share: PartnerShare) -> bool:
    """Tell whether the partner asked for a payment advice."""
    return partner_share.advice_to is not None


def needs_approval(calculate_share: Share) -> bool:
    """Tell whether a second person has to look at the payout before it is ordered."""
    return calculate_share.amount >= APPROVED_FROM


def payout_question(partner_share: PartnerShare, calculate_share: Share) -> Question:
    """Ask with what it takes to decide; the account is sensitive, so its end has to do."""
    return Question(
        f"Pay {calculate_share.amount:,.2f} {calculate_share.currency} to {partner_share.partner_id}?",
        {
            "Month": partner_share.month,
            "Fees": f"{partner_share.fees:,.2f} {partner_share.currency}",
            "Share": f"{partner_share.share_percent} %",
            "Account ends in": partner_share.account[-4:],
        },
    )


partner_payout = Workflow(
    "partner-payout",
    version=2,
    owner="partner-relations",
    tier=2,
    input=PartnerShare,
    title="Pay a partner's share",
    description="Works out a referral partner's share of the fees, reserves it, pays it out and books it.",
    objective=Objective(success=0.99, within=timedelta(minutes=30)),
    runbook="partner-payout",
    impact=Impact(amount="fees", currency="currency", customer="partner_id"),
    requires=[banking_url, mail_url],
)


@partner_payout.step(effect=Effect.PURE, title="Calculate the share")
def calculate_share(partner_share: PartnerShare) -> Share:
    """Round half up to the cent, as the partner agreements say."""
    amount = (partner_share.fees * partner_share.share_percent / 100).quantize(CENT, ROUND_HALF_UP)
    if amount < 1:
        raise BusinessRuleViolation("A share below 1.00 is carried over to the next month, not paid out.")
    return Share(amount=amount, currency=partner_share.currency)


approve_payout = partner_payout.approval(
    "approve_payout",
    question=payout_question,
    expires=timedelta(days=2),
    remind=timedelta(hours=4),
    when=needs_approval,
    title="Approve a large payout",
)


@partner_payout.step(effect=Effect.DATABASE, after=[approve_payout], title="Reserve the funds")
def reserve_funds(partner_share: PartnerShare, calculate_share: Share, ctx: StepContext) -> Booking:
    """Set the amount aside, so that it cannot be spent twice."""
    entry = book_entry(
        operation_key=ctx.operation_key,
        debit=Account.PARTNER_SHARES,
        credit=Account.PAYOUTS_RESERVED,
        amount=calculate_share.amount,
        currency=calculate_share.currency,
        party=partner_share.partner_id,
        text=f"Share of {partner_share.month} reserved",
    )
    return Booking(entry_id=entry.id)


@reserve_funds.compensate
def release_funds(reserve_funds: Booking, ctx: StepContext) -> None:
    """Free the reserved amount again."""
    reverse_entry(entry_id=reserve_funds.entry_id, operation_key=ctx.operation_key)


@partner_payout.step(
    effect=Effect.EXTERNAL,
    idempotent=False,
    calls=banking,
    retry=Retry(attempts=4, base=2, cap=60),
    after=[reserve_funds],
    title="Send the payout",
)
def send_payout(partner_share: PartnerShare, calculate_share: Share, ctx: StepContext) -> Payout:
    """Order the payment. The bank knows no idempotency key: whoever asks twice pays twice."""
    answer = ctx.http.post(
        "/payouts",
        json={
            "reference": ctx.operation_key,
            "amount": str(calculate_share.amount),
            "currency": calculate_share.currency,
            "account": partner_share.account,
        },
    )
    return Payout.model_validate(answer.json())


@send_payout.verify
def find_payout(partner_share: PartnerShare, ctx: StepContext) -> Payout | None:
    """Look the payment up by its reference before anything is paid again."""
    found = ctx.http.get("/payouts", params={"reference": ctx.operation_key}).json()["payouts"]
    return Payout.model_validate(found[0]) if found else None


@send_payout.compensate
def recall_payout(send_payout: Payout, ctx: StepContext) -> None:
    """Call the payment back. The bank recalls a payment once at most."""
    ctx.http.post(f"/payouts/{send_payout.id}/recalls")


@partner_payout.step(effect=Effect.DATABASE, title="Book the payout")
def book_payout(partner_share: PartnerShare, send_payout: Payout, ctx: StepContext) -> Booking:
    """Turn the reservation into a payment from the bank account."""
    entry = book_entry(
        operation_key=ctx.operation_key,
        debit=Account.PAYOUTS_RESERVED,
        credit=Account.BANK,
        amount=send_payout.amount,
        currency=send_payout.currency,
        party=partner_share.partner_id,
        text=f"Share of {partner_share.month} paid, {send_payout.id}",
    )
    return Booking(entry_id=entry.id)


@book_payout.compensate
def reverse_payout(book_payout: Booking, ctx: StepContext) -> None:
    """Book the mirror image of the payment."""
    reverse_entry(entry_id=book_payout.entry_id, operation_key=ctx.operation_key)


@partner_payout.step(
    effect=Effect.EXTERNAL,
    calls=mail,
    retry=Retry(attempts=3, base=2, cap=30),
    after=[book_payout],
    when=wants_advice,
    optional=True,
    title="Mail the payment advice",
)
def notify_partner(partner_share: PartnerShare, send_payout: Payout, ctx: StepContext) -> Mail:
    """Tell the partner what was paid. Not vital: a failure only degrades the run."""
    answer = ctx.http.post(
        "/receipts",
        json={
            "to": partner_share.advice_to,
            "subject": f"Your share of {partner_share.month}",
            "text": f"We paid {send_payout.amount} {send_payout.currency}. Reference: {send_payout.id}.",
        },
    )
    return Mail.model_validate(answer.json())
