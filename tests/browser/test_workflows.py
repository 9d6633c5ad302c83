"""What the pages of workflows promise to the hand: keys, the map, what goes on by itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.factories import make_heartbeat, make_run, make_workflow, open_breaker
from workflows.engine.state import RunStatus
from workflows.models import Workflow


@pytest.fixture
def settle(sign_in: SignIn) -> Workflow:
    make_heartbeat("worker")
    make_heartbeat("dispatcher")
    return make_workflow()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('href')"))


def test_arrows_move_in_the_grid_of_runs_and_enter_opens_one(sign_in: SignIn, settle: Workflow) -> None:
    older, newer = make_run(settle), make_run(settle)
    page = sign_in("operator")
    page.goto("/workflows/settle-invoice/history/")
    stops = page.locator("[data-grid] a:not([tabindex='-1'])")
    expect(stops).to_have_count(1)
    stops.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    assert focused(page) == f"/runs/{older.pk}/?step=charge"
    expect(stops).to_have_count(1)
    page.keyboard.press("Home")
    assert focused(page) == f"/runs/{newer.pk}/?step=charge"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{newer.pk}/**")


def test_number_acts_on_what_needs_a_person(sign_in: SignIn, settle: Workflow) -> None:
    open_breaker()
    make_run(settle, status=RunStatus.WAITING)
    page = sign_in("operator")
    page.goto("/overview/")
    page.keyboard.press("1")
    page.wait_for_url("**/runs/?dependency=payments-gateway")


def test_box_of_the_map_leads_to_its_words(sign_in: SignIn, settle: Workflow) -> None:
    page = sign_in("viewer")
    page.goto("/workflows/settle-invoice/")
    page.get_by_role("link", name="Charge the client External call").click()
    expect(page.locator("#step-charge")).to_be_in_viewport()
    assert page.url.endswith("#step-charge")


def test_map_is_one_column_on_a_telephone(sign_in: SignIn, settle: Workflow) -> None:
    page = sign_in("viewer")
    page.set_viewport_size({"width": 375, "height": 800})
    page.goto("/workflows/settle-invoice/")
    expect(page.locator(".map__picture--column")).to_be_visible()
    expect(page.locator(".map__picture--layered")).to_be_hidden()


def test_overview_learns_of_a_failure_by_itself(sign_in: SignIn, settle: Workflow) -> None:
    page = sign_in("operator")
    page.goto("/overview/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("All clear")
    make_run(settle, status=RunStatus.FAILED)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Degraded", timeout=15_000)
    expect(page.get_by_role("heading", level=3, name="1 run failed at “Charge the client”")).to_be_visible()
