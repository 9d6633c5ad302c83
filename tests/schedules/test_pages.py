"""The page of schedules and its dialogs, and the same over the API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from portal.core.clock import now
from tests.api.client import Api
from tests.factories import make_schedule, make_workflow
from tests.personas import Personas
from tests.schedules import flows
from workflows.models import Run, Schedule, ScheduledTime
from workflows.services.registration import ensure_workflow

pytestmark = pytest.mark.django_db
WHY = "The bank is being moved."


@pytest.fixture
def nightly() -> Schedule:
    return Schedule.objects.get(workflow=ensure_workflow(flows.nightly))


def address(name: str) -> str:
    return reverse(f"schedule-{name}", args=["test-nightly", "main"])


def missed(schedule: Schedule) -> ScheduledTime:
    due_at = now().replace(microsecond=0) - timedelta(hours=1)
    why = "No dispatcher was there at that time."
    return ScheduledTime.objects.create(schedule=schedule, due_at=due_at, status="missed", why=why, noted_at=now())


def shown(personas: Personas, persona: str = "operator") -> str:
    return personas.client(persona).get(reverse("schedule-list")).content.decode()


def test_the_page_says_when_in_words_in_which_zone_and_what_clocks_do(nightly: Schedule, personas: Personas) -> None:
    page = shown(personas)
    assert "At 02:00 every day" in page
    assert "Europe/Berlin" in page
    assert "Run now" in page


def test_what_was_missed_is_listed_and_can_be_caught_up(nightly: Schedule, personas: Personas) -> None:
    time = missed(nightly)
    assert "No dispatcher was there at that time." in shown(personas)
    client = personas.client("operator")
    dialog = client.get(f"{address('catch-up')}?due_at={time.due_at:%Y-%m-%dT%H:%M:%S%%2B00:00}")
    assert dialog.status_code == 200
    form = {"reason": WHY, "token": "a" * 32, "due_at": time.due_at.isoformat()}
    assert client.post(address("catch-up"), form).status_code == 303
    assert client.post(address("catch-up"), form).status_code == 303
    assert Run.objects.count() == 1
    assert "No dispatcher was there" not in shown(personas)


def test_a_pause_is_shown_with_who_why_and_until(nightly: Schedule, personas: Personas) -> None:
    client = personas.client("operator")
    form = {"reason": WHY, "token": "b" * 32, "hours": "24"}
    assert client.post(address("pause"), form).status_code == 303
    page = shown(personas)
    assert "Paused" in page
    assert WHY in page
    assert "Resume" in page
    assert client.post(address("resume"), {"reason": WHY, "token": "c" * 32}).status_code == 303
    nightly.refresh_from_db()
    assert nightly.paused_at is None


def test_a_dialog_needs_a_reason(nightly: Schedule, personas: Personas) -> None:
    answer = personas.client("operator").post(address("pause"), {"reason": "", "token": "d" * 32, "hours": "24"})
    assert answer.status_code == 422
    assert "Say why" in answer.content.decode()


def test_who_may_only_look_sees_no_buttons(nightly: Schedule, personas: Personas) -> None:
    page = shown(personas, "viewer")
    assert "Test nightly" in page
    assert "Run now" not in page
    assert personas.client("viewer").post(address("start"), {}).status_code == 403


def test_without_a_schedule_the_page_says_how_to_get_one(personas: Personas) -> None:
    assert "No schedules yet" in shown(personas)


def test_the_page_costs_few_queries_however_many_there_are(
    personas: Personas, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    workflow = make_workflow()
    for number in range(12):
        missed(make_schedule(workflow, name=f"n{number}"))
    client = personas.client("operator")
    with django_assert_max_num_queries(12):
        client.get(reverse("schedule-list"))


def test_the_api_lists_pauses_resumes_and_starts(nightly: Schedule, personas: Personas) -> None:
    api = Api(personas.operator)
    listed = api.get("/schedules/").json
    assert listed["schedules"][0]["words"] == "At 02:00 every day"
    paused = api.post("/schedules/test-nightly/main/pause/", {"reason": WHY})
    assert paused.json["paused_reason"] == WHY
    assert api.post("/schedules/test-nightly/main/pause/", {"reason": WHY}).status == 409
    assert api.post("/schedules/test-nightly/main/resume/", {"reason": WHY}).json["paused_at"] is None
    run = api.post("/schedules/test-nightly/main/run-now/", {"reason": WHY})
    assert (run.status, run.json["workflow"]) == (201, "test-nightly")
