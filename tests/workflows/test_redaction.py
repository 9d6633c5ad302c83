from __future__ import annotations

from tests.definitions import SETTLE_INVOICE
from workflows.redaction import HIDDEN, hide, redaction_of

ERROR = {"type": "TransientError", "message": "502", "stack": [{"code": "charge('4111')"}]}


def test_fields_are_hidden_by_name_by_path_and_in_lists() -> None:
    value = {"name": "Ada", "card": {"number": "4111", "brand": "v"}, "lines": [{"iban": "DE1", "n": 1}]}
    assert hide(value, ["name", "card.number", "lines.iban"]) == {
        "name": HIDDEN,
        "card": {"number": HIDDEN, "brand": "v"},
        "lines": [{"iban": HIDDEN, "n": 1}],
    }


def test_a_name_hides_the_field_only_where_it_was_declared() -> None:
    assert hide({"number": 1, "card": {"number": 2}}, ["card.number"]) == {
        "number": 1,
        "card": {"number": HIDDEN},
    }


def test_values_that_are_no_objects_stay() -> None:
    assert [hide(value, ["a"]) for value in (None, 3, "x", [1])] == [None, 3, "x", [1]]


def test_a_viewer_without_the_right_sees_neither_sensitive_values_nor_stacks() -> None:
    shown = redaction_of(SETTLE_INVOICE, sees_payload=False)
    assert shown.input({"contact_email": "a@b.example", "amount": 1}) == {
        "contact_email": HIDDEN,
        "amount": 1,
    }
    assert shown.step_output("charge", {"card_last_four": "1111"}) == {"card_last_four": HIDDEN}
    assert shown.step_output("check_invoice", {"ok": True}) == {"ok": True}
    assert shown.run_output({"contact_email": "a@b.example", "card_last_four": "1"}) == {
        "contact_email": HIDDEN,
        "card_last_four": HIDDEN,
    }
    assert shown.error(ERROR) == {"type": "TransientError", "message": "502"}
    assert shown.error(None) is None


def test_a_viewer_with_the_right_sees_all() -> None:
    shown = redaction_of(SETTLE_INVOICE, sees_payload=True)
    assert shown.input({"contact_email": "a@b.example"}) == {"contact_email": "a@b.example"}
    assert shown.error(ERROR) == ERROR
