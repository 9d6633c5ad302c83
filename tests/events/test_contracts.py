"""Events are contracts: what cannot be read by everybody who takes it is told before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from io import StringIO
from typing import Annotated, Any, Literal

import pytest
from django.core.management import CommandError, call_command
from pydantic import BaseModel, ConfigDict, Field, create_model

from tests.events import flows
from workflows import DefinitionError, Effect, Event, On, Workflow
from workflows.definition import contracts, registry
from workflows.definition.compatibility import misfits, schemas_of
from workflows.definition.describe import describe
from workflows.events.checks import breaches, check_contracts, refuse_breaches
from workflows.events.reading import read_event


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    a: int


class Wider(BaseModel):
    a: int
    b: int


class Tree(BaseModel):
    leaves: list[Tree]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


def a_model(**fields: Any) -> type[BaseModel]:
    return create_model("Made", **fields)


def said(written: type[BaseModel], read: type[BaseModel]) -> list[str]:
    return [f"{m.field} {m.problem}" for m in misfits(schemas_of(written).written, schemas_of(read).read)]


SAME: list[Any] = [
    str,
    Decimal,
    datetime,
    Colour,
    list[Inner],
    dict[str, Inner],
    tuple[int, str],
    Inner | None,
    Literal["a", "b"],
    Tree,
    Annotated[int, Field(ge=3, le=9)],
]


@pytest.mark.parametrize("annotation", SAME)
def test_everybody_can_read_what_they_write(annotation: Any) -> None:
    model = a_model(x=(annotation, ...))
    assert said(model, model) == []


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (int, float),
        (int, int | str),
        (Colour, str),
        (Literal["a"], Literal["a", "b"]),
        (datetime, str),
        (int, int | None),
        (Annotated[int, Field(ge=5)], Annotated[int, Field(ge=3)]),
        (Wider, Inner),
        (list[Wider], list[Inner]),
        (int, Any),
    ],
)
def test_what_says_less_can_be_read_by_what_takes_more(written: Any, read: Any) -> None:
    assert said(a_model(x=(written, ...)), a_model(x=(read, ...))) == []


@pytest.mark.parametrize(
    ("written", "read", "told"),
    [
        (str, int, "x is a string, but an integer is taken"),
        (float, int, "x is a number, but an integer is taken"),
        (str, datetime, "x is a string, but a date-time is taken"),
        (str, Decimal, "x is a string, but a decimal is taken"),
        (int | None, int, "x is null, but an integer is taken"),
        (str, Colour, "x may be anything, but only 'red', 'blue' is taken"),
        (Literal["a", "c"], Literal["a", "b"], "x may be 'c', but only 'a', 'b' is taken"),
        (Inner, Wider, "x.b is needed, but not sent"),
        (list[Inner], list[Wider], "x.*.b is needed, but not sent"),
        (dict[str, Inner], dict[str, Wider], "x.*.b is needed, but not sent"),
        (tuple[int, int], tuple[int, str], "x.1 is an integer, but a string is taken"),
        (Wider, Strict, "x.b is sent, but refused as unknown"),
        (int, Annotated[int, Field(ge=3)], "x is taken with minimum 3 only, which what is sent need not keep"),
        (str, Annotated[str, Field(pattern="^a")], "x must match ^a, which what is sent need not"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_field(written: Any, read: Any, told: str) -> None:
    assert said(a_model(x=(written, ...)), a_model(x=(read, ...))) == [told]


def test_a_new_field_with_a_default_can_be_missing() -> None:
    assert said(a_model(x=(int, ...)), a_model(x=(int, ...), y=(int, 3))) == []
    assert said(a_model(x=(int, ...)), a_model(x=(int, ...), y=(int, ...))) == ["y is needed, but not sent"]


# Versions ----------------------------------------------------------------------------------------------


@pytest.fixture
def declared() -> Iterator[None]:
    """Take what a test declares out again."""
    before = {str(each) for each in contracts.every_contract()}
    known = {(each.name, each.version) for each in registry.every_version()}
    yield
    for contract in contracts.every_contract():
        if str(contract) not in before:
            contracts.forget(contract)
    for workflow in registry.every_version():
        if (workflow.name, workflow.version) not in known:
            registry.forget(workflow)


def test_a_version_that_cannot_read_the_one_before_is_told_with_field_and_remedy(declared: None) -> None:
    class PaidBy(Event, name="test.paid", version=2, key="order"):
        order: str
        amount: Decimal
        method: str

    (breach,) = breaches()
    assert str(breach) == (
        "test.paid: version 1 is written, which version 2 cannot read: field method is needed, but not sent."
    )
    assert breach.remedy.startswith("Give what is new in PaidBy (events/test_contracts.py:")
    with pytest.raises(DefinitionError, match="field method is needed"):
        refuse_breaches()
    assert [error.id for error in check_contracts(None)] == ["workflows.E001"]


@pytest.mark.parametrize(("mode", "told"), [("backward", 0), ("forward", 1), ("full", 1)])
def test_compatibility_is_checked_in_the_direction_that_was_said(declared: None, mode: Any, told: int) -> None:
    class PaidFreely(Event, name="test.paid", version=2, key="order", compatibility=mode):
        order: str
        amount: Decimal | None = None

    assert len(breaches()) == told


def test_a_consumer_must_read_what_known_producers_emit(declared: None) -> None:
    class PaidNow(Event, name="test.paid", version=2, key="order", compatibility="forward"):
        order: str
        amount: Decimal
        at: datetime

    workflow = Workflow(
        "test-takes-two",
        version=1,
        owner="test-team",
        input=flows.Order,
        objective=flows.OBJECTIVE,
        runbook="test",
        on_event=On(PaidNow, input=lambda event: flows.Order(number=event.order)),
    )

    @workflow.step(effect=Effect.PURE)
    def look(order: flows.Order) -> None:
        return None

    told = {str(breach) for breach in breaches()}
    assert (
        "test.paid: test-sell.charge emits version 1, which test-takes-two (version 2) cannot read: "
        "field at is needed, but not sent." in told
    )


def test_an_older_payload_is_read_as_the_version_that_is_taken(declared: None) -> None:
    class PaidAt(Event, name="test.paid", version=2, key="order"):
        order: str
        amount: Decimal
        at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    old = flows.pay_event("A-1", 5).model_dump(mode="json")
    assert read_event(PaidAt, old, 1) == PaidAt(order="A-1", amount=Decimal(5))
    assert breaches() == []


def test_contracts_check_passes_and_fails_in_words(declared: None) -> None:
    out = StringIO()
    call_command("contracts", "check", stdout=out)
    assert "everybody can read what others emit" in out.getvalue()

    class PaidWrongly(Event, name="test.paid", version=2, key="order"):
        order: int

    with pytest.raises(CommandError, match="would end in dead letters"):
        call_command("contracts", "check", stdout=out)
    assert "field order is a string, but an integer is taken" in out.getvalue()


def test_contracts_list_names_emitters_and_takers() -> None:
    out = StringIO()
    call_command("contracts", "list", stdout=out)
    text = out.getvalue()
    assert "test.paid version 1  Paid at events/flows.py" in text
    assert "emitted by test-sell.quote, test-sell.charge" in text
    assert "taken by test-pack, test-await-payment.payment" in text


# Mistakes in a declaration -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "Paid"}, "must be lower-case words joined by"),
        ({"name": "test.x", "version": 0}, "version must be 1 or more"),
        ({"name": "test.x", "key": "oder"}, "it names 'oder', which is no field of Wrong"),
        ({"name": "test.x", "within": timedelta(0)}, "within must be longer than nothing"),
        ({"name": "test.x", "compatibility": "sideways"}, 'compatibility is "backward", "forward" or "full"'),
        ({"name": "test.paid"}, 'event "test.paid" version 1 is declared already, at events/flows.py'),
    ],
)
def test_a_mistake_in_an_event_is_told_with_its_line(declared: None, options: dict[str, Any], told: str) -> None:
    with pytest.raises(DefinitionError, match=r"events/test_contracts\.py:\d+: ") as refused:

        class Wrong(Event, **options):
            order: str

    assert told in str(refused.value)


def test_waiting_for_an_event_without_a_key_is_told(declared: None) -> None:
    class Keyless(Event, name="test.keyless"):
        order: str

    workflow = Workflow(
        "test-keyless", version=1, owner="t", input=flows.Order, objective=flows.OBJECTIVE, runbook="test"
    )
    with pytest.raises(DefinitionError, match=r"test\.keyless has no key to wait for it by"):
        workflow.wait_for("it", Keyless, key=lambda order: order.number, timeout=timedelta(1))


def test_what_a_later_step_takes_must_allow_for_no_event(declared: None) -> None:
    workflow = Workflow(
        "test-hopeful", version=1, owner="t", input=flows.Order, objective=flows.OBJECTIVE, runbook="test"
    )
    workflow.wait_for("paid", flows.Paid, key=lambda order: order.number, timeout=timedelta(1))

    @workflow.step(effect=Effect.PURE)
    def thank(paid: flows.Paid) -> None:
        return None

    with pytest.raises(DefinitionError, match=r'annotated Paid, but step "paid" gives .*Paid \| None'):
        _ = workflow.plan


def test_the_description_of_a_workflow_names_its_events() -> None:
    assert describe(flows.pack)["on_event"] == [{"name": "test.paid", "version": 1}]
    steps = {step["name"]: step for step in describe(flows.await_payment)["steps"]}
    assert steps["payment"]["terms"] == {"event": {"name": "test.paid", "version": 1}, "timeout_seconds": 3600.0}
    assert steps["payment"]["sensitive"] == ["card"]
    assert describe(flows.sell)["steps"][1]["emits"] == [{"name": "test.paid", "version": 1}]
    assert "emits" not in steps["invoice"]
