"""A contract's schema as a table that people read."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from workflows import Sensitive
from workflows.definition.compatibility import schemas_of
from workflows.definition.sensitive import sensitive_fields
from workflows.events.pages.fields import fields_of


class Line(BaseModel):
    text: Annotated[str, Field(min_length=3, max_length=80)]
    parts: list[Line] = []


class Bill(BaseModel):
    number: Annotated[str, Field(pattern="^[A-Z]+$", description="As on the paper.")]
    amount: Annotated[Decimal, Field(gt=0)]
    at: datetime
    kind: Literal["bill", "credit note"] = "bill"
    card: Annotated[str | None, Sensitive()] = None
    lines: list[Line]
    counts: dict[str, int] = {}
    tags: list[str] | None = None


FIELDS = {field.name: field for field in fields_of(schemas_of(Bill).read, sensitive_fields(Bill))}


def test_each_field_says_in_words_what_it_holds() -> None:
    assert {name: field.holds for name, field in FIELDS.items()} == {
        "number": "text",
        "amount": "decimal number",
        "at": "date and time",
        "kind": "one of “bill”, “credit note”",
        "card": "text or nothing",
        "lines": "list of Line",
        "lines.*.text": "text",
        "lines.*.parts": "list of Line",
        "counts": "object",
        "tags": "list of text or nothing",
    }


def test_limits_defaults_and_marks_are_told() -> None:
    assert FIELDS["lines.*.text"].limits == "at least 3 long, at most 80 long"
    assert FIELDS["amount"].limits == "more than 0"
    assert (FIELDS["number"].limits, FIELDS["number"].description) == ("matches ^[A-Z]+$", "As on the paper.")
    assert (FIELDS["kind"].is_required, FIELDS["kind"].default) == (False, "bill")
    assert [name for name, field in FIELDS.items() if field.is_sensitive] == ["card"]
    assert [name for name, field in FIELDS.items() if field.is_required] == [
        "number",
        "amount",
        "at",
        "lines",
        "lines.*.text",
    ]
