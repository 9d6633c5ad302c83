from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel

from workflows import Sensitive
from workflows.definition.describe import sensitive_fields


class Card(BaseModel):
    number: Annotated[str, Sensitive()]
    brand: str


class Person(BaseModel):
    name: Annotated[str | None, Sensitive()] = None
    card: Card | None = None
    spare: list[Card] = []
    by_use: dict[str, Card] = {}
    friend: Person | None = None
    tags: dict[str, str] = {}


EVERYTHING = ["name", "card.number", "spare.number", "by_use"]


def test_marks_are_found_at_every_depth() -> None:
    assert sensitive_fields(Person) == EVERYTHING
    assert sensitive_fields(Card) == ["number"]


def test_a_step_may_give_a_list_or_nothing() -> None:
    assert sensitive_fields(list[Card]) == ["number"]
    assert sensitive_fields(Card | None) == ["number"]
    assert sensitive_fields(None) == sensitive_fields(bool) == sensitive_fields(dict[str, str]) == []
