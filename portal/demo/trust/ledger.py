"""Deposits in the firm's ledger. What a deposit put on the bank account has a key that ends in its reference.

However often and from wherever it is booked, it counts once: "trust:0:TR-2026-00042" is unique, and the number grows
only when the entry before was reversed.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from portal.demo.models import Account, LedgerEntry
from portal.demo.services.ledger import book_entry
from portal.demo.trust.compare import Booked, Deposit, Difference


def booked_deposits(since: datetime, until: datetime) -> dict[str, Booked]:
    """Return what the ledger has of the deposits booked in that time, by reference."""
    entries = LedgerEntry.objects.filter(debit=Account.TRUST_BANK, booked_at__gte=since, booked_at__lt=until)
    return {
        entry.operation_key.rpartition(":")[2]: Booked(amount=entry.amount, currency=entry.currency)
        for entry in _standing(entries)
    }


@transaction.atomic
def receive_notice(deposit: Deposit) -> LedgerEntry:
    """Book a deposit that the bank has told us of. A second notice of it changes nothing.

    If it was parked because its notice seemed lost, it goes from there to the client.

    :raises Conflict: if another amount was booked for it.
    """
    known = _standing(_entries(deposit.reference)).first()
    is_parked = known is not None and known.credit == Account.TRUST_SUSPENSE
    return book_entry(
        operation_key=f"trust:assigned:{deposit.reference}" if is_parked else _key(deposit.reference, known),
        debit=Account.TRUST_SUSPENSE if is_parked else Account.TRUST_BANK,
        credit=Account.TRUST_CLIENTS,
        amount=deposit.amount,
        currency=deposit.currency,
        party=deposit.client,
        text=f"{deposit.reference} paid in for {deposit.client}",
    )


def park(difference: Difference) -> LedgerEntry:
    """Book a deposit that only the bank knows to the suspense account, until somebody says whose it is.

    Returns what is there, if it was booked meanwhile.

    :raises Conflict: if it is being booked this very moment; the next try finds it.
    """
    known = _standing(_entries(difference.reference)).first()
    return known or book_entry(
        operation_key=_key(difference.reference, None),
        debit=Account.TRUST_BANK,
        credit=Account.TRUST_SUSPENSE,
        amount=difference.amount,
        currency=difference.currency,
        party=difference.client,
        text=f"{difference.reference} is on the bank's statement; its notice was lost",
    )


def _entries(reference: str) -> QuerySet[LedgerEntry]:
    return LedgerEntry.objects.filter(debit=Account.TRUST_BANK, operation_key__endswith=f":{reference}")


def _standing(entries: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
    """Leave out the entries that were reversed."""
    return entries.exclude(pk__in=LedgerEntry.objects.filter(reverses__in=entries).values("reverses_id"))


def _key(reference: str, known: LedgerEntry | None) -> str:
    return known.operation_key if known else f"trust:{_entries(reference).count()}:{reference}"
