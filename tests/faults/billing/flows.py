"""Two fan-outs, one behind the other: each books a row, then each sends a letter, noted in a file outside."""

from __future__ import annotations

import os
from datetime import timedelta

from django.db import connection
from pydantic import BaseModel

from workflows import Effect, Item, Objective, StepContext, Workflow

LETTERS = "BILLING_LETTERS"  # names the file that stands for the outside world


class Month(BaseModel):
    """How many invoices there are."""

    invoices: int


class Invoice(BaseModel):
    """One of them."""

    number: str
    amount: int = 100


billing = Workflow(
    "test-billing",
    version=1,
    owner="test-team",
    input=Month,
    objective=Objective(success=0.99, within=timedelta(minutes=10)),
    runbook="none",
)


@billing.step(effect=Effect.PURE)
def list_invoices(month: Month) -> list[Invoice]:
    """Make the list."""
    return [Invoice(number=f"INV-{number:05}") for number in range(month.invoices)]


@billing.step(effect=Effect.DATABASE, each="list_invoices", concurrency=4, item=Item(name="number", amount="amount"))
def book(invoice: Invoice, ctx: StepContext) -> Invoice:
    """Write a row. The table has no key: a second booking would show."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO test_ledger VALUES (%s, %s)", [ctx.operation_key, invoice.number])
    return invoice


@billing.step(effect=Effect.EXTERNAL, each="book", concurrency=4)
def send(invoice: Invoice, ctx: StepContext) -> None:
    """Note the letter's operation key: one line appended at once, whoever else is writing."""
    file = os.open(os.environ[LETTERS], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{ctx.operation_key}\n".encode())
    os.close(file)
