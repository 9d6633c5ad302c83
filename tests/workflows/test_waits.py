"""Runs that wait for a person, another run or a time, in words: page, dialogs, lists and API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from portal.core.clock import now
from tests.api.client import Api
from tests.engine.asking import plain_flow
from tests.engine.drive import advance_once, drive, started
from tests.engine.test_child_runs import big_flow
from tests.engine.test_sleeping import hour_flow
from tests.factories import ask_for, make_run, make_workflow
from tests.personas import Personas
from workflows.engine.state import RunStatus
from workflows.map import draw
from workflows.models import ApprovalRequest, Run, WorkflowVersion
from workflows.presentation import waiting_words
from workflows.services import approve_step, note_overdue_approvals

pytestmark = pytest.mark.django_db
WHY = "Checked against the contract."


def page_of(run: Run, personas: Personas, persona: str = "operator") -> str:
    return personas.client(persona).get(reverse("run-detail", args=[run.pk])).content.decode()


def dialog_of(command: str, run: Run, personas: Personas) -> str:
    return personas.client("operator").get(reverse(f"run-{command}", args=[run.pk])).content.decode()


def test_the_page_says_what_is_asked_of_whom_until_when_and_takes_the_answer(personas: Personas) -> None:
    run = advance_once(started(plain_flow))
    page = page_of(run, personas)
    assert "Waits for approval by test-team since" in page
    assert "Pay 100 for share of A-1?" in page
    assert "Answer until" in page
    assert reverse("run-approve", args=[run.pk]) in page
    assert waiting_words(run) == "for approval by test-team"


def test_who_may_not_answer_is_told_why(personas: Personas) -> None:
    run = advance_once(started(plain_flow))
    page = page_of(run, personas, "viewer")
    assert reverse("run-approve", args=[run.pk]) not in page
    assert "An answer needs the right to approve steps. Ask Test team for it." in page


def test_an_overdue_question_says_so(personas: Personas) -> None:
    run = advance_once(started(plain_flow))
    ApprovalRequest.objects.update(remind_at=now() - timedelta(minutes=1))
    note_overdue_approvals()
    page = page_of(run, personas)
    assert "Overdue: it was to be answered by" in page
    assert "has not been answered in time" in page


def test_the_history_and_the_step_tell_who_answered_and_why(personas: Personas) -> None:
    run = advance_once(started(plain_flow))
    approve_step(actor=personas.actor("manager"), run_id=run.pk, reason=WHY)
    drive(run)
    page = page_of(run, personas)
    assert "Approve approved by Manager" in page
    assert WHY in page
    assert "Waited" in page


def test_parent_and_child_are_shown_on_each_others_pages(personas: Personas) -> None:
    run = advance_once(started(big_flow))
    child = Run.objects.get(parent=run)
    page = page_of(run, personas)
    assert f"Waits for run {str(child.pk)[-8:]} of test-child since" in page
    assert reverse("run-detail", args=[child.pk]) in page
    assert f"{reverse('run-detail', args=[run.pk])}?step=settled" in page_of(child, personas)


def test_a_sleeping_run_says_until_when_and_that_a_resume_does_not_wake_it(personas: Personas) -> None:
    run = advance_once(started(hour_flow))
    assert "Sleeps at step 2 of 3 (Cool off) since" in page_of(run, personas)
    assert "goes on waiting for the rest of its time" in dialog_of("resume", run, personas)


def test_the_dialogs_say_what_becomes_of_the_question_and_of_the_child(personas: Personas) -> None:
    asks, parent = advance_once(started(plain_flow)), advance_once(started(big_flow))
    assert "Approve: Pay 100 for share of A-1?" in dialog_of("approve", asks, personas)
    assert "The run ends here as cancelled." in dialog_of("reject", asks, personas)
    assert "are cancelled with it" in dialog_of("cancel", parent, personas)
    assert "The run that it started goes on by itself." in dialog_of("skip", parent, personas)


def test_the_api_tells_question_parent_and_children_and_takes_the_answer(personas: Personas) -> None:
    api = Api(personas.operator)
    asks, parent = advance_once(started(plain_flow)), advance_once(started(big_flow))
    child = Run.objects.get(parent=parent)
    assert api.get(f"/runs/{asks.pk}/").json["question"]["question"] == "Pay 100 for share of A-1?"
    assert [row["id"] for row in api.get(f"/runs/{parent.pk}/").json["children"]] == [str(child.pk)]
    assert api.get(f"/runs/{child.pk}/").json["parent"]["id"] == str(parent.pk)
    answer = api.post(f"/runs/{asks.pk}/approve/", {"reason": WHY})
    assert (answer.status, answer.json["status"]) == (200, "queued")
    assert api.post(f"/runs/{asks.pk}/reject/", {"reason": WHY}).status == 409


def test_the_map_draws_each_kind_of_wait_with_its_own_sign() -> None:
    boxes: dict[str, tuple[str, str]] = {}
    for workflow in (plain_flow, big_flow, hour_flow):
        started(workflow)
        definition = WorkflowVersion.objects.get(workflow__slug=workflow.name).definition
        boxes |= {box.name: (box.effect, box.detail) for box in draw(definition).boxes}
    assert boxes["approve"] == ("approval", "Asks a person · 2 d to answer")
    assert boxes["settled"] == ("child", "Runs Test child")
    assert boxes["cool_off"] == ("sleep", "Lets time pass")


def test_the_overview_counts_what_waits_for_approval_with_its_money(personas: Personas) -> None:
    run = make_run(make_workflow(), status=RunStatus.WAITING, at="charge", ago=timedelta(hours=2))
    ask_for(run)
    page = personas.client("operator").get(reverse("overview")).content.decode()
    assert "1 run of Settle an invoice waits for an approval" in page
    assert "It needs an approval by finance-operations; nothing goes on before." in page
    assert "1,250.00 EUR at stake" in page
    listed = personas.client("operator").get(f"{reverse('run-list')}?view=person").content.decode()
    assert str(run.pk)[-8:] in listed
