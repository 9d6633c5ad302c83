"""What became of the trust account: a comparison each morning, and deposits of which one was never told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from portal.demo import flows
from portal.demo.cast import CLIENTS
from portal.demo.history.rhythm import arrivals
from portal.demo.history.story import Json, Rows, Story, id_at
from portal.demo.models import Account, LedgerEntry, PastRecord
from portal.demo.trust.compare import Deposit, Difference
from portal.demo.trust.flows import Differences, Parked, Statement
from workflows.engine.state import RunStatus

DEPOSITS_PER_DAY = 7
LOST_EVERY = 60  # one notice in so many is lost; the last one is still missing
STILL_MISSING = timedelta(hours=5)


class TrustStory(Story):
    """One morning's comparison."""

    def compare(self, lines: Sequence[Deposit], missing: Sequence[Deposit]) -> None:
        """The statement is fetched and compared; what is missing is parked and told."""
        self.succeed("fetch_statement", Statement(lines=list(lines)), self.rng.lognormvariate(-0.4, 0.4))
        worth: dict[str, Decimal] = {}
        for line in missing:
            worth[line.currency] = worth.get(line.currency, Decimal(0)) + line.amount
        found = [
            Difference(reference=d.reference, client=d.client, bank=d.amount, ledger=None, amount=d.amount,
                       currency=d.currency)
            for d in missing
        ]  # fmt: skip
        self.succeed("compare_with_ledger", Differences(found=found, worth=worth), self.rng.uniform(0.004, 0.02))
        if not missing:
            self.skip("park_missing")
            self.skip("tell_accountant")
            self.end(RunStatus.SUCCEEDED)
            return
        entries = [self._park(line) for line in missing]
        self.succeed("park_missing", Parked(entries=[entry.id for entry in entries]), self.rng.uniform(0.004, 0.02))
        told = flows.Mail(id=f"ml_{self.rng.getrandbits(80):020x}")
        self.succeed("tell_accountant", told, self.rng.lognormvariate(-1.7, 0.4))
        self.end(RunStatus.SUCCEEDED, output=told.model_dump(mode="json"))

    def _park(self, line: Deposit) -> LedgerEntry:
        entry = _entry(self.rng, self.at, line, f"trust:0:{line.reference}", Account.TRUST_SUSPENSE)
        entry.text = f"{line.reference} is on the bank's statement; its notice was lost"
        self.rows.entries.append(entry)
        return entry


class Deposits:
    """The deposits of the past: at the bank, and but for the lost ones in the ledger."""

    def __init__(self, rng: Random, start: datetime, now: datetime) -> None:
        self.rng, self.rows = rng, Rows()
        self.made: list[tuple[datetime, Deposit]] = []
        self.lost: list[tuple[datetime, Deposit]] = []
        for number, at in enumerate(arrivals(rng, start, now - timedelta(hours=9), per_day=DEPOSITS_PER_DAY), 1):
            self._pay_in(number, at, is_lost=number % LOST_EVERY == 0)
        self._pay_in(len(self.made) + 1, now - STILL_MISSING, is_lost=True)

    def up_to(self, until: datetime, days: int) -> Iterator[Deposit]:
        """Yield the deposits of so many days before ``until``."""
        yield from (line for at, line in self.made if until - timedelta(days=days) <= at < until)

    def lost_between(self, since: datetime, until: datetime) -> list[Deposit]:
        """Return the deposits of that time of which no notice came."""
        return [line for at, line in self.lost if since <= at < until]

    def _pay_in(self, number: int, at: datetime, *, is_lost: bool) -> None:
        client = self.rng.choice(CLIENTS)
        body: Json = {
            "reference": f"TR-{at:%Y%m%d}-{number:06}",
            "client": client.slug,
            "amount": f"{Decimal(client.usual) * self.rng.randint(2, 9):.2f}",
            "currency": client.currency,
        }
        line = Deposit(id=f"dp_{id_at(self.rng, at).hex}", **body)
        key = line.reference
        self.rows.records.append(
            PastRecord(id=line.id, collection="deposits", operation_key=key, once_key=key, body=body, made_at=at)
        )
        self.made.append((at, line))
        if is_lost:
            self.lost.append((at, line))
        else:
            told_at = at + timedelta(seconds=self.rng.uniform(0.3, 2))
            self.rows.entries.append(_entry(self.rng, told_at, line, f"trust:0:{key}", Account.TRUST_CLIENTS))


def _entry(rng: Random, at: datetime, line: Deposit, key: str, credit: Account) -> LedgerEntry:
    return LedgerEntry(
        id=id_at(rng, at),
        operation_key=key,
        debit=Account.TRUST_BANK,
        credit=credit,
        amount=line.amount,
        currency=line.currency,
        party=line.client,
        text=f"{line.reference} paid in for {line.client}",
        booked_at=at,
    )
