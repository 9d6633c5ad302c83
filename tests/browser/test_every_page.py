"""Every page, as on a bad day and in a new installation: WCAG 2.2 AA, no sideways scroll, nothing broken."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from portal.demo.sandbox.client import RunningSandbox
from tests.browser.conftest import SignIn
from tests.browser.places import places
from tests.browser.scenes import SCENES
from tests.browser.watch import axe_violations, sideways_scroll

NARROW = 320
# Pages that show nothing from the database look the same in every scene: once is enough.
ALIKE = {
    *("help", "style", "style-dialog", "login", "error-404", "error-403", "search", "preferences", "password"),
    *("access-grant", "person", "access-person-new", "person-off"),
}


def settled_violations(page: Page, *, colours_only: bool) -> list[str]:
    """Return what axe finds and finds again: colours are still on their way just after a change of scheme."""
    page.evaluate("Promise.allSettled(document.getAnimations().map(animation => animation.finished))")
    if not axe_violations(page, colours_only=colours_only):
        return []
    page.wait_for_timeout(500)
    return axe_violations(page, colours_only=colours_only)


def faults_of(page: Page) -> list[str]:
    """Return what is wrong with the page that is open: in light, in dark, and on a narrow screen."""
    page.set_viewport_size({"width": 1440, "height": 900})
    headings = page.locator("h1").count()
    found = [] if headings == 1 else [f"{headings} headings of the first level"]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        violations = settled_violations(page, colours_only=scheme == "dark")
        found += [f"{scheme}: {violation}" for violation in violations]
    page.set_viewport_size({"width": NARROW, "height": 700})
    return found + [f"sticks out at {NARROW} px: {element}" for element in sideways_scroll(page)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scene", ["failing", "empty"])
def test_every_page_is_accessible_and_fits(sign_in: SignIn, page: Page, sandbox: RunningSandbox, scene: str) -> None:
    SCENES[scene]()
    found: list[str] = []
    for place in places():
        if scene == "empty" and place.name in ALIKE:
            continue
        page.context.clear_cookies()
        if place.persona:
            sign_in(place.persona)
        page.goto(place.address)
        found += [f"{place.name}, {fault}" for fault in faults_of(page)]
    assert found == [], "\n".join(found)
