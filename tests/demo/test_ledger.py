"""The ledger books an operation once, reverses it once, and is never changed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import Error as DatabaseError
from django.db import IntegrityError, transaction

from portal.core.clock import now
from portal.core.errors import Conflict
from portal.demo.models import Account, LedgerEntry
from portal.demo.queries.ledger import trial_balance
from portal.demo.services.ledger import book_entry, reverse_entry

pytestmark = pytest.mark.django_db


def book(key: str = "run:post:0", amount: str = "120.00") -> LedgerEntry:
    return book_entry(
        operation_key=key,
        debit=Account.CARD_CLEARING,
        credit=Account.RECEIVABLES,
        amount=Decimal(amount),
        currency="EUR",
        party="kestrel-logistics",
        text="INV-2026-00001",
    )


def test_an_operation_is_booked_once() -> None:
    assert book() == book()
    assert LedgerEntry.objects.count() == 1


def test_a_key_cannot_book_something_else() -> None:
    book()
    with pytest.raises(Conflict):
        book(amount="121.00")


def test_an_entry_is_reversed_once_and_the_balances_are_back() -> None:
    entry = book()
    first = reverse_entry(entry_id=entry.id, operation_key="run:post:0:undo")
    assert reverse_entry(entry_id=entry.id, operation_key="run:post:0:undo-again") == first
    assert {balance.amount for balance in trial_balance()} == {Decimal(0)}


def test_balances_add_up_to_zero() -> None:
    book("a", "10.00")
    book("b", "0.01")
    balances = {balance.account: balance.amount for balance in trial_balance()}
    assert balances == {Account.CARD_CLEARING: Decimal("10.01"), Account.RECEIVABLES: Decimal("-10.01")}


@pytest.mark.parametrize("change", [{"amount": Decimal(0)}, {"credit": Account.CARD_CLEARING}])
def test_the_database_refuses_entries_that_move_nothing(change: dict[str, object]) -> None:
    fields = {"operation_key": "x", "debit": Account.CARD_CLEARING, "credit": Account.BANK, "amount": Decimal(1)}
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerEntry.objects.create(**fields | {"currency": "EUR", "party": "p", "booked_at": now()} | change)


def test_the_database_refuses_to_change_an_entry() -> None:
    entry = book()
    for act in (
        lambda: LedgerEntry.objects.filter(pk=entry.pk).update(amount=Decimal(1)),
        lambda: LedgerEntry.objects.filter(pk=entry.pk).delete(),
    ):
        with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
            act()
