"""Pictures of every page, for looking at: ``make screenshots`` (pytest tests/browser/screenshots.py).

Not collected with the tests. Writes to screenshots/, which git ignores.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import SignIn

FOLDER = Path(__file__).parents[2] / "screenshots"
WIDTHS = {1440: 900, 375: 812}
SCHEMES = ("light", "dark")
PAGES = {
    "help": "/help/",
    "style": "/style/",
    "style-dialog": "/style/dialog/",
    "search": "/search/?q=run",
    "login": "/login/",
}


@pytest.mark.parametrize("name", PAGES)
def test_take_pictures(sign_in: SignIn, name: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    page = sign_in("admin")
    if name == "login":
        page.context.clear_cookies()
    for scheme in SCHEMES:
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            page.goto(PAGES[name])
            page.screenshot(path=FOLDER / f"{name}-{scheme}-{width}.png", full_page=True)
