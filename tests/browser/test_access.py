"""Giving and taking rights in the browser: the dialogs of the pages about access."""

from __future__ import annotations

from django.contrib.auth.models import Group
from playwright.sync_api import Page, expect

from portal.core.access import may
from portal.core.models import AuditEntry
from portal.core.permissions import Permission, Role
from tests.browser.conftest import SignIn
from tests.personas import Personas

REASON = "Covers for Dana this week"


def open_dialog(page: Page, address: str, button: str) -> None:
    page.goto(address)
    page.get_by_role("link", name=button).click()
    expect(page.get_by_role("alertdialog")).to_be_visible()


def test_a_role_is_taken_with_a_reason_and_the_trail_has_it(sign_in: SignIn, personas: Personas) -> None:
    page = sign_in("admin")
    open_dialog(page, "/access/people/operator/", "the role operator")
    expect(page.get_by_role("link", name="Cancel")).to_be_focused()
    take = page.get_by_role("button", name="Take the role operator")
    take.click()
    expect(page.get_by_role("alertdialog")).to_be_visible()  # no reason, no act
    page.get_by_label("Reason").fill(REASON)
    take.dblclick()
    expect(page.get_by_text("no longer has the role operator")).to_be_visible()
    assert not may(personas.actor("operator"), Permission.RETRY_STEP)
    entry = AuditEntry.objects.get(action="core.role.revoke")
    assert (entry.reason, entry.actor_label) == (REASON, "Admin")


def test_the_refusal_of_the_service_is_told_in_the_dialog(sign_in: SignIn) -> None:
    page = sign_in("admin")
    open_dialog(page, "/access/people/admin/", "the role admin")
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Take the role admin").click()
    expect(page.get_by_role("alertdialog")).to_contain_text("last administrator")
    expect(page.get_by_label("Reason")).to_have_value(REASON)


def test_rights_lost_meanwhile_are_noticed(sign_in: SignIn, personas: Personas) -> None:
    page = sign_in("admin")
    open_dialog(page, "/access/people/viewer/", "the role operator")
    personas.admin.groups.set(Group.objects.filter(name=Role.MANAGER))
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Give the role operator").click()
    expect(page.get_by_text("manage_access")).to_be_visible()
    assert not may(personas.actor("viewer"), Permission.RETRY_STEP)


def test_a_token_can_be_copied_once(sign_in: SignIn) -> None:
    page = sign_in("operator")
    page.goto("/access/tokens/")
    page.get_by_label("Name").fill("nightly import")
    page.get_by_label("View run").check()
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("it is never shown again")).to_be_visible()
    expect(page.get_by_role("button", name="Copy token")).to_be_visible()
    page.goto("/access/tokens/")
    expect(page.get_by_role("rowheader", name="nightly import")).to_be_visible()
    expect(page.get_by_role("button", name="Copy token")).to_have_count(0)
