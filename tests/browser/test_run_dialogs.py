"""Danger dialogs in a real browser: what they say, and that a run is changed once, by those who may, for a reason."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import Browser, Page, expect

from portal.core.models import AuditEntry
from tests.browser.conftest import SignIn
from tests.browser.watch import axe_violations, sideways_scroll
from tests.engine import drive, flows
from tests.engine.flows import Note, order_flow
from tests.personas import Personas
from workflows.errors import BusinessRuleViolation
from workflows.models import Run, RunEvent
from workflows.services import cancel_run

REASON = "The shop is open again."


def refuse(ctx: object) -> Note:
    raise BusinessRuleViolation("The shop is closed today")


@pytest.fixture
def failed(personas: Personas) -> Run:
    """A run that failed at its second step."""
    flows.behaviour.clear()
    flows.behaviour["reserve"] = refuse
    run = drive.drive(drive.started(order_flow))
    flows.behaviour.clear()
    return run


@pytest.fixture
def done(personas: Personas) -> Run:
    """A run that succeeded."""
    flows.behaviour.clear()
    return drive.drive(drive.started(order_flow))


def status_of(run: Run) -> str:
    return Run.objects.get(pk=run.pk).status


def open_dialog(page: Page, run: Run, button: str = "Resume…") -> None:
    page.goto(f"/runs/{run.pk}/")
    page.get_by_role("link", name=button, exact=True).first.click()
    expect(page.get_by_role("alertdialog")).to_be_visible()


def test_the_focus_starts_on_cancel_and_escape_changes_nothing(sign_in: SignIn, failed: Run) -> None:
    page = sign_in("operator")
    open_dialog(page, failed)
    expect(page.get_by_role("alertdialog")).to_have_accessible_name(f"Resume run {str(failed.pk)[-8:]}?")
    expect(page.get_by_role("link", name="Cancel", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    assert status_of(failed) == "failed"


def test_without_a_reason_nothing_is_sent(sign_in: SignIn, failed: Run) -> None:
    page = sign_in("operator")
    open_dialog(page, failed)
    page.get_by_role("button", name="Resume run").click()
    expect(page.get_by_label("Reason", exact=True)).to_be_focused()
    assert status_of(failed) == "failed"


def test_a_reason_that_is_too_short_is_refused_by_the_server_too(sign_in: SignIn, failed: Run) -> None:
    page = sign_in("operator")
    open_dialog(page, failed)
    page.get_by_label("Reason", exact=True).fill("short")
    page.locator("#run-command").evaluate("form => { form.noValidate = true; }")
    page.get_by_role("button", name="Resume run").click()
    expect(page.get_by_text("Say a little more")).to_be_visible()
    expect(page.get_by_label("Reason", exact=True)).to_have_value("short")
    assert status_of(failed) == "failed"


def test_a_double_click_acts_once_and_leads_to_the_audit_entry(sign_in: SignIn, failed: Run) -> None:
    page = sign_in("operator")
    open_dialog(page, failed)
    page.get_by_role("button", name="The service answers again.").click()
    page.get_by_role("button", name="Resume run").dblclick()
    expect(page.locator(".toast")).to_contain_text("The run goes on.")
    entry = AuditEntry.objects.get(object_id=str(failed.pk), action="workflows.run.resume")
    assert entry.reason == "The service answers again."
    assert RunEvent.objects.filter(run=failed, kind="run.resumed").count() == 1
    page.get_by_role("link", name=f"Audit entry {entry.sequence}").click()
    expect(page).to_have_url(re.compile(str(entry.pk)))


def test_a_right_lost_meanwhile_is_told_in_the_dialog(sign_in: SignIn, failed: Run, personas: Personas) -> None:
    page = sign_in("operator")
    open_dialog(page, failed)
    page.get_by_label("Reason", exact=True).fill(REASON)
    personas.operator.groups.set(Group.objects.filter(name="viewer"))
    page.get_by_role("button", name="Resume run").click()
    expect(page.get_by_role("alertdialog")).to_contain_text("right to resume run")
    assert status_of(failed) == "failed"


def test_a_change_meanwhile_is_shown_and_the_reason_kept(sign_in: SignIn, failed: Run, personas: Personas) -> None:
    page = sign_in("operator")
    open_dialog(page, failed)
    page.get_by_label("Reason", exact=True).fill(REASON)
    cancel_run(actor=personas.actor("admin"), run_id=failed.pk, reason="Nobody needs it any more.")
    page.get_by_role("button", name="Resume run").click()
    expect(page.get_by_role("alertdialog")).to_contain_text("the run has changed since you looked at it")
    expect(page.get_by_role("alertdialog")).to_contain_text("by Admin: Nobody needs it any more.")
    expect(page.get_by_label("Reason", exact=True)).to_have_value(REASON)
    assert status_of(failed) == "cancelled"


def test_another_depth_of_rollback_shows_its_own_preview_and_keeps_the_reason(sign_in: SignIn, done: Run) -> None:
    page = sign_in("operator")
    open_dialog(page, done, "Roll back…")
    expect(page.get_by_role("button", name="Roll back 3 steps")).to_be_visible()
    page.get_by_label("Reason", exact=True).fill(REASON)
    page.get_by_label("How far").select_option("reserve")
    expect(page.get_by_role("button", name="Roll back 2 steps")).to_be_visible()
    expect(page.get_by_label("Reason", exact=True)).to_have_value(REASON)
    page.get_by_role("button", name="Roll back 2 steps").click()
    expect(page.locator(".toast")).to_contain_text("The rollback has started.")
    assert drive.drive(done).status == "paused"


def test_all_of_it_works_without_script(
    browser: Browser, live_server: object, personas: Personas, failed: Run
) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=live_server.url)  # type: ignore[attr-defined]
    session = personas.client("operator").cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto(f"/runs/{failed.pk}/")
    page.get_by_role("link", name="Resume…", exact=True).click()
    page.get_by_label("Reason", exact=True).fill(REASON)
    page.get_by_role("button", name="Resume run").click()
    expect(page.get_by_text("The run goes on.")).to_be_visible()
    assert status_of(failed) == "queued"
    context.close()


def test_the_page_follows_the_run_to_its_end_and_says_so_once(sign_in: SignIn, failed: Run) -> None:
    page = sign_in("operator")
    open_dialog(page, failed)
    page.get_by_label("Reason", exact=True).fill(REASON)
    page.get_by_role("button", name="Resume run").click()
    expect(page.locator(".head .state")).to_contain_text("Queued")
    drive.drive(failed)
    expect(page.locator(".head .state")).to_contain_text("Succeeded")
    expect(page.locator("#announcer")).to_contain_text("Succeeded in", timeout=20_000)
    assert page.locator("#run").get_attribute("hx-trigger") == f"run-changed:{failed.pk} from:body"


def test_keys_walk_through_the_steps_and_switch_the_view(sign_in: SignIn, failed: Run) -> None:
    page = sign_in("operator")
    page.goto(f"/runs/{failed.pk}/")
    expect(page.locator("#step-title")).to_contain_text("Step 2 of 6")
    page.keyboard.press("]")
    expect(page.locator("#step-title")).to_contain_text("Step 3 of 6")
    page.keyboard.press("v")
    expect(page.get_by_role("region", name="Steps as a table")).to_be_visible()
    page.keyboard.press("v")
    expect(page.get_by_role("group", name="Timeline of")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogs_and_views_are_accessible_and_fit(
    sign_in: SignIn, failed: Run, scheme: Literal["light", "dark"]
) -> None:
    page = sign_in("operator")
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    found = []
    for button in ("Resume…", "Roll back…", "Skip this step…", "Cancel…"):
        open_dialog(page, failed, button)
        found += [f"{button} {violation}" for violation in axe_violations(page)]
    places = ("?view=list", "?step=prepare&failed=1", "rollback/", "skip/?step=reserve")
    for address in (*(f"/runs/{failed.pk}/{place}" for place in places), "/runs/?state=failed&since=yesterday"):
        page.goto(address)
        found += [f"{address} {violation}" for violation in axe_violations(page)]
        page.set_viewport_size({"width": 320, "height": 700})
        found += [f"{address} sticks out: {element}" for element in sideways_scroll(page)]
        page.set_viewport_size({"width": 1440, "height": 900})
    assert found == []
