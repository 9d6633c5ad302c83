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


def test_menus_open_and_close_by_keyboard(sign_in: SignIn) -> None:
    page = sign_in("viewer")
    page.goto("/help/")
    person = page.get_by_role("button", name="your menu")
    person.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Like the system")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Like the system")).to_have_count(0)
    expect(person).to_be_focused()


def test_the_sections_of_a_narrow_screen_open_by_keyboard(sign_in: SignIn) -> None:
    page = sign_in("viewer")
    page.set_viewport_size({"width": 375, "height": 700})
    page.goto("/help/")
    expect(page.get_by_role("link", name="Runs", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Sections").focus()
    page.keyboard.press("Enter")
    runs = page.get_by_role("link", name="Runs", exact=True)
    for _ in range(8):
        page.keyboard.press("Tab")
        if runs.evaluate("link => link === document.activeElement"):
            break
    expect(runs).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")


def test_letters_lead_to_sections(sign_in: SignIn) -> None:
    page = sign_in("viewer")
    page.goto("/help/")
    page.keyboard.press("g")
    page.keyboard.press("w")
    expect(page.get_by_role("heading", level=1)).to_have_text("Workflows")
