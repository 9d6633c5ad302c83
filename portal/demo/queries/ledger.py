"""What stands in the ledger."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import F, QuerySet, Sum

from portal.demo.models import Account, LedgerEntry


@dataclass(frozen=True, slots=True)
class Balance:
    """What stands on an account: debits minus credits."""

    account: Account
    currency: str
    amount: Decimal


def trial_balance(entries: QuerySet[LedgerEntry] | None = None) -> list[Balance]:
    """Return every account's balance by currency, in two queries. They add up to zero in each currency."""
    entries = LedgerEntry.objects.all() if entries is None else entries
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for side, sign in (("debit", 1), ("credit", -1)):
        rows = entries.order_by().values("currency", account=F(side)).annotate(total=Sum("amount"))
        for row in rows:
            sums[row["currency"], row["account"]] += sign * row["total"]
    return [
        Balance(account, currency, sums[currency, account])
        for currency in sorted({currency for currency, _ in sums})
        for account in Account
        if (currency, account) in sums
    ]
