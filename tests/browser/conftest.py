"""Real Chromium against the real site. Says loudly when there is no Chromium."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.chromium import MISSING, find_chromium, launch_arguments
from tests.browser.watch import Watch
from tests.demo.conftest import sandbox, sandbox_process
from tests.personas import Personas

__all__ = ["sandbox", "sandbox_process"]

# Playwright's synchronous API runs an event loop in this thread, in which Django would refuse the ORM.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

CHROMIUM = find_chromium()
SignIn = Callable[[str], Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.django_db(transaction=True))
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason=MISSING))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if any(MISSING in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(MISSING, red=True, bold=True)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": CHROMIUM, "args": launch_arguments(), "headless": True}


@pytest.fixture
def browser_context_args(live_server: Any) -> dict[str, Any]:
    return {
        "base_url": live_server.url,
        "viewport": {"width": 1440, "height": 900},
        "locale": "en-GB",
        "timezone_id": "Europe/Berlin",
    }


@pytest.fixture(autouse=True)
def watch(page: Page) -> Generator[Watch]:
    """Fail the test on a CSP violation, a script error or an answer of 500."""
    page.set_default_timeout(10_000)
    watch = Watch(page)
    yield watch
    assert watch.faults == []


@pytest.fixture
def sign_in(page: Page, live_server: Any, personas: Personas) -> SignIn:
    """Sign the persona of a name in, without the form; return the page."""

    def enter(name: str) -> Page:
        session = personas.client(name).cookies["sessionid"]
        page.context.add_cookies([{"name": "sessionid", "value": session.value, "url": live_server.url}])
        return page

    return enter
