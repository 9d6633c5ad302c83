from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from portal.core.clock import now
from portal.core.models import AuditEntry
from tests.definitions import PARTNER_PAYOUT
from tests.factories import TRANSIENT_ERROR, make_run, make_workflow
from tests.personas import Personas
from workflows.engine.state import RunStatus, StepStatus
from workflows.models import Attempt, Run, RunEvent, StepRun

pytestmark = pytest.mark.django_db
HTMX: dict[str, Any] = {"headers": {"HX-Request": "true"}}
PAGE_QUERIES, FRAGMENT_QUERIES = 12, 10


@pytest.fixture
def operator(personas: Personas) -> Client:
    return personas.client("operator")


def page(client: Client, run: Run, query: str = "", **extra: Any) -> str:
    response = client.get(f"{reverse('run-detail', args=[run.pk])}{query}", **extra)
    assert response.status_code == 200, response
    return response.content.decode()


def test_the_list_shows_runs_with_state_money_and_a_link_on_the_name(operator: Client) -> None:
    run = make_run(status=RunStatus.FAILED, retry_count=3)
    html = operator.get("/runs/").content.decode()
    assert f'href="/runs/{run.pk}/">{str(run.pk)[-8:]}</a>' in html
    assert "1,250.00" in html
    assert "charge: payments-gateway answered 502 Bad Gateway" in html


def test_the_rows_alone_are_sent_to_htmx_from_the_same_address(operator: Client) -> None:
    make_run()
    response = operator.get("/runs/", **HTMX)
    assert response.content.decode().lstrip().startswith('<div id="run-list"')
    assert "HX-Request" in response.headers["Vary"]


def test_each_active_filter_is_a_chip_with_its_own_remove(operator: Client) -> None:
    make_run(status=RunStatus.FAILED)
    html = operator.get("/runs/?state=failed&state=waiting&customer=nobody").content.decode()
    assert 'href="/runs/?state=waiting&amp;customer=nobody" aria-label="Remove the filter State: Failed"' in html
    assert 'href="/runs/?state=failed&amp;state=waiting" aria-label="Remove the filter Customer: nobody"' in html
    assert "No run matches" in html


def test_a_filter_that_cannot_be_read_is_told_and_narrows_nothing(operator: Client) -> None:
    run = make_run()
    html = operator.get("/runs/?since=yesterday").content.decode()
    assert "Enter a valid date/time." in html
    assert str(run.pk) in html


def test_columns_can_be_put_away_and_the_address_remembers(operator: Client) -> None:
    make_run(status=RunStatus.FAILED)
    html = operator.get("/runs/?columns=customer&columns=duration").content.decode()
    assert ">Customer</th>" in html
    assert ">Amount</th>" not in html
    assert "1,250.00" not in html
    assert 'href="/runs/?columns=customer&amp;columns=duration&amp;view=stuck"' in html


def test_the_address_holds_only_what_was_chosen(operator: Client) -> None:
    response = operator.get("/runs/?q=&state=failed&since=&amount_min=10")
    assert (response.status_code, response.headers["Location"]) == (302, "/runs/?state=failed&amount_min=10")


def test_before_the_first_run_the_list_says_how_to_start_one(operator: Client) -> None:
    assert "Start one from a workflow" in operator.get("/runs/").content.decode()


def test_new_runs_are_announced_and_not_pushed_in(operator: Client) -> None:
    seen = make_run()
    newer = make_run()
    html = operator.get(f"/runs/?upto={seen.pk}", **HTMX).content.decode()
    assert "1 new run · show" in html
    assert str(newer.pk) not in html


def test_what_is_beyond_reach_is_not_listed_and_not_found(personas: Personas) -> None:
    own = make_run(make_workflow(team=personas.team))
    foreign = make_run(make_workflow(PARTNER_PAYOUT | {"owner": "others"}))
    client = personas.client("team_operator")
    html = client.get("/runs/").content.decode()
    assert str(own.pk) in html
    assert str(foreign.pk) not in html
    assert client.get(f"/runs/{foreign.pk}/").status_code == 404
    assert personas.client("outsider").get(f"/runs/{own.pk}/").status_code == 404


@pytest.mark.parametrize("status", list(RunStatus))
def test_every_status_has_its_page(operator: Client, status: RunStatus) -> None:
    html = page(operator, make_run(status=status))
    assert 'id="outcome"' in html
    assert "Traceback" not in html


