"""The overview: the verdict, what needs a person in which order, and what it does not claim."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from portal.core import audit
from portal.core.clock import now
from portal.web.overview import Overview, overview
from tests.deadletters.shop import make_letter, make_missed
from tests.definitions import PARTNER_PAYOUT, SETTLE_INVOICE
from tests.diagnostics.scenes import books_differ
from tests.factories import make_heartbeat, make_run, make_team, make_workflow, open_breaker
from tests.personas import Personas
from workflows.engine.state import RunStatus, StepStatus, WaitingReason
from workflows.models import BreakerEvent, Workflow
from workflows.presentation import StateName

pytestmark = pytest.mark.django_db
HTMX: dict[str, Any] = {"headers": {"HX-Request": "true"}}


@pytest.fixture
def settle() -> Workflow:
    make_heartbeat("worker")
    make_heartbeat("dispatcher")
    return make_workflow(SETTLE_INVOICE)


def seen_by(personas: Personas, name: str = "operator") -> Overview:
    return overview(personas.actor(name))


def titles(found: Overview) -> list[str]:
    return [concern.title for concern in found.concerns]


def test_all_clear_when_nothing_is_wrong(personas: Personas, settle: Workflow) -> None:
    make_run(settle)
    found = seen_by(personas)
    assert found.verdict.words == "All clear: nothing failed for 24 hours"
    assert found.concerns == []


def test_verdict_counts_workflows_and_names_the_first_concern(personas: Personas, settle: Workflow) -> None:
    make_workflow(PARTNER_PAYOUT)
    open_breaker()
    for _ in range(14):
        make_run(settle, status=RunStatus.WAITING)
    found = seen_by(personas)
    assert found.verdict.words == "Degraded: 1 of 2 workflows; 14 runs wait on payments-gateway"
    assert found.verdict.since is not None


def test_open_breaker_is_one_concern_with_cause_money_and_link(personas: Personas, settle: Workflow) -> None:
    open_breaker()
    for _ in range(2):
        make_run(settle, status=RunStatus.WAITING)
    (concern,) = seen_by(personas).concerns
    assert concern.cause.startswith("8 of the last 10 calls failed")
    assert [(str(m.amount), m.currency) for m in concern.money] == [("2500.00", "EUR")]
    assert concern.url == "/runs/?dependency=payments-gateway"
    assert concern.probe_at is not None


def test_outage_lasts_since_its_first_run_had_to_wait_not_since_the_last_probe(
    personas: Personas, settle: Workflow
) -> None:
    dependency = open_breaker(since=now() - timedelta(seconds=5))
    first = make_run(settle, status=RunStatus.WAITING, ago=timedelta(minutes=9))
    for old, new in (("open", "half_open"), ("half_open", "open")):
        BreakerEvent.objects.create(
            dependency=dependency, at=now(), old=old, new=new, reason="", actor_label="engine"
        )
    found = seen_by(personas)
    assert found.concerns[0].since == first.current_step_at
    assert [change.what for change in found.changes] == ["payments-gateway is cut off"]


def test_rollback_that_waits_on_a_service_is_counted_with_it(personas: Personas, settle: Workflow) -> None:
    open_breaker()
    make_run(settle, status=RunStatus.WAITING)
    make_run(settle, status=RunStatus.ROLLING_BACK, waiting_on="payments-gateway")
    assert titles(seen_by(personas)) == ["2 runs wait on payments-gateway"]
    html = personas.client("operator").get("/runs/?dependency=payments-gateway").content.decode()
    assert html.count('<th scope="row">') == 2


def test_runs_that_a_person_paused_are_not_forgotten(personas: Personas, settle: Workflow) -> None:
    make_run(settle, status=RunStatus.PAUSED)
    found = seen_by(personas)
    assert titles(found) == ["1 run of Settle an invoice is paused by hand"]
    assert found.verdict.words.startswith("Well: no workflow is in trouble; 1 run")


def test_failed_runs_are_grouped_by_step_and_error(personas: Personas, settle: Workflow) -> None:
    for number in (4101, 4102):
        message = f"no answer for INV-{number}"
        error = {"type": "TransientError", "code": "transient", "message": message}
        make_run(settle, status=RunStatus.FAILED, error=error, currency="EUR" if number == 4101 else "USD")
    make_run(settle, status=RunStatus.FAILED, at="post_to_ledger")
    assert titles(seen_by(personas)) == [
        "2 runs failed at “Charge the client”",
        "1 run failed at “Post to the ledger”",
    ]


def test_undecided_runs_come_before_failed_ones(personas: Personas, settle: Workflow) -> None:
    make_run(settle, status=RunStatus.FAILED, step_status=StepStatus.UNCERTAIN)
    make_run(settle, status=RunStatus.FAILED)
    assert titles(seen_by(personas)) == [
        "1 run: nobody knows whether “Charge the client” happened",
        "1 run failed at “Charge the client”",
    ]


def test_late_stuck_blocked_and_paused_are_told(personas: Personas, settle: Workflow) -> None:
    make_run(settle, status=RunStatus.RUNNING, ago=timedelta(hours=2))
    make_run(settle, status=RunStatus.QUEUED, dispatched_at=None)
    waiting: dict[str, Any] = {"waiting_reason": WaitingReason.CONFIGURATION, "waiting_on": "PAYMENTS_KEY is not set"}
    make_run(settle, status=RunStatus.WAITING, **waiting)
    paused = make_workflow(PARTNER_PAYOUT, paused_at=now(), paused_reason="Maintenance of the bank")
    assert set(titles(seen_by(personas))) == {
        "1 run of Settle an invoice is late",
        "1 run of Settle an invoice stuck",
        "1 run of Settle an invoice blocked by configuration",
        f"{paused.title} is paused",
    }


def test_more_runs_and_a_better_tier_come_first(personas: Personas, settle: Workflow) -> None:
    payout = make_workflow(PARTNER_PAYOUT)
    make_run(payout, status=RunStatus.FAILED, at="send_payout")
    make_run(settle, status=RunStatus.FAILED)
    assert [c.workflows[0].slug for c in seen_by(personas).concerns] == ["settle-invoice", "partner-payout"]


def test_what_is_a_day_old_yields_to_what_is_new(personas: Personas, settle: Workflow) -> None:
    make_run(settle, status=RunStatus.FAILED, ago=timedelta(days=2))
    make_run(settle, status=RunStatus.FAILED, at="post_to_ledger")
    assert titles(seen_by(personas))[0] == "1 run failed at “Post to the ledger”"
    assert seen_by(personas).verdict.state.name == StateName.DEGRADED


@pytest.mark.parametrize("missing", ["worker", "dispatcher"])
def test_without_a_process_it_says_that_it_cannot_see(personas: Personas, missing: str) -> None:
    make_run(make_workflow())
    make_heartbeat("worker" if missing == "dispatcher" else "dispatcher")
    make_heartbeat(missing, age_seconds=300)
    found = seen_by(personas)
    assert found.verdict.words == f"Cannot see: no {missing} is heard"
    assert found.verdict.state.name == StateName.BLOCKED
    assert all(row.state.name != StateName.OK for row in found.rows)


def test_stuck_runs_are_not_told_beside_the_missing_worker_that_explains_them(personas: Personas) -> None:
    make_run(make_workflow(), status=RunStatus.QUEUED, dispatched_at=None)
    assert titles(seen_by(personas)) == ["No dispatcher and no worker is heard"]


def test_changes_tell_of_breakers_to_all_and_of_people_to_auditors(personas: Personas, settle: Workflow) -> None:
    dependency = open_breaker()
    BreakerEvent.objects.create(
        dependency=dependency, at=now(), old="open", new="closed", reason="probes succeeded", actor_label="engine"
    )
    audit.record(actor=personas.actor("operator"), action="workflows.run.resume", obj=make_run(settle))
    by_operator = [change.what for change in seen_by(personas).changes]
    assert any(what.startswith("Resumed run …") for what in by_operator)
    assert {change.what for change in seen_by(personas, "viewer").changes} == {
        "payments-gateway calls go out again",
        "payments-gateway is cut off",
    }


def test_only_what_is_within_reach_is_told(personas: Personas, settle: Workflow) -> None:
    foreign = make_workflow(PARTNER_PAYOUT, team=make_team("legal"))
    make_run(foreign, status=RunStatus.FAILED, at="send_payout")
    found = seen_by(personas, "team_operator")
    assert [row.workflow.slug for row in found.rows] == ["settle-invoice"]
    assert (found.concerns, found.failures) == ([], [])
    assert seen_by(personas, "outsider").verdict.words == "Nothing to watch yet"


def test_two_sources_that_differ_need_a_person_and_say_what_it_is_worth(personas: Personas, settle: Workflow) -> None:
    books_differ()
    (concern,) = seen_by(personas).concerns
    assert concern.title == "Trust account: 3 records differ"
    assert concern.age is not None
    assert round(concern.age.total_seconds() / 3600) == 5
    assert {money.currency: money.amount for money in concern.money} == {
        "EUR": Decimal(33850),
        "GBP": Decimal(13400),
    }
    assert seen_by(personas, "outsider").concerns == []


def test_page_costs_at_most_fourteen_queries_however_much_is_wrong(
    personas: Personas, settle: Workflow, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    open_breaker()
    for status in RunStatus:
        make_run(settle, status=status)
    client = personas.client("operator")
    with django_assert_max_num_queries(14):
        html = client.get("/").content.decode()
    assert "What needs a person" in html


def test_htmx_gets_the_live_part_alone(personas: Personas, settle: Workflow) -> None:
    response = personas.client("operator").get("/overview/", **HTMX)
    assert response.content.decode().lstrip().startswith('<div id="overview"')


def test_page_of_an_outsider_says_whom_to_ask(personas: Personas, settle: Workflow) -> None:
    html = personas.client("outsider").get("/").content.decode()
    assert "ask an administrator" in html
    assert "Settle an invoice" not in html


def test_support_lands_on_the_lookup_and_others_on_the_overview(personas: Personas) -> None:
    assert personas.client("support").get("/").headers["Location"] == "/lookup/"
    assert personas.client("support").get("/overview/").status_code == 200
    for name in ("viewer", "operator", "manager", "admin"):
        assert personas.client(name).get("/").status_code == 200


def test_runbook_is_shown_to_whoever_sees_its_workflow(personas: Personas, settle: Workflow) -> None:
    client: Client = personas.client("viewer")
    assert "<h2>" in client.get("/runbooks/settle-invoice/").content.decode()
    assert client.get("/runbooks/no-such-book/").status_code == 404
    assert personas.client("outsider").get("/runbooks/settle-invoice/").status_code in {403, 404}


def test_dead_letters_that_grow_and_events_that_nobody_acted_on_need_a_person(
    personas: Personas, settle: Workflow
) -> None:
    for minutes in (5, 60 * 30):
        make_letter(workflow=settle, died_at=now() - timedelta(minutes=minutes))
    make_missed(workflow=settle)
    letters, missed = seen_by(personas).concerns
    assert letters.title == "2 dead letters of Settle an invoice, 1 more than an hour ago"
    assert letters.cause == "The payload does not fit: amount: Input should be greater than 0"
    assert [(str(money.amount), money.currency) for money in letters.money] == [("500.00", "EUR")]
    assert letters.url == "/dead-letters/?consumer=settle-invoice"
    assert missed.title == "1 event “test.received” never reached Settle an invoice"
    assert missed.url == "/completeness/?event=test.received&consumer=settle-invoice"
    assert seen_by(personas, "outsider").concerns == []
