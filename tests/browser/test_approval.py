"""A run asks, somebody without the right sees whom to turn to, and somebody with it says yes in the browser."""

from __future__ import annotations

from django.urls import reverse
from playwright.sync_api import expect

from portal.core.actor import person
from portal.core.models import AuditEntry, User
from tests.browser.conftest import SignIn
from tests.engine.asking import plain_flow
from tests.engine.drive import advance_once, drive
from tests.engine.flows import Order
from workflows.models import Run
from workflows.services import start_run

QUESTION = "Pay 100 for share of A-1?"


def asked(starter: str) -> Run:
    actor = person(User.objects.get(username=starter))
    return advance_once(start_run(actor=actor, workflow=plain_flow.name, input=Order()).run)


def test_a_person_is_asked_says_yes_and_the_run_goes_on(sign_in: SignIn) -> None:
    run = asked("support")
    page = sign_in("operator")
    page.goto(reverse("run-list") + "?view=person")
    page.get_by_role("link", name=str(run.pk)[-8:]).click()
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()
    page.get_by_role("link", name="Approve…").click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog.get_by_role("heading", name=f"Approve: {QUESTION}")).to_be_visible()
    dialog.get_by_label("Reason", exact=True).fill("Checked against the contract.")
    dialog.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("It is approved; the run goes on.")).to_be_visible()
    assert drive(Run.objects.get(pk=run.pk)).status == "succeeded"
    page.reload()
    expect(page.get_by_text("approved by Operator").first).to_be_visible()
    assert AuditEntry.objects.get(action="workflows.step.approve").actor_label == "Operator"


def test_whoever_started_the_run_is_told_why_there_is_no_button(sign_in: SignIn) -> None:
    run = asked("operator")
    page = sign_in("operator")
    page.goto(reverse("run-detail", args=[run.pk]))
    expect(page.get_by_text("Whoever started the run may not answer (four eyes).")).to_be_visible()
    expect(page.get_by_role("link", name="Approve…")).to_have_count(0)
