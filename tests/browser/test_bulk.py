"""Repairing many runs at once, in a real browser: tick, look, start, follow, decide."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.browser.watch import axe_violations
from tests.bulk.help import failed_runs, refuse
from tests.engine import drive, flows
from tests.factories import make_heartbeat
from workflows.bulk import engine
from workflows.models import BulkItem, BulkOperation, Run

REASON = "The shop is open again."


@pytest.fixture(autouse=True)
def _clean_slate() -> None:
    flows.behaviour.clear()
    make_heartbeat("dispatcher", age_seconds=-600)


def carry_out() -> BulkOperation:
    """Do what dispatchers and workers would do, as far as it goes."""
    operation = BulkOperation.objects.get()
    for _ in range(20):
        BulkOperation.objects.update(next_at=operation.created_at, looked_at=None)
        engine.advance(operation.pk)
        touched = BulkItem.objects.filter(status="done").values("object_id")
        for run in Run.objects.filter(pk__in=touched, status="queued"):
            drive.drive(run)
    operation.refresh_from_db()
    return operation


def tick(page: Page, *runs: Run) -> None:
    for run in runs:
        page.get_by_role("checkbox", name=f"Choose run {str(run.pk)[-8:]}").check()


def start(page: Page) -> None:
    page.get_by_label("Reason", exact=True).fill(REASON)
    page.get_by_role("button", name=re.compile("^Resume")).click()
    page.wait_for_url(re.compile(r"/bulk/[0-9a-f-]{36}/$"))


def test_failed_runs_are_looked_at_resumed_and_followed_to_the_end(sign_in: SignIn) -> None:
    failed_runs(3)
    page = sign_in("operator")
    page.goto("/runs/?state=failed")
    expect(page.get_by_role("button", name="Resume…")).to_be_hidden()
    page.get_by_role("checkbox", name="Choose every run on this page").check()
    expect(page.locator("[data-selected]")).to_have_text("3 chosen")
    page.get_by_role("checkbox", name="All 3 that match").check()
    page.get_by_role("button", name="Resume…").click()
    expect(page.get_by_role("heading", name="Resume 3 runs?")).to_be_visible()
    expect(page.get_by_text("Goes on at “Reserve”")).to_be_visible()
    assert BulkOperation.objects.count() == 0
    start(page)
    expect(page.locator(".head .state")).to_have_text("Running")
    expect(page.get_by_text("0 of 3 touched")).to_be_visible()
    carry_out()
    expect(page.locator(".head .state")).to_have_text("Done")
    expect(page.get_by_text("Done: 3 of 3 went well")).to_be_visible()
    expect(page.locator("#bulk-detail")).not_to_have_attribute("hx-trigger", re.compile("."))
    assert set(Run.objects.values_list("status", flat=True)) == {"succeeded"}


def test_a_surprise_halts_and_a_person_decides(sign_in: SignIn) -> None:
    failed_runs(2)
    flows.behaviour["reserve"] = refuse
    page = sign_in("operator")
    page.goto("/bulk/new/?kind=run&command=resume&filter=state%3Dfailed")
    start(page)
    carry_out()
    expect(page.get_by_text("Failed again at reserve").first).to_be_visible()
    expect(page.locator(".head .state")).to_have_text("Halted")
    flows.behaviour.clear()
    page.get_by_role("link", name="Continue…").click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog.locator("[data-cancel]")).to_be_focused()
    expect(dialog).to_contain_text("You vouch for this")
    dialog.get_by_role("button", name="Looked at it: only that one is affected.").click()
    dialog.get_by_role("button", name="Continue", exact=True).dblclick()
    expect(page.locator(".head .state")).to_have_text("Running")
    carry_out()
    expect(page.locator(".head .state")).to_have_text("Done, with surprises")
    page.get_by_role("link", name="Surprises").click()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_only_ticked_rows_are_handed_on_also_by_the_keyboard(sign_in: SignIn) -> None:
    runs = failed_runs(3)
    page = sign_in("operator")
    page.goto("/runs/")
    tick(page, runs[-1])  # the first row: the newest
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("[data-selected]")).to_have_text("2 chosen")
    page.get_by_role("button", name="Cancel…").click()
    expect(page.get_by_role("heading", name="Cancel 2 runs?")).to_be_visible()


def test_the_list_holds_still_while_rows_are_ticked(sign_in: SignIn) -> None:
    runs = failed_runs(2)
    page = sign_in("operator")
    page.goto("/runs/")
    tick(page, runs[0])
    polls: list[str] = []
    page.on("request", lambda request: polls.append(request.url) if "/runs/" in request.url else None)
    page.wait_for_timeout(5_500)
    assert polls == []
    expect(page.locator("[data-select-row]:checked")).to_have_count(1)


def test_who_may_only_look_sees_no_ticks(sign_in: SignIn) -> None:
    failed_runs(1)
    page = sign_in("support")
    page.goto("/runs/")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("checkbox", name="Choose")).to_have_count(0)


def test_the_bar_and_the_dialogs_are_accessible(sign_in: SignIn) -> None:
    runs = failed_runs(2)
    page = sign_in("operator")
    page.goto("/runs/")
    tick(page, *runs)
    found = axe_violations(page)
    page.get_by_role("button", name="Resume…").click()
    start(page)
    for name in ("Pause…", "Stop for good…"):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("alertdialog")).to_be_visible()
        found += axe_violations(page)
        page.keyboard.press("Escape")
    assert found == []
