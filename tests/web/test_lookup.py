"""The lookup: finds by whatever names an item, tells it plainly, hides what is hidden, and is audited."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.core.models import AuditEntry
from portal.web.lookup import customer_words
from tests.definitions import PARTNER_PAYOUT, SETTLE_INVOICE
from tests.factories import make_run, make_team, make_workflow
from tests.personas import Personas
from workflows.engine.state import RunStatus, WaitingReason
from workflows.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def support(personas: Personas) -> Client:
    return personas.client("support")


@pytest.fixture
def run() -> Run:
    make_workflow(SETTLE_INVOICE)
    return make_run(status=RunStatus.WAITING, idempotency_key="order-77", customer_key="client-acme")


def found(client: Client, text: str) -> list[str]:
    response = client.get("/lookup/", {"q": text})
    assert response.status_code == 200
    return [str(story.run.pk) for story in response.context["finding"].stories]


def test_item_is_found_by_each_of_its_names(support: Client, run: Run) -> None:
    names = [str(run.pk), "order-77", "client-acme", run.correlation_id, run.input["invoice_number"]]
    assert [found(support, f" {name} ") for name in names] == [[str(run.pk)]] * len(names)


def test_hidden_fields_cannot_be_found_out_by_trying(support: Client, run: Run) -> None:
    assert found(support, run.input["contact_email"]) == []


def test_parts_of_a_name_find_nothing_and_the_page_says_what_was_compared(support: Client, run: Run) -> None:
    assert found(support, "order-7") == []
    html = support.get("/lookup/", {"q": "order-7"}).content.decode()
    assert "Nothing that you may see goes by" in html
    assert "That is too short" in support.get("/lookup/", {"q": "o"}).content.decode()


def test_story_has_a_sentence_for_the_customer_and_no_stack_trace(support: Client, run: Run) -> None:
    failed = make_run(run.workflow, status=RunStatus.FAILED, customer_key="client-b")
    html = support.get("/lookup/", {"q": "client-b"}).content.decode()
    assert "Something did not go as it should" in html
    assert "answer = ctx.http.post" not in html
    assert f"/runs/{failed.pk}/resume/" in html


def test_story_says_how_many_others_stand_there(support: Client, run: Run) -> None:
    for _ in range(3):
        make_run(run.workflow, status=RunStatus.WAITING)
    html = support.get("/lookup/", {"q": "order-77"}).content.decode()
    assert "3 other runs" in html


def test_looking_is_written_to_the_audit_trail(support: Client, run: Run) -> None:
    found(support, "order-77")
    entry = AuditEntry.objects.get(action="web.lookup.viewed")
    assert (entry.object_label, entry.after) == ("order-77", {"runs": [str(run.pk)]})


def test_items_out_of_reach_are_not_found(personas: Personas) -> None:
    foreign = make_workflow(PARTNER_PAYOUT, team=make_team("legal"))
    make_run(foreign, at="send_payout", idempotency_key="payout-9")
    assert found(personas.client("team_operator"), "payout-9") == []
    assert personas.client("outsider").get("/lookup/").status_code == 403


@pytest.mark.parametrize("status", list(RunStatus))
def test_customers_hear_no_names_of_systems(status: RunStatus) -> None:
    make_workflow(SETTLE_INVOICE)
    words = customer_words(make_run(status=status))
    assert words.endswith(".")
    assert "payments-gateway" not in words


@pytest.mark.parametrize("reason", [reason for reason in WaitingReason if reason])
def test_customers_hear_why_something_waits(reason: WaitingReason) -> None:
    make_workflow(SETTLE_INVOICE)
    assert customer_words(make_run(status=RunStatus.WAITING, waiting_reason=reason))


def test_page_reads_at_most_twelve_times(support: Client, run: Run) -> None:
    for query in ({}, {"q": "order-77"}, {"q": run.input["invoice_number"]}):
        with CaptureQueriesContext(connection) as queries:
            support.get("/lookup/", query)
        reads: list[Any] = [q for q in queries.captured_queries if q["sql"].startswith("SELECT")]
        assert len(reads) <= 12
