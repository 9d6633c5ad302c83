"""Booking and reversing. Safe to call twice with one operation key: the second call changes nothing."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from portal.core.clock import now
from portal.core.errors import Conflict
from portal.demo.models import Account, LedgerEntry


def book_entry(
    *,
    operation_key: str,
    debit: Account,
    credit: Account,
    amount: Decimal,
    currency: str,
    party: str,
    text: str,
) -> LedgerEntry:
    """Book an amount, in the caller's transaction, and return the entry (the first one for this key).

    :raises Conflict: if the key was used before for something else.
    """
    entry, made = LedgerEntry.objects.get_or_create(
        operation_key=operation_key,
        defaults={
            "debit": debit,
            "credit": credit,
            "amount": amount,
            "currency": currency,
            "party": party,
            "text": text,
            "booked_at": now(),
        },
    )
    booked = (entry.debit, entry.credit, entry.amount, entry.currency)
    if not made and booked != (debit, credit, amount, currency):
        raise Conflict("This operation key has booked something else.", operation_key=operation_key)
    return entry


def reverse_entry(*, entry_id: UUID, operation_key: str) -> LedgerEntry:
    """Take an entry back by its mirror image, in the caller's transaction; once at most."""
    original = LedgerEntry.objects.get(id=entry_id)
    reversal, _ = LedgerEntry.objects.get_or_create(
        reverses=original,
        defaults={
            "operation_key": operation_key,
            "debit": original.credit,
            "credit": original.debit,
            "amount": original.amount,
            "currency": original.currency,
            "party": original.party,
            "text": f"Reversal: {original.text}"[:200],
            "booked_at": now(),
        },
    )
    return reversal
