"""Each leaves traces that can be counted: mails, rows and a number that only ever grows by one."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from pydantic import BaseModel

from portal.demo.flows import mail
from workflows import Effect, Event, Objective, On, Retry, StepContext, Workflow

OBJECTIVE = Objective(success=0.9, within=timedelta(minutes=30))


class Batch(BaseModel):
    """So many letters."""

    number: int
    size: int


class Sale(BaseModel):
    """One sale."""

    number: int


class Counted(BaseModel):
    """What the counter said."""

    value: int


class Sold(Event, name="torture.sold", version=1, key="number", within=timedelta(minutes=10)):
    """Something was sold."""

    number: int
    sale: str


class Parcel(BaseModel):
    """What is packed when something was sold."""

    sale: str


batch = Workflow(
    "torture-batch", version=1, owner="torture", input=Batch, objective=OBJECTIVE, runbook="settle-invoice"
)


@batch.step(effect=Effect.PURE)
def list_letters(batch: Batch) -> list[str]:
    """Make the list."""
    return [f"{batch.number}-{number}" for number in range(batch.size)]


@batch.step(
    effect=Effect.EXTERNAL, calls=mail, each="list_letters", concurrency=3, retry=Retry(attempts=8, base=0.5, cap=5)
)
def send_letter(letter: str, ctx: StepContext) -> str:
    """Mail one letter."""
    order = {"to": "torture@example.com", "subject": letter, "text": letter}
    return str(ctx.http.post("/receipts", json=order).json()["id"])


sale = Workflow("torture-sale", version=1, owner="torture", input=Sale, objective=OBJECTIVE, runbook="settle-invoice")


@sale.step(effect=Effect.DATABASE, emits=[Sold])
def sell(sale: Sale, ctx: StepContext) -> Parcel:
    """Tell that something was sold."""
    ctx.emit(Sold(number=sale.number, sale=str(ctx.run_id)))
    return Parcel(sale=str(ctx.run_id))


@sale.step(effect=Effect.DATABASE, lock="torture:counter")
def count(sell: Parcel) -> Counted:
    """Read the counter, and write one more: two at a time would lose one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM torture_counter")
        value = int(cursor.fetchone()[0]) + 1
        cursor.execute("UPDATE torture_counter SET value = %s", [value])
    return Counted(value=value)


parcel = Workflow(
    "torture-parcel",
    version=1,
    owner="torture",
    input=Parcel,
    objective=OBJECTIVE,
    runbook="settle-invoice",
    on_event=On(Sold, input=lambda event: Parcel(sale=event.sale)),
)


@parcel.step(effect=Effect.DATABASE)
def pack(parcel: Parcel) -> Parcel:
    """Note the parcel. The table has no key: a second one would show."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO torture_parcel (sale) VALUES (%s)", [parcel.sale])
    return parcel
