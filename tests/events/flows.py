"""Small workflows that tell each other things. What a test wants a step to do is put into ``behaviour``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel

from workflows import Effect, Event, Impact, Objective, On, Retry, Sensitive, StepContext, Workflow

behaviour: dict[str, Callable[[Any], Any]] = {}
OBJECTIVE = Objective(success=0.99, within=timedelta(minutes=5))


class Paid(
    Event,
    name="test.paid",
    version=1,
    key="order",
    amount="amount",
    currency="currency",
    customer="client",
    within=timedelta(minutes=10),
):
    """An order was paid."""

    order: str
    amount: Decimal
    currency: str = "EUR"
    client: str = "harbour-lane"
    card: Annotated[str, Sensitive()] = "4242"


class Shipped(Event, name="test.shipped", version=1, key="order"):
    """An order left the house."""

    order: str


class Order(BaseModel):
    """An order."""

    number: str = "A-1"
    amount: Decimal = Decimal(100)


class Parcel(BaseModel):
    """What is packed when an order is paid."""

    order: str
    worth: Decimal


class Note(BaseModel):
    """What a step gives."""

    text: str


def act(name: str, ctx: StepContext) -> Note:
    """Do what the test wants."""
    return behaviour[name](ctx) if name in behaviour else Note(text=name)


def pay_event(order: str = "A-1", amount: int = 100) -> Paid:
    """A payment."""
    return Paid(order=order, amount=Decimal(amount))


sell = Workflow(
    "test-sell",
    version=1,
    owner="test-team",
    input=Order,
    objective=OBJECTIVE,
    runbook="test",
    impact=Impact(amount="amount", customer="number"),
)


@sell.step(effect=Effect.PURE, emits=[Paid])
def quote(order: Order, ctx: StepContext) -> Note:
    """Says a price; what it emits rides along with the next checkpoint."""
    return act("quote", ctx)


@sell.step(effect=Effect.EXTERNAL, idempotent=False, retry=Retry(attempts=3, base=0.01, cap=0.02), emits=[Paid])
def charge(order: Order, quote: Note, ctx: StepContext) -> Note:
    """Takes the money and tells so."""
    ctx.emit(Paid(order=order.number, amount=order.amount))
    return act("charge", ctx)


@charge.verify
def find_charge(order: Order, ctx: StepContext) -> Note | None:
    """Finds out whether the money was taken, and tells so then."""
    found = behaviour["find_charge"](ctx) if "find_charge" in behaviour else None
    if found:
        ctx.emit(Paid(order=order.number, amount=order.amount))
    return found


@charge.compensate
def pay_back(charge: Note, ctx: StepContext) -> None:
    """Gives the money back."""


@sell.step(effect=Effect.DATABASE, retry=Retry(attempts=2, base=0.01, cap=0.02), emits=[Shipped])
def ship(order: Order, charge: Note, ctx: StepContext) -> Note:
    """Books the parcel out."""
    ctx.emit(Shipped(order=order.number))
    return act("ship", ctx)


class Orders(BaseModel):
    """Many orders."""

    numbers: list[str]


sell_many = Workflow(
    "test-sell-many", version=1, owner="test-team", input=Orders, objective=OBJECTIVE, runbook="test"
)


@sell_many.step(effect=Effect.DATABASE, each="orders.numbers", emits=[Shipped], retry=Retry(attempts=3, base=0.01))
def ship_one(number: str, ctx: StepContext) -> Note:
    """Books one parcel out."""
    ctx.emit(Shipped(order=number))
    return act("ship_one", ctx)


def parcel_of(event: Paid) -> Parcel | None:
    """Make the input of ``pack``; small change is not packed."""
    if "parcel_of" in behaviour:
        return behaviour["parcel_of"](event)  # type: ignore[no-any-return]
    return Parcel(order=event.order, worth=event.amount) if event.amount >= 1 else None


pack = Workflow(
    "test-pack",
    version=1,
    owner="test-team",
    input=Parcel,
    objective=OBJECTIVE,
    runbook="test",
    on_event=On(Paid, input=parcel_of),
)


@pack.step(effect=Effect.PURE)
def wrap(parcel: Parcel) -> Note:
    """Wraps it."""
    return Note(text=parcel.order)


await_payment = Workflow(
    "test-await-payment", version=1, owner="test-team", input=Order, objective=OBJECTIVE, runbook="test"
)


@await_payment.step(effect=Effect.EXTERNAL)
def invoice(order: Order, ctx: StepContext) -> Note:
    """Sends the bill."""
    return act("invoice", ctx)


payment = await_payment.wait_for(
    "payment", Paid, key=lambda order: order.number, timeout=timedelta(hours=1), after=[invoice]
)


@await_payment.step(effect=Effect.PURE, when=lambda payment: payment is not None)
def thank(payment: Paid | None, ctx: StepContext) -> Note:
    """Says thank you."""
    return Note(text=f"thanks for {payment.amount if payment else 0}")


@await_payment.step(effect=Effect.PURE, when=lambda payment: payment is None)
def remind(order: Order, payment: Paid | None, ctx: StepContext) -> Note:
    """Reminds whoever has not paid."""
    return Note(text=f"please pay {order.number}")
