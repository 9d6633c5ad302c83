"""Pictures of every page, for looking at: ``make screenshots`` (pytest tests/browser/screenshots.py).

Not collected with the tests. Writes to screenshots/, which git ignores. ``PAGES=overview,run-failed`` takes
only those; ``SCENES=failing`` only that state of the portal.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page

from portal.demo.sandbox.client import RunningSandbox
from tests.browser.conftest import SignIn
from tests.browser.places import Place, places
from tests.browser.scenes import SCENES

FOLDER = Path(__file__).parents[2] / "screenshots"
WIDTHS = {1440: 900, 375: 812}
SCHEMES = ("light", "dark")
TALLEST = 6000


def _chosen(variable: str, all_of_them: list[str]) -> list[str]:
    return [name for name in os.environ.get(variable, "").split(",") if name] or all_of_them


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scene", _chosen("SCENES", list(SCENES)))
def test_take_pictures(sign_in: SignIn, page: Page, sandbox: RunningSandbox, scene: str) -> None:
    SCENES[scene]()
    every = list(places())
    wanted = _chosen("PAGES", [place.name for place in every])
    for place in (place for place in every if place.name in wanted):
        page.context.clear_cookies()
        if place.persona:
            sign_in(place.persona)
        _take(page, place, FOLDER / scene)


def _take(page: Page, place: Place, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            page.goto(place.address)
            # The rail is as high as the window, so the window grows to the page instead of stitching.
            whole = page.evaluate("document.documentElement.scrollHeight")
            page.set_viewport_size({"width": width, "height": min(max(whole, height), TALLEST)})
            page.screenshot(path=folder / f"{place.name}-{scheme}-{width}.png")
