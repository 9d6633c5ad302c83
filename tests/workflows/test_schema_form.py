from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import pytest
from django.http import QueryDict
from pydantic import AwareDatetime, BaseModel, Field

from workflows.schema_form import SchemaForm


class Speed(StrEnum):
    NORMAL = "normal"
    SAME_DAY = "same_day"


class Address(BaseModel):
    """Where it goes."""

    street: str
    country: Annotated[str, Field(min_length=2, max_length=2)] = "CZ"


class Line(BaseModel):
    sku: str
    pieces: int


class Order(BaseModel):
    number: Annotated[str, Field(max_length=20, description="As printed on the order")]
    amount: Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=2)]
    currency: str
    pieces: Annotated[int, Field(ge=1)] = 1
    speed: Speed = Speed.NORMAL
    is_gift: bool = False
    due: date | None = None
    at: AwareDatetime | None = None
    tags: list[str] = []
    address: Address
    lines: list[Line] = []
    note: Annotated[str, Field(max_length=2000)] = ""


TYPED = {
    "number": "A-1",
    "amount": "12.50",
    "currency": "EUR",
    "pieces": "3",
    "speed": "same_day",
    "is_gift": "on",
    "due": "2026-12-01",
    "at": "2026-12-01T10:30",
    "tags": "red\n\n blue ",
    "address.street": "Long 1",
    "address.country": "",
    "lines": '[{"sku": "x", "pieces": 2}]',
    "note": "",
}


def form_for(**changes: str) -> SchemaForm:
    data = QueryDict(mutable=True)
    data.update({f"input-{name}": value for name, value in (TYPED | changes).items()})
    return SchemaForm(Order.model_json_schema(), data, sensitive=["number"], pairs={"amount": "currency"})


def test_what_is_typed_becomes_a_valid_input() -> None:
    form = form_for()
    assert form.is_valid(), form.errors
    order = Order.model_validate(form.read())
    assert order == Order(
        number="A-1",
        amount=Decimal("12.50"),
        currency="EUR",
        pieces=3,
        speed=Speed.SAME_DAY,
        is_gift=True,
        due=date(2026, 12, 1),
        at=datetime(2026, 12, 1, 10, 30, tzinfo=UTC),
        tags=["red", "blue"],
        address=Address(street="Long 1"),
        lines=[Line(sku="x", pieces=2)],
    )


@pytest.mark.parametrize(
    ("field", "html"),
    [
        ("amount", 'inputmode="decimal"'),
        ("pieces", 'type="number"'),
        ("speed", '<option value="same_day">Same day</option>'),
        ("is_gift", 'type="checkbox"'),
        ("due", 'type="date"'),
        ("at", 'type="datetime-local"'),
        ("tags", "<textarea"),
        ("lines", "<textarea"),
        ("note", "<textarea"),
        ("number", 'maxlength="20"'),
        ("address.country", 'value="CZ"'),
    ],
)
def test_each_value_gets_the_control_that_fits(field: str, html: str) -> None:
    assert html in str(SchemaForm(Order.model_json_schema())[field])


def test_descriptions_become_help_and_sensitive_fields_say_so() -> None:
    form = form_for()
    assert form.fields["number"].help_text.startswith("As printed on the order")
    assert "may see payloads" in form.fields["number"].help_text
    assert form.fields["number"].widget.attrs["autocomplete"] == "off"


def test_an_amount_stands_in_one_row_with_its_currency_and_an_object_in_its_own_section() -> None:
    own, address = form_for().sections()
    rows = [[field.name for field in row] for row in own.rows]
    assert ["amount", "currency"] in rows
    assert ["currency"] not in rows
    assert (address.legend, address.help) == ("Address", "Where it goes.")
    assert [row[0].name for row in address.rows] == ["address.street", "address.country"]


def test_a_missing_value_is_told_at_its_field() -> None:
    form = form_for(**{"address.street": ""})
    assert not form.is_valid()
    assert list(form.errors) == ["address.street"]


def test_the_models_answer_comes_back_to_the_fields() -> None:
    form = form_for()
    form.is_valid()
    form.add_invalid({"amount": ["Must be more than 0"], "lines.0.pieces": ["Too many"], "other": ["Odd"]})
    assert form.errors == {
        "amount": ["Must be more than 0"],
        "lines": ["Too many"],
        "__all__": ["other: Odd"],
    }
    assert form["amount"].value() == "12.50"


def test_the_fields_stand_in_the_order_of_the_model() -> None:
    # jsonb, in which definitions are kept, sorts keys by their length
    form = SchemaForm(Order.model_json_schema(), order=["number", "currency"])
    assert list(form.fields)[:2] == ["number", "currency"]
