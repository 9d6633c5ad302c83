"""Results of the demo's check, as they would stand after a few days."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from diagnostics.models import Discrepancy, Reconciliation
from portal.core.clock import now

CHECK = "trust-account"


def looked(*, minutes_ago: float, status: str = "agrees", **found: object) -> None:
    """The check has compared."""
    at = now() - timedelta(minutes=minutes_ago)
    Reconciliation.objects.create(name=CHECK, status=status, due_at=at, started_at=at, ended_at=at, **found)


def books_agree() -> None:
    """A quiet day; one lost notice of the day before was found and is gone."""
    for number in range(24, 0, -1):
        looked(minutes_ago=5 * number - 4)
    missing("TR-20261119-000181", "812.00", hours=26, gone_hours=21)


def books_differ() -> None:
    """Three notices were lost; for a while the bank could not be asked."""
    for number in range(6, 2, -1):
        looked(minutes_ago=5 * number - 4, status="cannot_see", problem="The bank gave no statement: timed out")
    stake = {"EUR": "33850.00", "GBP": "13400.00"}
    for number in (2, 1):
        looked(minutes_ago=5 * number - 4, status="differs", mismatches=3, new_mismatches=3 % number, at_stake=stake)
    missing("TR-20261120-000187", "21850.00", hours=5)
    missing("TR-20261120-000190", "12000.00", hours=3)
    missing("TR-20261120-000191", "13400.00", hours=1, currency="GBP")


def missing(key: str, amount: str, *, hours: float, gone_hours: float | None = None, currency: str = "EUR") -> None:
    """A deposit that the ledger lacks."""
    Discrepancy.objects.create(
        name=CHECK,
        key=key,
        left=f"{Decimal(amount):,.2f}",
        amount=Decimal(amount),
        currency=currency,
        note="Paid in for quayside-dental; its notice was lost",
        first_seen_at=now() - timedelta(hours=hours),
        last_seen_at=now(),
        gone_at=None if gone_hours is None else now() - timedelta(hours=gone_hours),
    )
