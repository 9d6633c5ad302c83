"""``python -m tests.faults.load start BATCH RUNS``: start runs of both demo flows; may die and be started again.

Each run has its idempotency key from batch and number, so starting a batch twice starts each run once. Every
tenth request is sent twice on purpose. ``rollback`` rolls all runs of a batch back; ``transfers`` starts runs that
wait for an event, and emits it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from decimal import Decimal
from zlib import crc32

import django

django.setup()

from django.db import Error as DatabaseError  # noqa: E402 - after the set-up
from django.db import connection  # noqa: E402

from portal.core.actor import SYSTEM  # noqa: E402
from portal.core.errors import PortalError  # noqa: E402
from portal.demo.flows import Invoice, PartnerShare, partner_payout, settle_invoice  # noqa: E402
from portal.demo.transfers.flows import PaymentConfirmed, TransferRequest, payment_confirmation  # noqa: E402
from workflows.events.services import emit_event  # noqa: E402
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


def invoice_of(batch: str, number: int) -> str:
    """Return an invoice number of this batch alone."""
    return f"INV-{2000 + crc32(batch.encode()) % 7000}-{number:05}"


def await_transfer(batch: str, number: int) -> None:
    """Start a run that waits for a payment; the bank tells of it twice, and of every third before there is a run."""
    key = invoice_of(batch, number)
    notice = PaymentConfirmed(
        invoice_number=key,
        client_id="harbour-lane-estates",
        amount=Decimal(100 + number),
        currency="EUR",
        bank_reference=key,
    )
    request = TransferRequest(
        invoice_number=key, client_id=notice.client_id, amount=notice.amount, receipt_to="a@client.example"
    )
    if number % 3 == 0:
        emit_event(actor=SYSTEM, event=notice, source_id=key)
    payment_confirmation.start(request, idempotency_key=f"{batch}:{number}")
    emit_event(actor=SYSTEM, event=notice, source_id=key)


DOES: dict[str, Callable[[str, int], None]] = {"start": start, "rollback": roll_back, "transfers": await_transfer}


def insist(batch: str, number: int, *, verb: str) -> None:
    """Do it, however often the database is away."""
    while True:
        try:
            DOES[verb](batch, number)
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
