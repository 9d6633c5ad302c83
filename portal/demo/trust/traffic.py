"""Clients pay into the trust account. The bank tells us of each deposit, except for those that it does not."""

from __future__ import annotations

import logging
from datetime import date
from decimal import Decimal
from random import Random

import httpx

from portal.core.actor import Actor
from portal.core.clock import now
from portal.demo.cast import CLIENTS
from portal.demo.services.places import sandbox_url
from portal.demo.trust.compare import Deposit
from portal.demo.trust.flows import StatementDay, trust_account_reconciliation
from portal.demo.trust.ledger import receive_notice

log = logging.getLogger(__name__)
SHARE = 0.05  # of the traffic's turns
LOST = 0.04  # of the bank's notices
HOUR = 5  # the statement of the day before is there


class TrustTraffic:
    """What happens on the trust account while the demo runs."""

    def __init__(self, rng: Random | None = None) -> None:
        self._rng = rng or Random()  # noqa: S311 - plausible, not secret
        self._reconciled_on: date = now().date()

    def turn(self, actor: Actor) -> None:
        """Let a client pay in now and then, and compare once a day."""
        if self._rng.random() < SHARE:
            self._pay_in()
        moment = now()
        if moment.date() > self._reconciled_on and moment.hour >= HOUR:
            day = StatementDay(day=self._reconciled_on)
            trust_account_reconciliation.start(day, idempotency_key=f"trust {day.day}", actor=actor)
            self._reconciled_on = moment.date()

    def _pay_in(self) -> None:
        """Pay in at the bank, and have its notice booked, unless it is lost."""
        client = self._rng.choice(CLIENTS)
        order = {
            "reference": f"TR-{now():%Y%m%d}-{self._rng.randrange(10**6):06}",
            "client": client.slug,
            "amount": str(Decimal(client.usual) * self._rng.randint(2, 9)),
            "currency": client.currency,
        }
        try:
            answer = httpx.post(f"{sandbox_url()}/banking/deposits", json=order, timeout=3, trust_env=False)
            deposit = Deposit.model_validate(answer.raise_for_status().json())
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
            log.info("The bank took no deposit: %s", exc)
            return
        if self._rng.random() >= LOST:
            receive_notice(deposit)
