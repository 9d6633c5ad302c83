"""The frame of every page in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.browser.watch import axe_violations, sideways_scroll
from tests.personas import Personas

PAGES = ["/help/", "/style/", "/style/dialog/", "/search/"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", PAGES)
def test_pages_pass_wcag(sign_in: SignIn, address: str, scheme: str) -> None:
    page = sign_in("admin")
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.goto(address)
    assert axe_violations(page) == []


@pytest.mark.parametrize("address", PAGES)
def test_pages_never_scroll_sideways_at_320_px(sign_in: SignIn, address: str) -> None:
    page = sign_in("admin")
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto(address)
    assert sideways_scroll(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_sign_in_passes_wcag(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.goto("/login/")
    assert axe_violations(page) == []


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
