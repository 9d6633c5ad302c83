"""The frame of every page in a real browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.personas import Personas


def test_sign_in_by_form(page: Page, personas: Personas) -> None:
    personas.viewer.set_password("correct horse battery staple")
    personas.viewer.save()
    page.goto("/login/?next=/help/")
    page.get_by_label("Username").fill("viewer")
    page.get_by_label("Password").fill("correct horse battery staple")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Help")


def test_first_tab_stop_skips_to_the_content(sign_in: SignIn) -> None:
    page = sign_in("viewer")
    page.goto("/help/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
