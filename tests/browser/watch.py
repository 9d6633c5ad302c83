"""What a page did wrong while a test looked at it: CSP violations, script errors, answers of 500."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Error, Page, Response

AXE = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


class Watch:
    """Listens to one page. ``faults`` must be empty at the end."""

    def __init__(self, page: Page) -> None:
        self.faults: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", self._script_error)
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.faults.append(f"CSP: {message.text}")

    def _script_error(self, error: Error) -> None:
        self.faults.append(f"script: {error.message}")

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status}: {response.url}")


def axe_violations(page: Page, *, colours_only: bool = False) -> list[str]:
    """Return the WCAG 2.2 AA violations of the page as it stands, one line each.

    :param colours_only: look at contrast alone, as where nothing else has changed since the last look.
    """
    if not page.evaluate("window.axe && true"):
        page.evaluate(AXE)
    run = "only => axe.run(document, {runOnly: only, resultTypes: ['violations']})"
    wanted = {"type": "rule", "values": ["color-contrast"]} if colours_only else {"type": "tag", "values": RULES}
    result: dict[str, Any] = page.evaluate(run, wanted)
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in result["violations"]
        for node in violation["nodes"][:5]
    ]


def sideways_scroll(page: Page) -> list[str]:
    """Return what sticks out to the right of the page; nothing may, except inside a scrolling frame."""
    return list(
        page.evaluate("""() => {
          const width = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= width) return [];
          const scrolls = e => ['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowX);
          const framed = e => e.parentElement && (scrolls(e.parentElement) || framed(e.parentElement));
          return [...document.querySelectorAll('body *')]
            .filter(e => e.getBoundingClientRect().right > width + 1 && !framed(e))
            .slice(0, 8).map(e => e.outerHTML.slice(0, 120));
        }""")
    )
