"""The clients' side: who pays when, and how the bank tells of it. Plausible, and the same for the same invoice."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from random import Random

import httpx

from portal.core.actor import Actor
from portal.core.clock import now
from portal.demo.sandbox.client import SandboxClient
from portal.demo.sandbox.faults import Mode
from portal.demo.services.places import sandbox_url
from portal.demo.transfers.flows import PaymentConfirmed, TransferRequest
from workflows.events.services import emit_event
from workflows.models import EventWait, OutboxMessage

BANK = Actor(kind="system", id="demo-bank", label="The clients' bank", origin="webhook")
WAITS = "payment-confirmation.payment"
AT_ONCE = 5


class Manner(Enum):
    """What becomes of a bill."""

    PAID = "told once"
    TOLD_TWICE = "told twice: the second notice does nothing"
    MISTYPED = "told with another invoice's number: nobody waits for it, and the gap shows what it is worth"
    UNPAID = "not paid: the run goes on without, and reminds the client"


def manner_of(invoice_number: str) -> Manner:
    """Return what becomes of the bill for this invoice."""
    rng = Random(invoice_number)  # noqa: S311 - plausible, not secret
    return rng.choices(list(Manner), weights=[78, 10, 3, 9])[0]


def paid_after(invoice_number: str) -> timedelta:
    """Return how long the client takes."""
    return timedelta(seconds=Random(invoice_number[::-1]).uniform(15, 180))  # noqa: S311 - plausible, not secret


def tell_of_transfers() -> int:
    """Send the bank's notices for the bills that were paid by now; returns how many were told of.

    None while the sandbox's switch says "silent", or cannot be asked: the bank sends them later.
    """
    mode = _mode()
    if mode not in {Mode.OK, Mode.TWICE}:
        return 0
    waiting = EventWait.objects.filter(
        consumer=WAITS, closed_at=None, expires_at__gt=now(), run__is_demo=False
    ).select_related("run")
    due = [
        wait
        for wait in waiting.order_by("since")[:500]
        if manner_of(wait.key) is not Manner.UNPAID and wait.since + paid_after(wait.key) <= now()
    ]
    ids = [_notice_id(wait.key) for wait in due]
    told = set(OutboxMessage.objects.filter(source_id__in=ids).values_list("source_id", flat=True))
    untold = [wait for wait in due if _notice_id(wait.key) not in told]
    for wait in untold[:AT_ONCE]:
        _tell(TransferRequest.model_validate(wait.run.input), twice=mode is Mode.TWICE)
    return len(untold[:AT_ONCE])


def _notice_id(invoice_number: str) -> str:
    """Return the bank's own id of the notice: it makes the second notice the first."""
    return f"transfer {invoice_number}"


def _mode() -> Mode | None:
    try:
        with SandboxClient(sandbox_url(), timeout=2) as client:
            return Mode(client.faults()["notices"]["mode"])
    except (httpx.HTTPError, httpx.InvalidURL):
        return None


def _tell(bill: TransferRequest, *, twice: bool) -> None:
    number, manner = bill.invoice_number, manner_of(bill.invoice_number)
    notice = PaymentConfirmed(
        invoice_number=f"{number[:-2]}{number[-1]}{number[-2]}0" if manner is Manner.MISTYPED else number,
        client_id=bill.client_id,
        amount=bill.amount,
        currency=bill.currency,
        bank_reference=f"TRF-{number[4:]}",
        account="GB29NWBK60161331926819",
    )
    for _ in range(2 if twice or manner is Manner.TOLD_TWICE else 1):
        emit_event(actor=BANK, event=notice, source_id=_notice_id(number))