def test_lists_and_pages_take_a_fixed_number_of_queries(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    runs = [make_run(status=status) for status in RunStatus for _ in range(2)]
    with django_assert_max_num_queries(PAGE_QUERIES):
        operator.get("/runs/")
    with django_assert_max_num_queries(FRAGMENT_QUERIES):
        operator.get(f"/runs/?upto={runs[-1].pk}", **HTMX)
    for run in runs:
        with django_assert_max_num_queries(PAGE_QUERIES):
            page(operator, run, "?step=charge")
        with django_assert_max_num_queries(FRAGMENT_QUERIES):
            page(operator, run, **HTMX)


def test_a_poll_is_answered_with_nothing_while_nothing_has_changed(operator: Client) -> None:
    run = make_run(status=RunStatus.FAILED)
    seen = operator.get(f"/runs/{run.pk}/").context["seen"]
    assert operator.get(f"/runs/{run.pk}/?seen={seen}", **HTMX).status_code == 204
    Run.objects.filter(pk=run.pk).update(event_count=run.event_count + 1)
    assert operator.get(f"/runs/{run.pk}/?seen={seen}", **HTMX).status_code == 200


def test_polling_ends_with_the_run(operator: Client) -> None:
    assert "every 2s" in page(operator, make_run(status=RunStatus.RUNNING))
    finished = page(operator, make_run())
    assert "every 2s" not in finished
    assert 'data-announce="Run' in finished


def test_the_step_in_trouble_is_open_at_once_with_its_error(operator: Client) -> None:
    html = page(operator, make_run(status=RunStatus.FAILED))
    assert 'id="step"' in html
    assert "HTTPStatusError" in html
    assert "portal/demo/flows.py:61" in html
    assert 'id="step"' not in page(operator, make_run(status=RunStatus.FAILED), "?step=")


def test_the_drawer_shows_what_the_edges_bring_and_the_operation_key(operator: Client) -> None:
    run = make_run()
    StepRun.objects.filter(run=run, step="check_invoice").update(output={"lines": 4})
    html = page(operator, run, "?step=charge")
    assert "From Check invoice" in html
    assert "&quot;lines&quot;: 4" in html
    assert f"{run.pk}:charge:0" in html
    assert "At least once; effectively once if the other side honours the operation key." in html


def test_sensitive_values_and_stacks_need_the_right_to_see_them(personas: Personas) -> None:
    run = make_run(status=RunStatus.FAILED)
    StepRun.objects.filter(run=run, step="charge").update(output={"card_last_four": "4242"})
    seen = page(personas.client("operator"), run, "?step=charge")
    hidden = page(personas.client("support"), run, "?step=charge")
    for secret in ("accounts@client.example", "4242", "ctx.http.post"):
        assert secret in seen
        assert secret not in hidden
    assert "Sensitive values are hidden" in hidden
    assert "502 Bad Gateway" in hidden


def test_timeline_and_list_tell_the_same(operator: Client) -> None:
    run = make_run(status=RunStatus.FAILED)
    StepRun.objects.filter(run=run, step="charge").update(attempts=3)
    timeline, table = page(operator, run), page(operator, run, "?view=list")
    for title in ("Check invoice", "Charge the client", "Post to the ledger", "Close invoice"):
        assert title in timeline
        assert title in table
    assert 'class="gantt"' not in table
    assert "Blocked" in table


def test_the_history_can_be_narrowed_to_trouble(operator: Client) -> None:
    run = make_run(status=RunStatus.FAILED)
    assert "Accepted by olga.operator" in page(operator, run)
    assert "Accepted by olga.operator" not in page(operator, run, "?failed=1")
    assert "No trouble" in page(operator, make_run(), "?failed=1")


def test_hundreds_of_tries_and_events_stay_readable(operator: Client) -> None:
    run = make_run(status=RunStatus.WAITING)
    moment = now() - timedelta(hours=2)
    Attempt.objects.bulk_create(
        Attempt(
            run=run,
            step="charge",
            number=n,
            outcome="failed",
            error=TRANSIENT_ERROR,
            started_at=moment,
            ended_at=moment,
        )
        for n in range(1, 401)
    )
    RunEvent.objects.bulk_create(
        RunEvent(run=run, number=n, at=moment, kind="step.retry_scheduled", step="charge") for n in range(9, 409)
    )
    Run.objects.filter(pk=run.pk).update(event_count=408)
    html = page(operator, run, "?step=charge")
    assert "208 earlier events are not shown" in html
    assert html.count("<rect") < 200
    assert len(html) < 250_000


def test_an_uncertain_step_is_told_as_uncertain(operator: Client) -> None:
    run = make_run(
        make_workflow(PARTNER_PAYOUT), status=RunStatus.PAUSED, at="send_payout", step_status=StepStatus.UNCERTAIN
    )
    html = page(operator, run)
    assert "Uncertain at step 3 of 5 (Send the payout): whether banking carried it out is not known." in html


def test_the_export_holds_the_filtered_runs_and_is_audited(operator: Client) -> None:
    wanted = make_run(status=RunStatus.FAILED, customer_key="=HYPERLINK(1)")
    make_run()
    response = operator.post("/runs/export/?state=failed")
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert [row["run"] for row in rows] == [str(wanted.pk)]
    assert rows[0]["customer"] == "'=HYPERLINK(1)"
    entry = AuditEntry.objects.get(action="workflows.runs.export")
    assert entry.after == {"rows": 1, "query": "state=failed"}


def test_nothing_is_exported_by_get(operator: Client) -> None:
    assert operator.get("/runs/export/").status_code == 405
