"""What became of invoices: scenes of ``settle-invoice``."""

from __future__ import annotations

from datetime import datetime, timedelta

from portal.demo import flows
from portal.demo.history import errors
from portal.demo.history.story import Json, Story
from portal.demo.models import Account
from portal.demo.people import OLGA, SAM
from portal.demo.sandbox.services import charge_record
from workflows.engine.state import RunStatus

GATEWAY = flows.payments.name
CHARGES = "/payments/charges"


class Settlement(Story):
    """An invoice on its way through ``settle-invoice``."""

    @property
    def invoice(self) -> flows.Invoice:
        """The run's input."""
        return flows.Invoice.model_validate(self.run.input)

    def check(self) -> None:
        """The invoice is within the rules."""
        self.succeed("check_invoice", flows.check_invoice(self.invoice), self.rng.uniform(0.0004, 0.002))

    def order(self) -> Json:
        """What is sent to the gateway."""
        return {
            "amount": str(self.invoice.amount),
            "currency": self.invoice.currency,
            "invoice": self.invoice.invoice_number,
            "card_token": self.invoice.card_token,
        }

    def arrive(self) -> flows.Charge:
        """The gateway charges the card."""
        record = charge_record(self.order())
        key = self.key("charge")
        charge_id = self.outside("charges", key, "ch", record, once_key=key)
        return flows.Charge(id=charge_id, amount=self.invoice.amount, currency=self.invoice.currency)

    def charge(self, *, slow: bool = False) -> None:
        """The card is charged, as usual or with a slow answer."""
        seconds = self.rng.uniform(2.4, 4.9) if slow else min(self.rng.lognormvariate(-0.9, 0.45), 4.0)
        self.succeed("charge", self.arrive(), seconds)

    def post(self) -> None:
        """The payment is booked."""
        charge_id = str((self.steps["charge"].output or {})["id"])
        text = f"{self.invoice.invoice_number} paid by card, {charge_id}"
        entry = self.book("post_to_ledger", Account.CARD_CLEARING, Account.RECEIVABLES, self.invoice.amount, text)
        self.succeed("post_to_ledger", flows.Booking(entry_id=entry.id), self.rng.uniform(0.004, 0.012))

    def mail(self) -> None:
        """The receipt is mailed, and the run is through."""
        receipt = flows.Mail(id=f"ml_{self.rng.getrandbits(80):020x}")
        self.succeed("send_receipt", receipt, self.rng.lognormvariate(-1.7, 0.4))
        self.end(RunStatus.SUCCEEDED, output=receipt.model_dump(mode="json"))

    def slow_gateway(self) -> Json:
        """The error of a try that ran out of time."""
        return errors.no_answer(flows.charge.function, GATEWAY, CHARGES, round(flows.payments.timeout))


def go_well(story: Settlement) -> None:
    """Everything works at once."""
    story.check()
    story.charge()
    story.post()
    story.mail()


def be_slow(story: Settlement) -> None:
    """The gateway takes its time."""
    story.check()
    story.charge(slow=True)
    story.post()
    story.mail()


def be_retried(story: Settlement) -> None:
    """One or two tries get no answer in time, the next one does."""
    story.check()
    for number in range(story.rng.choice((1, 1, 2))):
        story.retry("charge", story.slow_gateway(), 5.0, story.rng.uniform(0, 2.0 * 2**number))
    story.charge()
    story.post()
    story.mail()


def degrade(story: Settlement) -> None:
    """The receipt cannot be mailed."""
    story.check()
    story.charge()
    story.post()
    error = errors.server_error(flows.send_receipt.function, flows.mail.name, "/mail/receipts")
    for number in range(2):
        story.retry("send_receipt", error, 0.2, story.rng.uniform(0, 2.0 * 2**number))
    story.fail("send_receipt", error, 0.2)
    story.end(RunStatus.DEGRADED)


def be_declined(story: Settlement) -> None:
    """The client's card is refused."""
    story.check()
    error = errors.refused(
        flows.charge.function,
        GATEWAY,
        CHARGES,
        "PermanentError",
        "402 Payment Required",
        "The card was declined by its issuer.",
    )
    story.fail("charge", error, story.rng.uniform(0.3, 0.9))
    story.end(RunStatus.FAILED, error=error)


