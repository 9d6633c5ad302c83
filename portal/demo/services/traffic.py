"""Live traffic: plausible clients and partners whose runs really execute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from random import Random

from django.db import Error as DatabaseError
from django.db import connection

from portal.core.actor import Actor, person
from portal.core.clock import now
from portal.core.errors import InvalidTransition, PortalError
from portal.core.models import User
from portal.demo import flows
from portal.demo.billing.flows import BillingNight, nightly_batch_billing
from portal.demo.cast import CLOSED_ACCOUNT, DECLINED_CARD, some_invoice, some_share
from portal.demo.history.rhythm import intensity
from portal.demo.people import MONA
from portal.demo.retention.traffic import RetentionTraffic
from portal.demo.services.history import tell_the_sandbox_if_it_listens
from portal.demo.services.places import sandbox_url
from portal.demo.transfers.bank import tell_of_transfers
from portal.demo.transfers.flows import TransferRequest, payment_confirmation
from portal.demo.trust.traffic import TrustTraffic
from workflows.engine.state import RunStatus
from workflows.models import ApprovalRequest, Run
from workflows.services import approve_step, cancel_run, roll_back_run

log = logging.getLogger(__name__)

ACTOR = Actor(kind="system", id="demo-traffic", label="Demo traffic", origin="command")
BUSY_SECONDS = 4.0  # between two runs, on average, in the busiest hour
QUIET_SECONDS = 25.0  # and at night
# The demo deletes nothing. A database of this many live runs grows by one run a minute only.
PLENTY = 40_000
PLENTY_SECONDS = 60.0
RETRY_SECONDS = 3.0
# Some cards are declined. Left alone for a day, those runs would bury what a visitor has broken.
KEEP_FAILURES = timedelta(minutes=30)
KEEP_QUESTIONS = timedelta(hours=1)
ANSWER_REASON = "Checked against the partner's agreement."
CLEAR_REASON = "Nobody looked after this demo run for half an hour."


class Traffic:
    """Starts one run after the other. ``sleep`` is given by tests."""

    def __init__(self, *, rng: Random | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self._rng = rng or Random()  # noqa: S311 - plausible, not secret
        self._sleep = sleep
        self._told = False
        self._has_billed = False
        self._trust = TrustTraffic()
        self._retention = RetentionTraffic()

    def run(self) -> None:
        """Start runs for ever, through restarts of everything that this needs."""
        while True:
            try:
                self._bill_last_night()
                pause = self.turn()
            except (DatabaseError, PortalError) as exc:
                log.warning("No run could be started, trying again: %s", exc)
                connection.close()
                pause = RETRY_SECONDS
            self._sleep(pause)

    def turn(self) -> float:
        """Start a run and return the seconds to wait before the next."""
        self._tell_the_past()
        self._clear_an_old_failure()
        self._answer_an_old_question()
        self._trust.turn(ACTOR)
        self._retention.turn(ACTOR)
        tell_of_transfers()
        what = self._rng.random()
        if what < 0.12:
            self._start_payout()
        elif what > 0.88:
            self._start_transfer()
        else:
            self._start_settlement()
        return self._pause()

    def _bill_last_night(self) -> None:
        """Catch up on the batch of the night before the demo was started; the next ones start by their schedule."""
        if self._has_billed:
            return
        night = BillingNight(day=now().date() - timedelta(days=1))
        nightly_batch_billing.start(night, idempotency_key=f"night of {night.day}", actor=ACTOR)
        self._has_billed = True

    def _start_settlement(self) -> None:
        moment = now()
        number = int(moment.timestamp()) % 1_000_000
        card = DECLINED_CARD if self._rng.random() < 0.012 else ""
        invoice = some_invoice(self._rng, number, moment, card=card)
        flows.settle_invoice.start(
            invoice, idempotency_key=f"{invoice.invoice_number} {moment:%Y-%m-%d}", actor=ACTOR
        )

    def _start_payout(self) -> None:
        account = CLOSED_ACCOUNT if self._rng.random() < 0.02 else ""
        share = some_share(self._rng, now(), account=account)
        key = f"{share.partner_id} {share.month} {now():%Y-%m-%dT%H:%M:%S}"
        flows.partner_payout.start(share, idempotency_key=key, actor=ACTOR)

    def _start_transfer(self) -> None:
        moment = now()
        invoice = some_invoice(self._rng, int(moment.timestamp()) % 1_000_000, moment)
        request = TransferRequest.for_invoice(invoice)
        payment_confirmation.start(
            request, idempotency_key=f"{invoice.invoice_number} {moment:%Y-%m-%d}", actor=ACTOR
        )

    def _clear_an_old_failure(self) -> None:
        """Roll back a run of this traffic that failed long ago, or cancel it if it had done nothing."""
        old = Run.objects.filter(
            status=RunStatus.FAILED, started_by=ACTOR.label, is_demo=False, ended_at__lt=now() - KEEP_FAILURES
        )
        run = old.order_by("ended_at").first()
        if run is None:
            return
        try:
            roll_back_run(actor=ACTOR, run_id=run.pk, reason=CLEAR_REASON)
        except InvalidTransition:
            cancel_run(actor=ACTOR, run_id=run.pk, reason=CLEAR_REASON)

    def _answer_an_old_question(self) -> None:
        """Approve a large payout of this traffic that nobody has looked at, as the manager of the demo."""
        old = ApprovalRequest.objects.filter(
            status=ApprovalRequest.Status.OPEN,
            run__status=RunStatus.WAITING,
            run__started_by=ACTOR.label,
            asked_at__lt=now() - KEEP_QUESTIONS,
        )
        request = old.order_by("asked_at").first()
        manager = User.objects.filter(username=MONA.username, is_active=True).first()
        if request and manager:
            approve_step(actor=person(manager), run_id=request.run_id, reason=ANSWER_REASON)

    def _pause(self) -> float:
        if Run.objects.filter(is_demo=False).order_by()[:PLENTY].count() == PLENTY:
            return PLENTY_SECONDS
        usual = min(QUIET_SECONDS, max(BUSY_SECONDS, BUSY_SECONDS * 2.8 / max(intensity(now()), 0.01)))
        return min(max(self._rng.expovariate(1 / usual), 1.0), 3 * usual)

    def _tell_the_past(self) -> None:
        """Give the sandbox its part of the generated history, once it listens."""
        if not self._told and (url := sandbox_url()):
            self._told = tell_the_sandbox_if_it_listens(url) is not None
