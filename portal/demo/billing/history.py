"""What became of the nightly batches: most nights all is paid, on some a few cards are declined."""

from __future__ import annotations

from portal.demo.billing.flows import (
    BillingNight,
    DueInvoice,
    Payment,
    Posting,
    collect_invoices,
    nightly_batch_billing,
)
from portal.demo.cast import DECLINED_CARD
from portal.demo.flows import Mail, payments
from portal.demo.history import errors
from portal.demo.history.fan_out import FanOutStory, Given, Place
from portal.demo.history.story import id_at
from portal.demo.models import Account, LedgerEntry, PastRecord
from portal.demo.sandbox.services import charge_record
from workflows.engine.state import RunStatus

CHARGES = "/payments/charges"


class BillingStory(FanOutStory):
    """One night's batch."""

    def go_through(self) -> None:
        """Each invoice is charged and posted; what is missing is reported."""
        invoices = collect_invoices(BillingNight.model_validate(self.run.input))
        self.succeed("collect_invoices", invoices, self.rng.uniform(0.002, 0.006))
        paid = self.do_items("charge_card", invoices, self._charge, seconds=self._at_the_gateway)
        self.do_items("post_payment", paid, self._post, seconds=lambda: self.rng.uniform(0.002, 0.007))
        told = Mail(id=f"ml_{self.rng.getrandbits(80):020x}")
        self.succeed("report_missing", told, self.rng.lognormvariate(-1.7, 0.4))
        status = RunStatus.DEGRADED if None in paid else RunStatus.SUCCEEDED
        self.end(status, output=told.model_dump(mode="json"))

    def _at_the_gateway(self) -> float:
        return min(self.rng.lognormvariate(-0.9, 0.45), 4.0)

    def _charge(self, invoice: DueInvoice, place: Place) -> Given:
        if invoice.card_token == DECLINED_CARD:
            detail = "The card was declined by its issuer."
            charge_card = nightly_batch_billing.steps["charge_card"].function
            return errors.refused(
                charge_card, payments.name, CHARGES, "PermanentError", "402 Payment Required", detail
            )
        order = invoice.model_dump(mode="json") | {"invoice": invoice.invoice_number}
        record = PastRecord(
            id=f"ch_{id_at(self.rng, place.at).hex}",
            collection="charges",
            operation_key=place.key,
            once_key=place.key,
            body=charge_record(order),
            made_at=place.at,
        )
        self.rows.records.append(record)
        return Payment(**invoice.model_dump(exclude={"card_token"}), charge_id=record.id)

    def _post(self, payment: Payment, place: Place) -> Given:
        entry = LedgerEntry(
            id=id_at(self.rng, place.at),
            operation_key=place.key,
            debit=Account.CARD_CLEARING,
            credit=Account.RECEIVABLES,
            amount=payment.amount,
            currency=payment.currency,
            party=payment.client_id,
            text=f"{payment.invoice_number} paid by card, {payment.charge_id}",
            booked_at=place.at,
        )
        self.rows.entries.append(entry)
        return Posting(entry_id=entry.id)
