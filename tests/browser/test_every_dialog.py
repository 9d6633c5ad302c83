"""Every dialog that changes something keeps the same promises: Cancel first, a reason, once, and on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Locator, Page, Request, expect

from portal.core.clock import now
from portal.core.models import AuditEntry
from tests.browser.conftest import SignIn
from tests.deadletters.shop import make_letter, make_missed
from tests.engine import drive, flows
from tests.engine.asking import plain_flow
from tests.engine.flows import Note
from tests.factories import make_lock, make_run, make_workflow, open_breaker
from tests.schedules.flows import nightly
from workflows import BusinessRuleViolation, StepContext, TransientError
from workflows.engine.state import RunStatus
from workflows.errors import OutcomeUnknown
from workflows.models import DeadLetter, Run, Schedule, ScheduledTime
from workflows.services.registration import ensure_workflow

REASON = "Agreed with finance on the phone."


@pytest.fixture(autouse=True)
def _ordinary_behaviour() -> Iterator[None]:
    flows.behaviour.clear()
    yield
    flows.behaviour.clear()


@dataclass(frozen=True, slots=True)
class Offer:
    """A page, and the address of the dialog that it links to."""

    page: str
    dialog: str


def refuse(ctx: StepContext) -> Note:
    raise BusinessRuleViolation("The shop is closed today")


def be_busy(ctx: StepContext) -> Note:
    raise TransientError("The shop is busy")


def lose_the_answer(ctx: StepContext) -> Note:
    raise OutcomeUnknown("Nobody knows whether it was heard")


def failed() -> Run:
    flows.behaviour["book"] = refuse
    return drive.drive(drive.started(flows.order_flow))


def waiting() -> Run:
    flows.behaviour["reserve"] = be_busy
    return drive.advance_once(drive.started(flows.order_flow))


def uncertain() -> Run:
    flows.behaviour["shoot"] = lose_the_answer
    return drive.drive(drive.started(flows.blind_flow))


def done() -> Run:
    return drive.drive(drive.started(flows.order_flow))


def of_run(command: str, run: Run) -> Offer:
    return Offer(reverse("run-detail", args=[run.pk]), reverse(f"run-{command}", args=[run.pk]))


def of_dependency(command: str) -> Offer:
    name = open_breaker().name
    return Offer(reverse("dependency-detail", args=[name]), reverse(f"dependency-{command}", args=[name]))


def of_workflow() -> Offer:
    slug = make_workflow().slug
    return Offer(reverse("workflow-detail", args=[slug]), reverse("workflow-pause", args=[slug]))


def of_lock() -> Offer:
    make_lock("ledger:client-17", make_run(make_workflow(), status=RunStatus.RUNNING))
    return Offer(reverse("lock-list"), reverse("lock-break", args=["ledger:client-17"]))


def asking() -> Run:
    return drive.advance_once(drive.started(plain_flow))


def of_schedule(command: str, **fields: Any) -> Offer:
    schedule = Schedule.objects.get(workflow=ensure_workflow(nightly))
    Schedule.objects.filter(pk=schedule.pk).update(**fields)
    page = reverse("schedule-list")
    return Offer(page, reverse(f"schedule-{command}", args=[schedule.workflow.slug, schedule.name]))


def of_missed(command: str) -> Offer:
    offer = of_schedule(command)
    why, due_at = "No dispatcher was there at that time.", now() - timedelta(hours=3)
    ScheduledTime.objects.create(
        schedule=Schedule.objects.get(), due_at=due_at, status="missed", why=why, noted_at=now()
    )
    return offer


def of_letter(command: str, letter: DeadLetter) -> Offer:
    return Offer(reverse("dead-letter", args=[letter.pk]), reverse(f"dead-letter-{command}", args=[letter.pk]))


def of_missed_event(command: str) -> Offer:
    return Offer(reverse("completeness"), reverse(f"missed-{command}", args=[make_missed().pk]))


OFFERS: dict[str, Callable[[], Offer]] = {
    "approve": lambda: of_run("approve", asking()),
    "reject": lambda: of_run("reject", asking()),
    "pause a schedule": lambda: of_schedule("pause"),
    "resume a schedule": lambda: of_schedule("resume", paused_at=now() - timedelta(hours=1), paused_reason=REASON),
    "let a missed time be": lambda: of_missed("skip"),
    "resume": lambda: of_run("resume", failed()),
    "retry": lambda: of_run("retry", failed()),
    "skip": lambda: of_run("skip", failed()),
    "decide": lambda: of_run("decide", uncertain()),
    "pause": lambda: of_run("pause", waiting()),
    "cancel": lambda: of_run("cancel", waiting()),
    "roll back": lambda: of_run("rollback", done()),
    "stop calls": lambda: of_dependency("hold-open"),
    "let calls out": lambda: of_dependency("hold-closed"),
    "close the breaker": lambda: of_dependency("reset"),
    "hold a workflow": of_workflow,
    "break a lock": of_lock,
    "replay a dead letter": lambda: of_letter("replay", make_letter()),
    "discard a dead letter": lambda: of_letter("discard", make_letter()),
    "bring a dead letter back": lambda: of_letter("restore", make_letter(status="discarded", discarded_at=now())),
    "send a missed event again": lambda: of_missed_event("send"),
    "give a missed event up": lambda: of_missed_event("give-up"),
}


def open_dialog(page: Page, offer: Offer) -> Locator:
    page.goto(offer.page)
    page.locator(f'a[data-dialog][href^="{offer.dialog}"]').first.click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog.locator("[data-cancel]")).to_be_focused()
    return dialog


@pytest.mark.parametrize("name", OFFERS)
def test_a_dialog_asks_why_acts_once_and_is_on_record(sign_in: SignIn, name: str) -> None:
    page = sign_in("operator")
    dialog = open_dialog(page, OFFERS[name]())
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    confirm = dialog.locator("button.button--danger, button.button--primary")
    confirm.click()
    assert sent == [], "sent without a reason"

    if dialog.get_by_role("radio").count():
        dialog.get_by_role("radio").last.check()
    dialog.get_by_label("Reason", exact=True).fill(REASON)
    confirm.dblclick()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text=" ").first).to_be_visible()
    assert len(sent) == 1
    assert AuditEntry.objects.filter(reason=REASON).count() == 1
