"""What stands in the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class Sheet:
    """Balances as a table: a line for each account, a column for each currency, and the sum below."""

    currencies: Sequence[str]
    lines: Sequence[tuple[Account, Sequence[Decimal]]]
    sums: Sequence[Decimal]

    @property
    def is_even(self) -> bool:
        """Whether debits and credits are equal in each currency."""
        return not any(self.sums)


def balance_sheet() -> Sheet:
    """Return the trial balance as a table."""
    amounts = {(balance.account, balance.currency): balance.amount for balance in trial_balance()}
    currencies = sorted({currency for _, currency in amounts})
    lines = [
        (account, [amounts.get((account, currency), Decimal(0)) for currency in currencies]) for account in Account
    ]
    sums = [sum(column, Decimal(0)) for column in zip(*(line for _, line in lines), strict=True)]
    return Sheet(currencies, lines, sums)


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
