"""What became of bills that were to be paid by transfer: scenes of ``payment-confirmation``."""

from __future__ import annotations

from datetime import timedelta

from portal.demo.flows import Booking, Mail
from portal.demo.history.story import Story
from portal.demo.models import Account
from portal.demo.transfers.flows import PAYMENT_TIME, PaymentConfirmed, TransferRequest
from workflows.engine.state import RunStatus


class TransferStory(Story):
    """A bill on its way through ``payment-confirmation``."""

    @property
    def data(self) -> TransferRequest:
        """The run's input."""
        return TransferRequest.model_validate(self.run.input)

    def mail(self, step: str) -> Mail:
        """A mail goes out."""
        mail = Mail(id=f"ml_{self.rng.getrandbits(80):020x}")
        self.succeed(step, mail, self.rng.lognormvariate(-1.7, 0.4))
        return mail

    def stand_waiting(self, seconds: float) -> None:
        """The run stands at the wait, without a worker."""
        key = {"event": "payment.confirmed", "key": self.data.invoice_number}
        self.event("step.waiting", "payment", reason="event", on=f"{key['event']} for {key['key']}", **key)
        self._sleep(seconds)


def go_well(story: TransferStory) -> None:
    """The client pays, the bank tells, and it is booked."""
    data = story.data
    story.mail("send_bill")
    waited = story.rng.uniform(15, 420)
    story.stand_waiting(waited)
    notice = PaymentConfirmed(
        invoice_number=data.invoice_number,
        client_id=data.client_id,
        amount=data.amount,
        currency=data.currency,
        bank_reference=f"TRF-{data.invoice_number[4:]}",
    )
    story.settle_wait("payment", notice, waited)
    text = f"{data.invoice_number} paid by transfer, {notice.bank_reference}"
    entry = story.book("book_payment", Account.BANK, Account.RECEIVABLES, data.amount, text)
    booking = Booking(entry_id=entry.id)
    story.succeed("book_payment", booking, story.rng.uniform(0.004, 0.012))
    story.skip("remind")
    story.end(RunStatus.SUCCEEDED)


def go_unpaid(story: TransferStory) -> None:
    """Nothing comes in time, and the client is reminded."""
    story.mail("send_bill")
    story.stand_waiting(PAYMENT_TIME / timedelta(seconds=1))
    story.settle_wait("payment", None, PAYMENT_TIME / timedelta(seconds=1))
    story.skip("book_payment")
    reminder = story.mail("remind")
    story.end(RunStatus.SUCCEEDED, output=reminder.model_dump(mode="json"))
