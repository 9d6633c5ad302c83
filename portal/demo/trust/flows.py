"""The daily comparison of the trust account: what the bank has and the ledger has not is parked, and told."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from portal.demo.flows import Email, Mail, banking, banking_url, mail, mail_url
from portal.demo.services.ledger import reverse_entry
from portal.demo.trust.compare import Deposit, Difference, differences
from portal.demo.trust.ledger import booked_deposits, park
from workflows import BusinessRuleViolation, Effect, Objective, Retry, StepContext, Workflow

LOOK_BACK = timedelta(days=30)


class StatementDay(BaseModel):
    """A day of the trust account."""

    day: Annotated[
        date,
        Field(description="The day whose statement is compared, with the thirty before it", examples=["2026-11-19"]),
    ]
    report_to: Annotated[
        Email,
        Field(
            title="Report to",
            description="Who is told of differences",
            examples=["trust@firm.example"],
        ),
    ] = "trust@firm.example"


class Statement(BaseModel):
    """What the bank says came in."""

    lines: list[Deposit]


class Differences(BaseModel):
    """Where bank and ledger differ, and what that is worth by currency."""

    found: list[Difference]
    worth: dict[str, Decimal]


class Parked(BaseModel):
    """Ledger entries that were made for deposits that only the bank knew."""

    entries: list[UUID]


def differ(compare_with_ledger: Differences) -> bool:
    """Tell whether anything differs."""
    return bool(compare_with_ledger.found)


trust_account_reconciliation = Workflow(
    "trust-account-reconciliation",
    version=1,
    owner="finance-operations",
    tier=1,
    input=StatementDay,
    title="Reconcile the trust account",
    description="Compares the bank's statement of the trust account with the ledger, parks what is missing, tells.",
    objective=Objective(success=0.99, within=timedelta(minutes=15)),
    runbook="trust-account-reconciliation",
    requires=[banking_url, mail_url],
)


@trust_account_reconciliation.step(
    effect=Effect.EXTERNAL, calls=banking, retry=Retry(attempts=5, base=2, cap=60), title="Fetch the statement"
)
def fetch_statement(statement_day: StatementDay, ctx: StepContext) -> Statement:
    """Ask the bank for all that came in up to the end of the day."""
    since, until = _span(statement_day.day)
    answer = ctx.http.get("/statement", params={"since": _text(since), "until": _text(until)})
    return Statement.model_validate(answer.json())


@trust_account_reconciliation.step(effect=Effect.DATABASE, title="Compare with the ledger")
def compare_with_ledger(statement_day: StatementDay, fetch_statement: Statement) -> Differences:
    """Compare each deposit, to the cent."""
    since, until = _span(statement_day.day)
    # A deposit of the last minutes of a day may be booked on the next; those of the next day are not looked at.
    booked = booked_deposits(since, until + timedelta(days=1))
    found = [each for each in differences(fetch_statement.lines, booked) if each.bank is not None]
    wrong = [each.reference for each in found if each.ledger is not None]
    if wrong:
        raise BusinessRuleViolation(
            f"Bank and ledger have different amounts for {', '.join(wrong[:5])}. Somebody must look at the papers; "
            "nothing was booked.",
            references=", ".join(wrong),
        )
    worth: dict[str, Decimal] = {}
    for each in found:
        worth[each.currency] = worth.get(each.currency, Decimal(0)) + each.amount
    return Differences(found=found, worth=worth)


@trust_account_reconciliation.step(effect=Effect.DATABASE, when=differ, title="Park what is missing")
def park_missing(compare_with_ledger: Differences) -> Parked:
    """Book to the suspense account what only the bank knows: the books agree, and the money has a place."""
    return Parked(entries=[park(each).id for each in compare_with_ledger.found])


@park_missing.compensate
def take_back(park_missing: Parked, ctx: StepContext) -> None:
    """Book the mirror images."""
    for entry_id in park_missing.entries:
        reverse_entry(entry_id=entry_id, operation_key=f"{ctx.operation_key}:{entry_id}")


@trust_account_reconciliation.step(
    effect=Effect.EXTERNAL,
    calls=mail,
    retry=Retry(attempts=3, base=2, cap=30),
    after=[park_missing],
    when=differ,
    optional=True,
    title="Tell the accountant",
)
def tell_accountant(statement_day: StatementDay, compare_with_ledger: Differences, ctx: StepContext) -> Mail:
    """Say which deposits were missing and what they are worth. The books agree without it."""
    worth = ", ".join(f"{amount} {currency}" for currency, amount in sorted(compare_with_ledger.worth.items()))
    names = ", ".join(each.reference for each in compare_with_ledger.found[:20])
    answer = ctx.http.post(
        "/receipts",
        json={
            "to": statement_day.report_to,
            "subject": f"Trust account: {len(compare_with_ledger.found)} deposits were missing",
            "text": f"Worth {worth}, parked in suspense: {names}.",
        },
    )
    return Mail.model_validate(answer.json())


def _span(day: date) -> tuple[datetime, datetime]:
    until = datetime.combine(day + timedelta(days=1), time(), UTC)
    return until - LOOK_BACK, until


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
