"""Small workflows for the engine's tests. What a test wants a step to do is put into ``behaviour``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from workflows import Dependency, Effect, Impact, Objective, Retry, StepContext, Workflow

behaviour: dict[str, Callable[[StepContext], Any]] = {}
N = TypeVar("N", bound="Note | None")
calls: list[tuple[str, str, int]] = []  # (function, operation key, attempt)


def act(name: str, ctx: StepContext, default: N) -> N:
    """Note the call and do what the test wants."""
    calls.append((name, ctx.operation_key, ctx.attempt))
    return cast(N, behaviour[name](ctx)) if name in behaviour else default


class Order(BaseModel):
    """An order."""

    number: str = "A-1"
    amount: int = 100
    gift: bool = False


class Note(BaseModel):
    """What a step gives."""

    text: str


OBJECTIVE = Objective(success=0.99, within=timedelta(minutes=5))
FAST = Retry(attempts=3, base=0.01, cap=0.02)
shop = Dependency("test-shop", timeout=5)

order_flow = Workflow(
    "test-order",
    version=1,
    owner="test-team",
    input=Order,
    objective=OBJECTIVE,
    runbook="test",
    impact=Impact(amount="amount", customer="number"),
)


@order_flow.step(effect=Effect.PURE)
def prepare(order: Order, ctx: StepContext) -> Note:
    """Get ready."""
    return act("prepare", ctx, Note(text=f"prepared {order.number}"))


@order_flow.step(effect=Effect.EXTERNAL, calls=shop, retry=FAST, timeout=0.5)
def reserve(order: Order, prepare: Note, ctx: StepContext) -> Note:
    """Reserve the goods."""
    return act("reserve", ctx, Note(text=f"reserved after {prepare.text}"))


@reserve.compensate
def release_goods(reserve: Note, ctx: StepContext) -> None:
    """Release the goods."""
    act("release_goods", ctx, None)


@order_flow.step(effect=Effect.EXTERNAL, idempotent=False, retry=FAST, timeout=0.5)
def pay(reserve: Note, ctx: StepContext) -> Note:
    """Pay once."""
    return act("pay", ctx, Note(text="paid"))


@pay.verify
def find_payment(order: Order, ctx: StepContext) -> Note | None:
    """Look the payment up."""
    return act("find_payment", ctx, None)


@pay.compensate
def pay_back(pay: Note, ctx: StepContext) -> None:
    """Pay back."""
    act("pay_back", ctx, None)


@order_flow.step(effect=Effect.DATABASE, retry=FAST, timeout=0.5)
def book(order: Order, pay: Note, ctx: StepContext) -> Note:
    """Book it."""
    return act("book", ctx, Note(text="booked"))


@book.compensate
def unbook(book: Note, ctx: StepContext) -> None:
    """Book it back."""
    act("unbook", ctx, None)


@order_flow.step(effect=Effect.PURE, when=lambda order: order.gift)
def wrap(order: Order, ctx: StepContext) -> Note:
    """Wrap a gift."""
    return act("wrap", ctx, Note(text="wrapped"))


@order_flow.step(effect=Effect.EXTERNAL, optional=True, retry=FAST, timeout=0.5, after=[book])
def tell(order: Order, wrap: Note | None, ctx: StepContext) -> Note:
    """Tell the customer."""
    return act("tell", ctx, Note(text="told" + (" of the wrapping" if wrap else "")))


blind_flow = Workflow("test-blind", version=1, owner="test-team", input=Order, objective=OBJECTIVE, runbook="test")


@blind_flow.step(effect=Effect.EXTERNAL, idempotent=False, retry=FAST, timeout=0.5)
def shoot(order: Order, ctx: StepContext) -> Note:
    """An effect that cannot be looked up."""
    return act("shoot", ctx, Note(text="shot"))


def plan_b(shoot: Note) -> Note:
    """What is done when nobody answers."""
    return Note(text="plan B")


@blind_flow.step(effect=Effect.EXTERNAL, retry=FAST, fallback=plan_b)
def ask(shoot: Note, ctx: StepContext) -> Note:
    """Ask somebody, or fall back."""
    return act("ask", ctx, Note(text="plan A"))


purchase_flow = Workflow(
    "test-purchase", version=1, owner="test-team", input=Order, objective=OBJECTIVE, runbook="test"
)


@purchase_flow.step(effect=Effect.DATABASE, retry=FAST, timeout=0.5)
def enter(order: Order, ctx: StepContext) -> Note:
    """Enter it into the books."""
    return act("enter", ctx, Note(text="entered"))


@enter.compensate
def strike_out(enter: Note, ctx: StepContext) -> None:
    """Strike the entry out."""
    act("strike_out", ctx, None)


@purchase_flow.step(effect=Effect.EXTERNAL, retry=FAST, timeout=0.5)
def hold(order: Order, enter: Note, ctx: StepContext) -> Note:
    """Hold the amount; may be asked again with the same key."""
    return act("hold", ctx, Note(text="held"))


@hold.compensate
def let_go(hold: Note, ctx: StepContext) -> None:
    """Let the amount go."""
    act("let_go", ctx, None)


@hold.verify
def find_hold(order: Order, ctx: StepContext) -> Note | None:
    """Look whether it is held."""
    return act("find_hold", ctx, None)


@purchase_flow.step(effect=Effect.EXTERNAL, idempotent=False, retry=FAST, timeout=0.5)
def wire(hold: Note, ctx: StepContext) -> Note:
    """Wire it; whoever asks twice pays twice."""
    return act("wire", ctx, Note(text="wired"))


@wire.compensate
def call_back(wire: Note, ctx: StepContext) -> None:
    """Call the wire back."""
    act("call_back", ctx, None)


@wire.verify
def find_wire(order: Order, ctx: StepContext) -> Note | None:
    """Look the wire up."""
    return act("find_wire", ctx, None)
