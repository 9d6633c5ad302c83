"""The whole past: which scene is played when. The same seed and the same moment give the same past."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta
from functools import partial
from itertools import chain, count
from random import Random
from zoneinfo import ZoneInfo

from portal.demo import flows
from portal.demo.billing.flows import DECLINED_EVERY, BillingNight, nightly_batch_billing
from portal.demo.billing.history import BillingStory
from portal.demo.cast import CLOSED_ACCOUNT, DECLINED_CARD, some_invoice, some_share
from portal.demo.history import payout, settle
from portal.demo.history.payout import PayoutStory
from portal.demo.history.rhythm import arrivals
from portal.demo.history.settle import Settlement
from portal.demo.history.story import Rows, Story
from portal.demo.history.trust import Deposits, TrustStory
from portal.demo.people import OLGA, SAM
from portal.demo.retention.cast import some_papers
from portal.demo.retention.flows import ClosedMatter, document_retention_sync
from portal.demo.retention.history import RetentionStory
from portal.demo.transfers import history as transfers
from portal.demo.transfers.flows import TransferRequest, payment_confirmation, payment_receipt
from portal.demo.transfers.history import TransferStory
from portal.demo.trust.flows import StatementDay, trust_account_reconciliation
from workflows.models import Workflow

DAYS = 30
INVOICES_PER_DAY = 150
SHARES_PER_DAY = 9
TRANSFERS_PER_DAY = 18
MATTERS_PER_DAY = 2
SEED = 20
BILLING = "Billing system"
# Nothing of the ordinary past ends later than this before now; the open cases are placed by hand.
QUIET = timedelta(hours=9)
MISTYPED_SINCE = timedelta(days=8)  # what clients paid under another number before has been settled
LONDON = ZoneInfo("Europe/London")
SCHEDULE = "Schedule main of nightly-batch-billing"

SettleScene = Callable[[Settlement], None]
PayoutScene = Callable[[PayoutStory], None]

_SETTLE: Sequence[tuple[SettleScene, float]] = (
    (settle.go_well, 951),
    (settle.be_slow, 14),
    (settle.be_retried, 19),
    (settle.degrade, 5),
    (settle.be_cancelled, 7),
    (settle.be_rolled_back, 4),
)
_PAYOUT: Sequence[tuple[PayoutScene, float]] = (
    (payout.go_well, 92),
    (payout.wait_for_the_bank, 5),
    (payout.be_released, 3),
)


@dataclass(frozen=True, slots=True)
class Outage:
    """The gateway's bad hour, nine days ago."""

    begins: datetime
    breaker_opens: datetime
    well_again: datetime
    repaired: datetime

    @classmethod
    def before(cls, now: datetime) -> Outage:
        """Return the outage that lies nine days before ``now``, in the early afternoon."""
        begins = (now - timedelta(days=9)).replace(hour=13, minute=40, second=0, microsecond=0)
        minutes = (timedelta(minutes=n) for n in (3, 46, 61))
        return cls(begins, *(begins + after for after in minutes))


