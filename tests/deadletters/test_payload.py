"""What was changed in an event, and what of it people may see."""

from __future__ import annotations

from workflows.deadletters.payload import changes_between, holds_hidden, put_back, shown_changes
from workflows.redaction import HIDDEN, hide

BEFORE = {"amount": "0.00", "card": {"number": "4111", "brand": "v"}, "lines": [{"n": 1}, {"n": 2}], "note": None}


def changed(before: object, after: object) -> list[dict[str, object]]:
    return [change.as_json() for change in changes_between(before, after)]


def test_each_field_that_differs_is_named_with_both_sides() -> None:
    after = BEFORE | {"amount": "1.00", "card": {"number": "4242", "brand": "v"}, "lines": [{"n": 1}, {"n": 3}]}
    assert changed(BEFORE, after) == [
        {"field": "amount", "before": "0.00", "after": "1.00"},
        {"field": "card.number", "before": "4111", "after": "4242"},
        {"field": "lines.1.n", "before": 2, "after": 3},
    ]


def test_what_came_or_went_has_one_side() -> None:
    assert changed({"a": 1, "b": [1]}, {"b": [1, None], "c": None}) == [
        {"field": "a", "before": 1},
        {"field": "b.1", "after": None},
        {"field": "c", "after": None},
    ]


def test_what_looks_alike_but_is_of_another_type_differs() -> None:
    assert changed({"a": 1, "b": True, "c": "1"}, {"a": True, "b": 1, "c": 1}) == [
        {"field": "a", "before": 1, "after": True},
        {"field": "b", "before": True, "after": 1},
        {"field": "c", "before": "1", "after": 1},
    ]
    assert changed(BEFORE, dict(BEFORE)) == []


def test_sensitive_values_of_a_change_are_hidden_on_both_sides() -> None:
    kept: list[dict[str, object]] = [
        {"field": "card", "before": {"number": "4111"}},
        {"field": "people.0.iban", "before": "DE1", "after": "DE2"},
        {"field": "amount", "before": 1, "after": 2},
    ]
    shown = [change.as_json() for change in shown_changes(kept, ["card.number", "people.iban"])]
    assert shown == [
        {"field": "card", "before": HIDDEN},
        {"field": "people.0.iban", "before": HIDDEN, "after": HIDDEN},
        {"field": "amount", "before": 1, "after": 2},
    ]
    assert [change.before for change in shown_changes(kept, None)] == [HIDDEN] * 3


def test_an_editor_who_may_not_see_a_value_leaves_it_as_it_is() -> None:
    shown = hide(BEFORE, ["card.number"])
    assert put_back(shown | {"amount": "1.00"}, shown, BEFORE) == BEFORE | {"amount": "1.00"}


def test_the_sign_for_what_is_hidden_brings_nothing_to_another_field() -> None:
    shown = hide(BEFORE, ["card.number"])
    edited = put_back(shown | {"note": HIDDEN}, shown, BEFORE)
    assert edited["note"] == HIDDEN
    assert holds_hidden(edited)
    assert not holds_hidden(BEFORE)


def test_in_a_list_of_another_length_what_is_hidden_stays_hidden() -> None:
    whole = {"people": [{"iban": "DE1"}, {"iban": "DE2"}]}
    shown = hide(whole, ["people.iban"])
    assert put_back(shown, shown, whole) == whole
    assert holds_hidden(put_back({"people": shown["people"][1:]}, shown, whole))
