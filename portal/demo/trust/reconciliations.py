"""The check that finds a lost notice long before the auditor does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import httpx

from diagnostics import CannotSee, Mismatch, reconciliation
from portal.core.clock import now
from portal.demo.flows import banking_url
from portal.demo.trust.compare import Deposit, differences
from portal.demo.trust.ledger import booked_deposits
from workflows import ConfigurationError

LOOK_BACK = timedelta(days=30)
ON_ITS_WAY = timedelta(minutes=2)  # the notice of a deposit may take so long
TIMEOUT_SECONDS = 10.0


@reconciliation(
    "trust-account",
    title="Trust account",
    owner="finance-operations",
    every=timedelta(minutes=5),
    left="Bank statement",
    right="Ledger",
    runbook="trust-account-reconciliation",
)
def trust_account() -> Iterator[Mismatch]:
    """Every deposit on the bank's statement of the last thirty days is in the ledger, to the cent."""
    until = now() - ON_ITS_WAY
    since = until - LOOK_BACK
    for each in differences(_statement(since, until), booked_deposits(since, now())):
        if each.bank is None:
            continue  # the bank does not list it yet, or not any more: it is at the edge of the thirty days
        yield Mismatch(
            key=each.reference,
            left=each.bank,
            right=each.ledger,
            amount=each.amount,
            currency=each.currency,
            note=f"Paid in for {each.client}; its notice was lost" if each.ledger is None else "Amounts differ",
        )


def _statement(since: datetime, until: datetime) -> list[Deposit]:
    span = {name: moment.isoformat(timespec="milliseconds") for name, moment in (("since", since), ("until", until))}
    try:
        answer = httpx.get(f"{banking_url.value()}/statement", params=span, timeout=TIMEOUT_SECONDS, trust_env=False)
        return [Deposit.model_validate(line) for line in answer.raise_for_status().json()["lines"]]
    except (httpx.HTTPError, ValueError, KeyError, ConfigurationError) as exc:
        raise CannotSee(f"The bank gave no statement: {exc}") from exc