class Past:
    """Tells the stories of thirty days."""

    def __init__(self, now: datetime, workflows: Mapping[str, Workflow], *, days: int = DAYS) -> None:
        self.now, self.days = now, days
        self.start = (now - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
        self.outage = Outage.before(now)
        self._workflows = workflows
        self._rng = Random(SEED)  # noqa: S311 - plausible, not secret
        self._numbers = iter(range(1, 100_000))

    def tell(self) -> Rows:
        """Return the rows of all stories."""
        rows = Rows()
        deposits = Deposits(self._rng, self.start, self.now)
        stories = (self._settlements(), self._batch_in_the_outage(), self._payouts(), self._open_cases())
        alone = (self._transfers(), self._nights(), self._closed_matters())
        told_alone = (story.told() for story in chain(*stories, *alone))
        receipts = self._workflows[payment_receipt.name]
        refused = transfers.refused_events(Random(SEED + 2), self.now, receipts)  # noqa: S311 - as below
        for told in (*told_alone, *self._comparisons(deposits), deposits.rows, refused):
            for field in fields(Rows):
                getattr(rows, field.name).extend(getattr(told, field.name))
        return rows

    def _comparisons(self, deposits: Deposits) -> Iterator[Rows]:
        """Yield what each morning's comparison of the trust account left behind."""
        workflow = self._workflows[trust_account_reconciliation.name]
        midnight = self.start + timedelta(days=2)
        while midnight + timedelta(hours=6) < self.now:
            at = midnight + timedelta(hours=5, seconds=self._rng.uniform(0, 20))
            day = StatementDay(day=(midnight - timedelta(days=1)).date())
            story = TrustStory(workflow, trust_account_reconciliation, day, at, self._rng, BILLING)
            missing = deposits.lost_between(midnight - timedelta(days=1), midnight)
            story.compare(list(deposits.up_to(midnight, days=self.days)), missing)
            yield story.told()
            midnight += timedelta(days=1)

    def _settlements(self) -> Iterator[Settlement]:
        scenes, weights = zip(*_SETTLE, strict=True)
        end = self.now - QUIET
        for at in arrivals(self._rng, self.start, end, per_day=INVOICES_PER_DAY):
            scene = self._rng.choices(scenes, weights)[0]
            if self.outage.begins <= at < self.outage.well_again:
                scene = self._scene_of_outage(at)
            card = DECLINED_CARD if scene is settle.be_cancelled else ""
            yield self._settlement(at, scene, card=card, by=self._rng.choice((BILLING,) * 9 + (SAM.label,)))
        for at in arrivals(self._rng, end, self.now - timedelta(minutes=4), per_day=INVOICES_PER_DAY):
            yield self._settlement(at, settle.go_well, by=BILLING)

    def _batch_in_the_outage(self) -> Iterator[Settlement]:
        for number in range(70):
            at = self.outage.begins + timedelta(seconds=4 * number + self._rng.uniform(0, 3))
            yield self._settlement(at, self._scene_of_outage(at), by=BILLING)

    def _scene_of_outage(self, at: datetime) -> SettleScene:
        if at < self.outage.breaker_opens and self._rng.random() < 0.5:
            return partial(settle.fail_in_the_outage, resumed_at=self.outage.repaired)
        return partial(
            settle.wait_out_the_outage,
            breaker_opens=self.outage.breaker_opens,
            well_again=self.outage.well_again,
        )

    def _payouts(self) -> Iterator[PayoutStory]:
        scenes, weights = zip(*_PAYOUT, strict=True)
        for at in arrivals(self._rng, self.start, self.now - QUIET, per_day=SHARES_PER_DAY):
            scene = self._rng.choices(scenes, weights)[0]
            yield self._payout(at, scene, account=CLOSED_ACCOUNT if scene is payout.be_released else "")

    def _transfers(self) -> Iterator[Story]:
        rng = Random(SEED + 1)  # noqa: S311 - of its own, so that the other stories stay what they were
        workflow, receipts = self._workflows[payment_confirmation.name], self._workflows[payment_receipt.name]
        mistyped = iter((True, False, False) * 1000)
        for number, at in enumerate(arrivals(rng, self.start, self.now - QUIET, per_day=TRANSFERS_PER_DAY), 1):
            request = TransferRequest.for_invoice(some_invoice(rng, 900_000 + number, at))
            story = TransferStory(workflow, payment_confirmation, request, at, rng, BILLING)
            if rng.random() < 0.91:
                yield transfers.go_well(story, receipts)
            else:
                transfers.go_unpaid(story, is_mistyped=at > self.now - MISTYPED_SINCE and next(mistyped))
            yield story

    def _nights(self) -> Iterator[BillingStory]:
        """Yield the nightly batches, but for the last one: that is really done when the demo starts."""
        rng = Random(SEED + 3)  # noqa: S311 - of its own, too
        workflow = self._workflows[nightly_batch_billing.name]
        day = self.start.date() + timedelta(days=1)
        while day < self.now.date() - timedelta(days=1):
            at = datetime.combine(day + timedelta(days=1), time(2, 30, 1), LONDON).astimezone(UTC)
            # enough of them for a declined card on some nights
            invoices = DECLINED_EVERY + 1 if day.toordinal() % 9 == 0 else rng.randint(60, 80)
            night = BillingNight(day=day, invoices=invoices)
            story = BillingStory(workflow, nightly_batch_billing, night, at, rng, SCHEDULE)
            story.go_through()
            yield story
            day += timedelta(days=1)

    def _closed_matters(self) -> Iterator[RetentionStory]:
        rng = Random(SEED + 4)  # noqa: S311 - of its own, too
        workflow = self._workflows[document_retention_sync.name]
        numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
        for number, at in enumerate(arrivals(rng, self.start, self.now - QUIET, per_day=MATTERS_PER_DAY), 1):
            papers = some_papers(rng, number, at.date())
            matter = ClosedMatter(client_id=papers.client, matter=papers.matter)
            story = RetentionStory(workflow, document_retention_sync, matter, at, rng, SAM.label)
            story.go_through(papers, numbers[papers.client])
            yield story

    def _open_cases(self) -> Iterator[Settlement | PayoutStory]:
        """Yield what waits for a person now. Every one can really be repaired."""

        def ago(minutes: float) -> datetime:
            return self.now - timedelta(minutes=minutes)

        yield self._settlement(ago(26 * 60), settle.exceed_the_limit, by=SAM.label, amount="64250.00")
        yield self._settlement(ago(305), settle.be_declined, card=DECLINED_CARD)
        yield self._settlement(ago(241), settle.be_paused)
        yield self._settlement(ago(131), settle.run_out_of_tries)
        yield self._settlement(ago(127), settle.lose_the_answers)
        yield self._settlement(ago(36), settle.degrade)
        yield self._payout(ago(187), payout.hit_a_closed_account, account=CLOSED_ACCOUNT)
        yield self._payout(ago(82), partial(payout.become_uncertain, paid=False))
        yield self._payout(ago(51), partial(payout.become_uncertain, paid=True))

    def _settlement(
        self, at: datetime, scene: SettleScene, *, card: str = "", by: str = BILLING, amount: str = ""
    ) -> Settlement:
        invoice = some_invoice(self._rng, next(self._numbers), at, card=card)
        if amount:
            invoice = flows.Invoice.model_validate(invoice.model_dump() | {"amount": amount})
        workflow = self._workflows[flows.settle_invoice.name]
        story = Settlement(workflow, flows.settle_invoice, invoice, at, self._rng, by)
        scene(story)
        return story

    def _payout(self, at: datetime, scene: PayoutScene, *, account: str = "") -> PayoutStory:
        share = some_share(self._rng, at, account=account)
        workflow = self._workflows[flows.partner_payout.name]
        story = PayoutStory(workflow, flows.partner_payout, share, at, self._rng, OLGA.label)
        scene(story)
        return story
