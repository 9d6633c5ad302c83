"""What became of partner shares: scenes of ``partner-payout``."""

from __future__ import annotations

from datetime import timedelta

from portal.demo import flows
from portal.demo.history import errors
from portal.demo.history.story import Json, Story
from portal.demo.models import Account
from portal.demo.people import MONA, OLGA
from portal.demo.sandbox.services import payout_record
from workflows import Approval
from workflows.engine.state import RunStatus

BANK = flows.banking.name
PAYOUTS = "/banking/payouts"


class PayoutStory(Story):
    """A partner's share on its way through ``partner-payout``."""

    @property
    def data(self) -> flows.PartnerShare:
        """The run's input."""
        return flows.PartnerShare.model_validate(self.run.input)

    @property
    def share(self) -> flows.Share:
        """What the partner gets."""
        return flows.calculate_share(self.data)

    def reserve(self) -> None:
        """The share is worked out and set aside."""
        self.succeed("calculate_share", self.share, self.rng.uniform(0.0004, 0.002))
        self.approve() if flows.needs_approval(self.share) else self.skip("approve_payout")
        text = f"Share of {self.data.month} reserved"
        entry = self.book("reserve_funds", Account.PARTNER_SHARES, Account.PAYOUTS_RESERVED, self.share.amount, text)
        self.succeed("reserve_funds", flows.Booking(entry_id=entry.id), self.rng.uniform(0.004, 0.012))

    def approve(self) -> None:
        """A second person looks at a large payout, and says yes."""
        question = flows.payout_question(self.data, self.share)
        pause = self.rng.uniform(300, 5400)
        reason = "Checked against the partner's agreement."
        told = {"reason": "approval", "on": f"approval by {flows.partner_payout.owner}", "question": question.text}
        self.event("step.waiting", "approve_payout", **told)
        answer = Approval(approved=True, by=MONA.label, reason=reason, at=self.at + timedelta(seconds=pause))
        self.pause_at("approve_payout", answer, pause)
        self.event("step.approved", "approve_payout", actor=MONA.label, reason=reason)

    def arrive(self) -> flows.Payout:
        """The bank pays."""
        reference = self.key("send_payout")
        order: Json = {
            "reference": reference,
            "amount": str(self.share.amount),
            "currency": self.share.currency,
            "account": self.data.account,
        }
        payout_id = self.outside("payouts", reference, "po", payout_record(order), once_key=None)
        return flows.Payout(id=payout_id, amount=self.share.amount, currency=self.share.currency)

    def pay(self) -> None:
        """The payment is ordered."""
        self.succeed("send_payout", self.arrive(), self.rng.lognormvariate(-0.3, 0.4))

    def book_it(self) -> None:
        """The payment is booked."""
        payout_id = str((self.steps["send_payout"].output or {})["id"])
        text = f"Share of {self.data.month} paid, {payout_id}"
        entry = self.book("book_payout", Account.PAYOUTS_RESERVED, Account.BANK, self.share.amount, text)
        self.succeed("book_payout", flows.Booking(entry_id=entry.id), self.rng.uniform(0.004, 0.012))

    def advise(self) -> None:
        """The advice is mailed if the partner wants one, and the run is through."""
        if self.data.advice_to is None:
            self.skip("notify_partner")
            self.end(RunStatus.SUCCEEDED)
        else:
            advice = flows.Mail(id=f"ml_{self.rng.getrandbits(80):020x}")
            self.succeed("notify_partner", advice, self.rng.lognormvariate(-1.7, 0.4))
            self.end(RunStatus.SUCCEEDED, output=advice.model_dump(mode="json"))


def go_well(story: PayoutStory) -> None:
    """Everything works at once."""
    story.reserve()
    story.pay()
    story.book_it()
    story.advise()


def wait_for_the_bank(story: PayoutStory) -> None:
    """The bank is away for a while, and the run waits."""
    story.reserve()
    error = errors.unavailable(flows.send_payout.function, BANK, PAYOUTS)
    for _ in range(story.rng.randint(1, 4)):
        story.await_dependency("send_payout", error, BANK, story.rng.uniform(3, 40))
    story.pay()
    story.book_it()
    story.advise()


def hit_a_closed_account(story: PayoutStory) -> None:
    """The bank refuses the partner's account."""
    story.reserve()
    error = errors.refused(
        flows.send_payout.function,
        BANK,
        PAYOUTS,
        "InvalidData",
        "422 Unprocessable Entity",
        "The account of the payee is closed.",
    )
    story.fail("send_payout", error, story.rng.uniform(0.3, 0.9))
    story.end(RunStatus.FAILED, error=error)


def be_released(story: PayoutStory) -> None:
    """The bank refuses, and an operator rolls the run back."""
    hit_a_closed_account(story)
    story.wait(story.rng.uniform(900, 9000))
    story.event("run.rollback_started", actor=OLGA.label, reason="The partner has moved to another bank.")
    story.wait(0.4)
    story.undo("reserve_funds", 0.01)
    story.reverse("reserve_funds")
    story.end(RunStatus.ROLLED_BACK)


def become_uncertain(story: PayoutStory, *, paid: bool) -> None:
    """The bank's answer is lost, and the bank cannot be asked either: a person decides."""
    story.reserve()
    error = errors.no_answer(flows.send_payout.function, BANK, PAYOUTS, round(flows.banking.timeout))
    if paid:
        story.arrive()
    lookup = errors.no_answer(flows.find_payout, BANK, PAYOUTS, round(flows.banking.timeout), method="GET")
    story.leave_uncertain("send_payout", error, 8.0, lookup=lookup)
