"""The pages of workflows: what they show, to whom, and at what cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from portal.core.models import AuditEntry
from tests.definitions import PARTNER_PAYOUT, SETTLE_INVOICE, Json
from tests.factories import make_heartbeat, make_run, make_team, make_version, make_workflow, open_breaker
from tests.personas import Personas
from workflows.engine.state import RunStatus, StepStatus
from workflows.models import Workflow

pytestmark = pytest.mark.django_db
HTMX: dict[str, Any] = {"headers": {"HX-Request": "true"}}
PAGES = ("workflow-detail", "workflow-history", "workflow-versions", "workflow-map-fragment")


@pytest.fixture
def operator(personas: Personas) -> Client:
    return personas.client("operator")


@pytest.fixture
def settle(db: None) -> Workflow:
    make_heartbeat("worker")
    make_heartbeat("dispatcher")
    return make_workflow(SETTLE_INVOICE)


@pytest.fixture
def busy(settle: Workflow) -> Workflow:
    """A workflow with runs in every state, over a few days."""
    open_breaker()
    for status in RunStatus:
        make_run(settle, status=status)
    for days in range(6):
        make_run(settle, ago=timedelta(days=days, hours=2), took=timedelta(seconds=30 + days))
    return settle


def page(client: Client, name: str, slug: str = "settle-invoice", query: str = "", **extra: Any) -> str:
    response = client.get(reverse(name, args=[slug]) + query, **extra)
    assert response.status_code == 200, response
    return response.content.decode()


def changed(definition: Json, change: Callable[[Json], None]) -> Json:
    """Return a deep enough copy of ``definition``, changed."""
    copy = {**definition, "steps": [dict(step) for step in definition["steps"]]}
    change(copy)
    return copy


def test_list_shows_state_owner_and_backlog(operator: Client, busy: Workflow) -> None:
    html = operator.get("/workflows/").content.decode()
    assert "Settle an invoice" in html
    assert "Finance operations" in html
    assert 'aria-sort="descending"' in html


def test_list_answers_htmx_with_its_rows_alone(operator: Client, settle: Workflow) -> None:
    response = operator.get("/workflows/?sort=-name", **HTMX)
    assert response.content.decode().lstrip().startswith('<div id="workflow-list"')
    assert 'hx-get="/workflows/?sort=-name"' in response.content.decode()


def test_list_of_nothing_says_how_to_begin(operator: Client) -> None:
    assert "FLOW_APPS" in operator.get("/workflows/").content.decode()


def test_unknown_sort_falls_back_to_the_worst_first(operator: Client, settle: Workflow) -> None:
    assert "sort=state" in operator.get("/workflows/?sort=;drop", **HTMX).content.decode()


@pytest.mark.parametrize("name", ["workflow-list", *PAGES])
def test_pages_cost_at_most_twelve_queries(
    name: str, personas: Personas, busy: Workflow, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = personas.client("team_operator")
    url = reverse(name) if name == "workflow-list" else reverse(name, args=[busy.slug])
    with django_assert_max_num_queries(12):
        assert client.get(url).status_code == 200


@pytest.mark.parametrize("name", PAGES)
def test_pages_of_a_workflow_are_hidden_from_outsiders(name: str, personas: Personas) -> None:
    make_workflow(PARTNER_PAYOUT, team=make_team("legal"))
    url = reverse(name, args=["partner-payout"])
    assert personas.client("viewer").get(url).status_code == 200
    assert personas.client("team_operator").get(url).status_code == 404
    assert personas.client("outsider").get(url).status_code == 404


def test_map_shows_each_step_its_runs_and_its_breaker(operator: Client, settle: Workflow) -> None:
    open_breaker()
    for _ in range(3):
        make_run(settle, status=RunStatus.WAITING)
    make_run(settle, status=RunStatus.FAILED, at="post_to_ledger")
    html = page(operator, "workflow-map-fragment")
    assert "3 runs waiting here" in html
    assert "1 run failed here" in html
    assert "Dependency payments-gateway, breaker open" in html
    assert html.count('href="#step-charge"') == 4  # two shapes of the map, and the two steps that follow it
    assert 'id="step-charge"' in html


def test_map_says_in_words_what_its_signs_say(operator: Client) -> None:
    make_workflow(PARTNER_PAYOUT)
    html = page(operator, "workflow-map-fragment", "partner-payout")
    assert "The other side does not recognise a repeat" in html
    assert "No retry: the first error ends it." in html
    assert "1 not idempotent" in html


def test_undecided_runs_stand_out_on_the_map(operator: Client) -> None:
    payout = make_workflow(PARTNER_PAYOUT)
    make_run(payout, status=RunStatus.FAILED, at="send_payout", step_status=StepStatus.UNCERTAIN)
    assert "1 run to be decided here" in page(operator, "workflow-map-fragment", "partner-payout")


def test_health_says_that_it_cannot_see_without_a_worker(operator: Client) -> None:
    make_run(make_workflow())
    make_heartbeat("dispatcher")
    html = page(operator, "workflow-detail")
    assert "No worker is heard" in html
    assert "Cannot see" in html


def test_htmx_gets_the_health_without_the_map(operator: Client, settle: Workflow) -> None:
    html = page(operator, "workflow-detail", **HTMX)
    assert 'id="workflow-health"' in html
    assert 'id="workflow-map"' not in html


def test_history_shows_runs_and_steps_as_a_grid(operator: Client, settle: Workflow) -> None:
    run = make_run(settle, status=RunStatus.FAILED)
    html = page(operator, "workflow-history")
    assert f"/runs/{run.pk}/?step=charge" in html
    assert "run-grid__cell--failed" in html
    assert "run-grid__cell--blocked" in html


def test_history_can_show_failed_runs_only(operator: Client, settle: Workflow) -> None:
    good = make_run(settle)
    assert str(good.pk) not in page(operator, "workflow-history", query="?failed")
    assert "No failed run" in page(operator, "workflow-history", query="?failed")


def test_history_counts_tries_that_failed(operator: Client, settle: Workflow) -> None:
    make_run(settle, status=RunStatus.FAILED)
    make_run(settle)
    assert "50 %" in page(operator, "workflow-history")


def test_versions_say_what_each_changed(operator: Client, settle: Workflow) -> None:
    def change(definition: Json) -> None:
        definition["version"] = 4
        definition["steps"][1]["timeout_seconds"] = 20.0
        del definition["steps"][4]

    make_version(settle, changed(SETTLE_INVOICE, change))
    html = page(operator, "workflow-versions")
    assert "Step charge, time limit in seconds: 10.0 → 20.0" in html
    assert "Step close_invoice is gone" in html


def test_holding_a_workflow_asks_for_a_reason_and_is_audited(operator: Client, settle: Workflow) -> None:
    url = reverse("workflow-pause", args=[settle.slug])
    assert "Hold new runs of Settle an invoice?" in operator.get(url).content.decode()
    assert operator.post(url, {"reason": "short"}).status_code == 422
    assert operator.post(url, {"reason": "The bank is under maintenance."}).status_code == 303
    settle.refresh_from_db()
    assert settle.paused_at is not None
    assert AuditEntry.objects.get(action="workflows.workflow.pause").reason == "The bank is under maintenance."
    assert "New runs are held since" in page(operator, "workflow-detail")


def test_holding_twice_is_told_and_harmless(operator: Client, settle: Workflow) -> None:
    url = reverse("workflow-pause", args=[settle.slug])
    answers = [operator.post(url, {"reason": "The bank is under maintenance."}).status_code for _ in range(2)]
    assert answers == [303, 409]
    assert AuditEntry.objects.filter(action="workflows.workflow.pause").count() == 1


def test_held_runs_start_when_the_workflow_is_released(operator: Client, settle: Workflow) -> None:
    Workflow.objects.filter(pk=settle.pk).update(paused_at=settle.registered_at, paused_reason="for a test")
    make_run(settle, status=RunStatus.SCHEDULED)
    url = reverse("workflow-resume", args=[settle.slug])
    assert "1 run that is held starts at once" in operator.get(url).content.decode()


def test_who_may_not_hold_a_workflow_sees_no_button_and_is_refused(personas: Personas, settle: Workflow) -> None:
    viewer = personas.client("viewer")
    url = reverse("workflow-pause", args=[settle.slug])
    assert url not in page(viewer, "workflow-detail")
    assert viewer.post(url, {"reason": "The bank is under maintenance."}).status_code == 403
    assert personas.client("outsider").post(url, {"reason": "x" * 20}).status_code == 404
