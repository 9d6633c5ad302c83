"""The comparison itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from pydantic import BaseModel


class Deposit(BaseModel):
    """A line of the bank's statement: what a client has paid in."""

    id: str
    reference: str
    client: str
    amount: Decimal
    currency: str


class Booked(BaseModel):
    """What the ledger says of a deposit."""

    amount: Decimal
    currency: str


class Difference(BaseModel):
    """A deposit on which bank and ledger differ; None where one of them does not know it."""

    reference: str
    client: str = ""
    bank: Decimal | None
    ledger: Decimal | None
    amount: Decimal
    currency: str


def differences(lines: Iterable[Deposit], booked: Mapping[str, Booked]) -> list[Difference]:
    """Return the deposits on which the bank's lines and the ledger differ, by reference."""
    found = []
    at_bank = {line.reference: line for line in lines}
    for reference in sorted(at_bank.keys() | booked.keys()):
        line, entry = at_bank.get(reference), booked.get(reference)
        bank, ledger = line.amount if line else None, entry.amount if entry else None
        if bank == ledger:
            continue
        found.append(
            Difference(
                reference=reference,
                client=line.client if line else "",
                bank=bank,
                ledger=ledger,
                amount=abs((bank or Decimal(0)) - (ledger or Decimal(0))),
                currency=line.currency if line else booked[reference].currency,
            )
        )
    return found
