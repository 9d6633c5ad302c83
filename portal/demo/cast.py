"""The clients and partners of the demo firm, and what they plausibly owe or get."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random

from portal.demo.flows import CENT, SINGLE_CHARGE_LIMIT, Currency, Invoice, PartnerShare


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who gets invoices; ``usual`` is the median amount."""

    slug: str
    domain: str
    currency: Currency
    usual: int
    card: str


@dataclass(frozen=True, slots=True)
class Partner:
    """Somebody who refers clients and gets a share of the fees."""

    slug: str
    domain: str
    currency: Currency
    usual: int
    percent: str
    account: str


CLIENTS = (
    Client("harbour-lane-estates", "harbourlane.example", "GBP", 1800, "tok_visa_4242"),
    Client("beaumont-textiles", "beaumont.example", "EUR", 940, "tok_visa_1881"),
    Client("kestrel-logistics", "kestrel.example", "EUR", 3200, "tok_mastercard_4444"),
    Client("alder-and-finch", "alderfinch.example", "GBP", 620, "tok_visa_0077"),
    Client("monte-vista-clinics", "montevista.example", "EUR", 2700, "tok_mastercard_5100"),
    Client("sandgate-brewing", "sandgate.example", "GBP", 480, "tok_visa_5556"),
    Client("orchard-street-school", "orchardstreet.example", "EUR", 350, "tok_visa_1111"),
    Client("pelican-shipping", "pelicanship.example", "USD", 6400, "tok_amex_0005"),
    Client("rosemary-hill-farm", "rosemaryhill.example", "EUR", 290, "tok_mastercard_3222"),
    Client("tallow-and-sons", "tallow.example", "GBP", 760, "tok_visa_0341"),
    Client("vermeer-instruments", "vermeer.example", "EUR", 4100, "tok_visa_9424"),
    Client("blue-anchor-insurance", "blueanchor.example", "USD", 8800, "tok_amex_8431"),
    Client("quayside-dental", "quayside.example", "EUR", 510, "tok_visa_2345"),
    Client("fernhollow-housing", "fernhollow.example", "GBP", 1350, "tok_mastercard_8210"),
)
PARTNERS = (
    Partner("northwind-advisers", "northwind.example", "EUR", 18000, "12.50", "DE02120300000000202051"),
    Partner("castor-tax-services", "castortax.example", "EUR", 9500, "10.00", "NL91ABNA0417164300"),
    Partner("lumen-mediation", "lumen.example", "GBP", 6200, "15.00", "GB29NWBK60161331926819"),
    Partner("ostrava-claims", "ostravaclaims.example", "EUR", 4300, "12.50", "CZ6508000000192000145399"),
    Partner("willow-court-chambers", "willowcourt.example", "GBP", 12500, "20.00", "GB94BARC10201530093459"),
    Partner("meridian-patents", "meridian.example", "USD", 15800, "8.00", "FR1420041010050500013M02606"),
)
DECLINED_CARD = "tok_declined_0002"
CLOSED_ACCOUNT = "CLOSED00000000202051"


def some_invoice(rng: Random, number: int, at: datetime, *, card: str = "") -> Invoice:
    """Return an invoice of one of the clients; the bigger clients have fewer."""
    client = rng.choices(CLIENTS, weights=[1 / math.sqrt(c.usual) for c in CLIENTS])[0]
    return Invoice(
        invoice_number=f"INV-{at.year}-{number:05d}",
        client_id=client.slug,
        amount=_around(rng, client.usual),
        currency=client.currency,
        card_token=card or client.card,
        receipt_to=f"accounts@{client.domain}",
    )


def some_share(rng: Random, at: datetime, *, account: str = "") -> PartnerShare:
    """Return the share of one of the partners for the month before ``at``."""
    partner = rng.choice(PARTNERS)
    year, month = (at.year, at.month - 1) if at.month > 1 else (at.year - 1, 12)
    return PartnerShare(
        partner_id=partner.slug,
        month=f"{year}-{month:02d}",
        fees=_around(rng, partner.usual),
        currency=partner.currency,
        share_percent=Decimal(partner.percent),
        account=account or partner.account,
        advice_to=f"office@{partner.domain}" if rng.random() < 0.8 else None,
    )


def _around(rng: Random, usual: int) -> Decimal:
    """Return an amount around ``usual``: log-normal, as amounts of invoices are."""
    amount = Decimal(usual * rng.lognormvariate(0, 0.55)).quantize(CENT)
    return min(max(amount, Decimal("25.00")), SINGLE_CHARGE_LIMIT)