def be_cancelled(story: Settlement) -> None:
    """The card is refused, and support clears the matter with the client."""
    be_declined(story)
    story.wait(story.rng.uniform(900, 9000))
    story.end(RunStatus.CANCELLED, actor=SAM.label, reason="The client pays by bank transfer instead.")


def be_rolled_back(story: Settlement) -> None:
    """It goes well, but should not have happened."""
    go_well(story)
    story.wait(story.rng.uniform(1800, 20000))
    story.event("run.rollback_started", actor=SAM.label, reason="The client was invoiced twice for this matter.")
    story.wait(0.4)
    story.undo("post_to_ledger", 0.01)
    story.reverse("post_to_ledger")
    charge = story.steps["charge"].output or {}
    body = {"charge": charge["id"], "amount": charge["amount"], "currency": charge["currency"]}
    story.outside("refunds", f"{story.key('charge')}:undo", "re", body, once_key=charge["id"])
    story.undo("charge", story.rng.uniform(0.3, 0.8))
    story.end(RunStatus.ROLLED_BACK)


def run_out_of_tries(story: Settlement) -> None:
    """The gateway stays slow until no try is left; nothing was charged."""
    story.check()
    error = story.slow_gateway()
    for number in range(4):
        story.retry("charge", error, 5.0, story.rng.uniform(1, 2.0 * 2**number))
    story.fail("charge", error, 5.0)
    story.end(RunStatus.FAILED, error=error)


def lose_the_answers(story: Settlement) -> None:
    """As before, but the gateway did charge: only its answers came too late."""
    run_out_of_tries(story)
    story.arrive()


def exceed_the_limit(story: Settlement) -> None:
    """The amount is above what may be charged at once."""
    limit = f"{flows.SINGLE_CHARGE_LIMIT}"
    invoice = story.invoice
    error = errors.stored_error(
        "BusinessRuleViolation",
        "business-rule",
        f"{invoice.amount} {invoice.currency} is above {limit}, the limit of one charge. "
        "Split the invoice, or take the payment by bank transfer.",
        at=flows.check_invoice.function,
        limit=limit,
    )
    story.fail("check_invoice", error, 0.001)
    story.end(RunStatus.FAILED, error=error)


def be_paused(story: Settlement) -> None:
    """A person holds the run after the charge."""
    story.check()
    story.charge()
    story.end(
        RunStatus.PAUSED,
        actor=OLGA.label,
        reason="The client disputes the amount; finance calls back before this is booked.",
    )
    story.run.current_step = "post_to_ledger"


def wait_out_the_outage(story: Settlement, breaker_opens: datetime, well_again: datetime) -> None:
    """The gateway breaks: tries fail until the breaker opens, then the run waits until it closes."""
    story.check()
    error = errors.server_error(flows.charge.function, GATEWAY, CHARGES)
    tries = 0
    while story.at < breaker_opens and tries < 4:
        story.retry("charge", error, 0.3, story.rng.uniform(1, 2.0 * 2**tries))
        tries += 1
    back = well_again + timedelta(seconds=story.rng.uniform(1, 60))
    if story.at < back:
        pause = (back - story.at).total_seconds()
        story.await_dependency("charge", errors.not_called(flows.charge.function, GATEWAY), GATEWAY, pause)
    story.charge()
    story.post()
    story.mail()


def fail_in_the_outage(story: Settlement, resumed_at: datetime) -> None:
    """The tries run out while the gateway is broken; afterwards an operator resumes the run."""
    story.check()
    error = errors.server_error(flows.charge.function, GATEWAY, CHARGES)
    for number in range(4):
        story.retry("charge", error, 0.3, story.rng.uniform(1, 2.0 * 2**number))
    story.fail("charge", error, 0.3)
    story.end(RunStatus.FAILED, error=error)
    story.wait(max((resumed_at - story.at).total_seconds(), 1) + story.rng.uniform(0, 900))
    story.resume(OLGA.label, "The gateway is back; its status page confirms the end of the outage.")
    story.charge()
    story.post()
    story.mail()
