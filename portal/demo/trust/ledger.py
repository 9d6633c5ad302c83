"""Deposits in the firm's ledger. What is booked of a deposit ends in its reference: "trust:TR-2026-00042"."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from portal.demo.models import Account, LedgerEntry
from portal.demo.services.ledger import book_entry
from portal.demo.trust.compare import Booked, Deposit, Difference


def booked_deposits(since: datetime, until: datetime) -> dict[str, Booked]:
    """Return what the ledger has of the deposits booked in that time, by reference."""
    entries = LedgerEntry.objects.filter(debit=Account.TRUST_BANK, booked_at__gte=since, booked_at__lt=until)
    undone = set(LedgerEntry.objects.filter(reverses__in=entries).values_list("reverses_id", flat=True))
    return {
        entry.operation_key.rpartition(":")[2]: Booked(amount=entry.amount, currency=entry.currency)
        for entry in entries
        if entry.pk not in undone
    }


@transaction.atomic
def receive_notice(deposit: Deposit) -> LedgerEntry:
    """Book a deposit that the bank has told us of. A second notice of it changes nothing.

    If it was parked because the first notice was lost, it is moved from there.
    """
    parked = LedgerEntry.objects.filter(
        debit=Account.TRUST_BANK,
        credit=Account.TRUST_SUSPENSE,
        operation_key__endswith=f":{deposit.reference}",
        amount=deposit.amount,
    )
    reversed_ids = LedgerEntry.objects.filter(reverses__in=parked).values("reverses_id")
    is_parked = parked.exclude(pk__in=reversed_ids).exists()
    return book_entry(
        operation_key=f"trust:{deposit.reference}",
        debit=Account.TRUST_SUSPENSE if is_parked else Account.TRUST_BANK,
        credit=Account.TRUST_CLIENTS,
        amount=deposit.amount,
        currency=deposit.currency,
        party=deposit.client,
        text=f"{deposit.reference} paid in for {deposit.client}",
    )


def park(difference: Difference, operation_key: str) -> LedgerEntry:
    """Book a deposit that only the bank knows to the suspense account, until somebody says whose it is."""
    return book_entry(
        operation_key=f"{operation_key}:{difference.reference}",
        debit=Account.TRUST_BANK,
        credit=Account.TRUST_SUSPENSE,
        amount=difference.amount,
        currency=difference.currency,
        party=difference.client,
        text=f"{difference.reference} is on the bank's statement; its notice was lost",
    )
