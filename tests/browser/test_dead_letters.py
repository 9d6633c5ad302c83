"""A poisoned event, from the dead letter to books that agree again; and many of them at once."""

from __future__ import annotations

import json
from decimal import Decimal

from playwright.sync_api import expect

from portal.core.actor import SYSTEM
from portal.demo.sandbox.client import RunningSandbox
from portal.demo.transfers.flows import InvoicePaid
from tests.browser.conftest import SignIn
from tests.deadletters.shop import make_letter
from tests.events.drive import bring, gone_as_far_as_it_can
from tests.factories import make_heartbeat
from workflows.events.queries import completeness
from workflows.events.services import emit_event
from workflows.models import DeadLetter, Run
from workflows.services.registration import register_workflows

REASON = "The client gave us the right address on the phone."


def poisoned() -> DeadLetter:
    """Return what becomes of an event whose receipt cannot be mailed to where it says."""
    event = InvoicePaid(
        invoice_number="INV-2026-00412",
        client_id="harbour-lane-estates",
        amount=Decimal("1250.00"),
        currency="EUR",
        receipt_to="accounts at harbour-lane",
    )
    emit_event(actor=SYSTEM, event=event)
    bring()
    return DeadLetter.objects.get()


def test_a_poisoned_event_is_mended_and_the_books_agree(sign_in: SignIn, sandbox: RunningSandbox) -> None:
    register_workflows()
    make_heartbeat("worker", age_seconds=-300)
    make_heartbeat("dispatcher", age_seconds=-300)
    letter, page = poisoned(), sign_in("operator")

    page.goto("/completeness/")
    expect(page.get_by_text("1,250.00 EUR is missing")).to_be_visible()
    page.goto("/dead-letters/")
    page.get_by_role("region", name="Dead letters").get_by_role("link").first.click()
    expect(page.get_by_text("Nothing is lost")).to_be_visible()

    page.get_by_role("link", name="Edit and replay").click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog.locator("[data-cancel]")).to_be_focused()
    typed = dialog.get_by_label("What the event says")
    typed.fill("{")
    dialog.get_by_label("Reason", exact=True).fill(REASON)
    dialog.get_by_role("button", name="Replay as edited").click()
    expect(dialog.get_by_text("This is not JSON.")).to_be_visible()
    typed.fill(json.dumps(letter.payload | {"receipt_to": "accounts@harbour-lane.example"}))
    dialog.get_by_role("button", name="Replay as edited").click()
    expect(page.get_by_text("its subscriber has not answered yet")).to_be_visible()
    expect(page.get_by_role("region", name="Fields changed by Operator")).to_contain_text("accounts at harbour-lane")

    bring()
    run = gone_as_far_as_it_can(Run.objects.get(workflow__slug="payment-receipt"))
    assert (run.status, run.input["receipt_to"]) == ("succeeded", "accounts@harbour-lane.example")
    page.reload()
    expect(page.get_by_text("its subscriber acted on it")).to_be_visible()
    page.get_by_role("link", name="See the run").click()
    expect(page.get_by_text("Succeeded").first).to_be_visible()
    page.goto("/completeness/")
    expect(page.get_by_text("Nothing is missing")).to_be_visible()
    assert completeness(SYSTEM).gap == 0


def test_all_that_died_of_the_same_lead_to_one_dry_run(sign_in: SignIn) -> None:
    for _ in range(3):
        make_letter()
    page = sign_in("operator")
    page.goto("/dead-letters/")
    page.get_by_role("link", name="Replay all 3").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("3 dead letters")
    expect(page.get_by_text("is handed to “Book a payment” again").first).to_be_visible()
