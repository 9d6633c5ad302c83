"""The main story, in a browser, against real processes: break it, watch it wait, repair it by button."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from portal.demo.cast import DECLINED_CARD
from portal.demo.people import DEMO_PASSWORD
from portal.stack.process import spawn
from tests.faults.fleet import MANAGE, ROOT, Fleet, running_fleet

pytestmark = pytest.mark.timeout(240)
PATIENCE = 40_000  # milliseconds, on a busy machine
INVOICE = {
    "client_id": "harbour-lane-estates",
    "amount": "1250.00",
    "card_token": "tok_visa_4242",
    "receipt_to": "accounts@harbourlane.example",
}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Servers, sandbox, two workers and a dispatcher, with the demo's people."""
    with running_fleet(dispatchers=1) as fleet:
        for command in (["sync_access"], ["seed_demo", "--people-only"]):
            subprocess.run(
                [*MANAGE, *command], cwd=ROOT, env=fleet.environment, check=True, stdout=fleet.log, stderr=fleet.log
            )
        yield fleet


@pytest.fixture(scope="module")
def site(fleet: Fleet) -> Iterator[str]:
    """The web server's address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    command = (sys.executable, "-m", "gunicorn", "portal.wsgi", "--bind", address, "--threads", "4")
    process = spawn(command, environment=fleet.environment, output=fleet.log.fileno(), folder=ROOT)
    try:
        fleet.wait_until(lambda: _answers(f"http://{address}/livez"), seconds=30, what="the web server answers")
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def browser_context_args(site: str) -> dict[str, Any]:
    return {"base_url": site, "viewport": {"width": 1440, "height": 900}, "locale": "en-GB"}


@pytest.fixture
def support(page: Page, fleet: Fleet) -> Iterator[Page]:
    """Sam of support, signed in with the form; every service is well again afterwards."""
    page.goto("/login/?next=/runs/")
    page.get_by_label("Username").fill("support")
    page.get_by_label("Password").fill(DEMO_PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible(timeout=PATIENCE)
    yield page
    for service in ("payments", "banking", "mail"):
        fleet.sandbox.client.set_fault(service)


def start(page: Page, number: int, *, key: str = "", **changes: str) -> str:
    """Start a settlement from its form; return its address."""
    page.goto("/workflows/settle-invoice/start/")
    for name, value in (INVOICE | changes | {"invoice_number": f"INV-2026-{number:05d}"}).items():
        page.locator(f"[name=input-{name}]").fill(value)
    if key:
        page.locator("summary", has_text="Idempotency key").click()
        page.locator("[name=idempotency_key]").fill(key)
    page.get_by_role("button", name="Start run").click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}/$"))
    return page.url


def switch(page: Page, service: str, mode: str) -> None:
    page.goto("/sandbox/")
    card = page.locator(f"#service-{service}")
    card.get_by_role("button", name=mode).click()
    expect(card.locator(".state").first).to_have_text(mode)


def state(page: Page) -> Locator:
    return page.locator(".head .state").first


def confirm(page: Page, command: str, reason: str) -> None:
    """Open a command's dialog, give the reason and confirm; the focus must start on Cancel."""
    page.get_by_role("link", name=command).first.click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog.locator("[data-cancel]")).to_be_focused()
    dialog.get_by_role("textbox", name="Reason").fill(reason)
    dialog.locator(".dialog__foot button").click()


def test_a_service_that_is_down_is_waited_for_and_the_run_goes_on(support: Page, fleet: Fleet) -> None:
    switch(support, "payments", "Down")
    run = start(support, 1)
    expect(support.get_by_text("Waits for payments-gateway")).to_be_visible(timeout=PATIENCE)
    switch(support, "payments", "Well")
    support.goto(run)
    expect(state(support)).to_have_text("Succeeded", timeout=PATIENCE)


def test_a_slow_service_ends_the_attempt_and_the_next_try_is_shown(support: Page, fleet: Fleet) -> None:
    switch(support, "payments", "Slow")
    run = start(support, 2)
    expect(support.get_by_text("failed and will be tried again").first).to_be_visible(timeout=PATIENCE)
    expect(support.get_by_text("next try").first).to_be_visible()
    switch(support, "payments", "Well")
    support.goto(run)
    expect(state(support)).to_have_text("Succeeded", timeout=PATIENCE)
    assert fleet.sandbox.client.records("charges").doubled == 0


def test_the_same_key_twice_is_one_run(support: Page) -> None:
    assert start(support, 3, key="story-3") == start(support, 3, key="story-3")
    expect(support.get_by_text("This key was used before")).to_be_visible()


def test_a_killed_worker_is_replaced_and_the_bank_pays_once(support: Page, fleet: Fleet) -> None:
    expect(support.locator("main")).to_be_visible()
    fleet.wait_until(lambda: _workers(fleet) >= 2, seconds=30, what="the workers are up")
    support.goto("/sandbox/")
    support.get_by_role("button", name="Start a run and kill its worker").click()
    support.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}/$"))
    expect(state(support)).to_have_text("Succeeded", timeout=PATIENCE)
    expect(support.get_by_text("Worker lost, run taken over")).to_be_visible()
    expect(support.get_by_text("Send the payout verified")).to_be_visible()
    run_id = support.url.rstrip("/").rpartition("/")[2]
    assert fleet.sandbox.client.records("payouts").by_key[f"{run_id}:send_payout:0"] == (1, 1)


def test_a_failed_run_is_resumed_and_a_wrong_one_rolled_back(support: Page, fleet: Fleet) -> None:
    fleet.sandbox.client.set_fault("payments", "rate_limited", retry_after_seconds=0)
    failed = start(support, 4)
    expect(state(support)).to_have_text("Failed", timeout=PATIENCE)
    fleet.sandbox.client.set_fault("payments")
    confirm(support, "Resume", "The gateway has lifted its limit.")
    expect(state(support)).to_have_text("Succeeded", timeout=PATIENCE)

    support.goto(failed)
    confirm(support, "Roll back", "The client was invoiced twice.")
    expect(state(support)).to_have_text("Rolled back", timeout=PATIENCE)
    run_id = failed.rstrip("/").rpartition("/")[2]
    assert fleet.sandbox.client.records("refunds").by_key[f"{run_id}:charge:0:undo"] == (1, 1)
    actions = {row[0] for row in fleet.ask("SELECT action FROM core_auditentry WHERE object_id = %s", run_id)}
    assert actions == {"workflows.run.start", "workflows.run.resume", "workflows.run.roll_back"}


def test_a_declined_card_fails_and_says_why(support: Page) -> None:
    start(support, 5, card_token=DECLINED_CARD)
    expect(state(support)).to_have_text("Failed", timeout=PATIENCE)
    expect(support.get_by_text("The card was declined by its issuer").first).to_be_visible()


def _workers(fleet: Fleet) -> int:
    return int(fleet.ask("SELECT count(*) FROM workflows_heartbeat WHERE kind = 'worker'")[0][0])
