"""Sums of money, each in its own currency: they are never added across currencies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Money:
    """A sum in one currency."""

    amount: Decimal
    currency: str


def summed(parts: Iterable[tuple[Decimal | None, str]]) -> tuple[Money, ...]:
    """Return what amounts (None: not known) come to, by currency, the largest sum first."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for amount, currency in parts:
        sums[currency] += amount or 0
    found = [Money(amount, currency) for currency, amount in sums.items() if amount]
    return tuple(sorted(found, key=lambda money: -money.amount))
