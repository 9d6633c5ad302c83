"""``python -m tests.faults.load start BATCH RUNS``: start runs of both demo flows; may die and be started again.

Each run has its idempotency key from batch and number, so starting a batch twice starts each run once. Every
tenth request is sent twice on purpose. ``rollback`` rolls all runs of a batch back.
"""

from __future__ import annotations

import sys
import time
from decimal import Decimal

import django

django.setup()

from django.db import Error as DatabaseError  # noqa: E402 - after the set-up
from django.db import connection  # noqa: E402

from portal.core.actor import SYSTEM  # noqa: E402
from portal.core.errors import PortalError  # noqa: E402
from portal.demo.flows import Invoice, PartnerShare, partner_payout, settle_invoice  # noqa: E402
from workflows.models import Run  # noqa: E402
from workflows.services import roll_back_run  # noqa: E402


def start(batch: str, number: int) -> None:
    """Start the run of this number: every fifth is a payout."""
    key = f"{batch}:{number}"
    if number % 5 == 0:
        share = PartnerShare(
            partner_id="northwind-advisers",
            month="2026-10",
            fees=Decimal(1000 + number),
            account="DE02120300000000202051",
        )
        partner_payout.start(share, idempotency_key=key)
        return
    invoice = Invoice(
        invoice_number=f"INV-2026-{number:05}",
        client_id="harbour-lane-estates",
        amount=Decimal(100 + number),
        card_token="tok_visa_4242",
        receipt_to="a@client.example",
    )
    settle_invoice.start(invoice, idempotency_key=key)


def roll_back(batch: str, number: int) -> None:
    """Roll the run of this number back, unless that has begun already."""
    run = Run.objects.get(idempotency_key=f"{batch}:{number}")
    if run.status not in {"rolling_back", "rolled_back"}:
        roll_back_run(actor=SYSTEM, run_id=run.pk, reason="The fault test rolls it back")


def insist(batch: str, number: int, *, verb: str) -> None:
    """Do it, however often the database is away."""
    while True:
        try:
            start(batch, number) if verb == "start" else roll_back(batch, number)
        except (DatabaseError, PortalError) as exc:
            print(f"load: {type(exc).__name__}: {exc}", flush=True)  # noqa: T201 - into the fleet's log
            connection.close()
            time.sleep(0.1)
        else:
            return


def main(verb: str, batch: str, runs: int) -> None:
    """Go through all numbers of the batch."""
    for number in range(runs):
        insist(batch, number, verb=verb)
        if number % 10 == 0:
            insist(batch, number, verb=verb)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
