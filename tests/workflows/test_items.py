"""The items of a fan-out on the run's page, on their own page, and in the API."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import pytest
from django.test import Client
from django.urls import reverse
from pydantic import BaseModel
from pytest_django import DjangoAssertNumQueries

from portal.core.actor import SYSTEM
from tests.api.client import Api
from tests.engine.flows import OBJECTIVE
from tests.personas import Personas
from workflows import BusinessRuleViolation, Effect, Item, Sensitive, Workflow
from workflows.engine.runner import advance
from workflows.models import Run
from workflows.services import start_run
from workflows.testing import take_on

pytestmark = pytest.mark.django_db


class Fee(BaseModel):
    """An item."""

    number: str
    amount: Decimal
    card: Annotated[str, Sensitive()] = "4242-secret-card"


class Fees(BaseModel):
    """Fees."""

    fees: list[Fee]


fee_flow = Workflow(
    "test-fees", version=1, owner="test-team", input=Fees, title="Fees", objective=OBJECTIVE, runbook="test"
)


@fee_flow.step(
    effect=Effect.EXTERNAL,
    each="fees.fees",
    concurrency=2,
    tolerate=0.2,
    item=Item(name="number", amount="amount"),
    title="Collect the fee",
)
def collect(fee: Fee) -> str:
    """Collect a fee."""
    if fee.number in {"F-3", "F-7"}:
        raise BusinessRuleViolation(f"{fee.number} has no card")
    return f"collected {fee.number}"


@pytest.fixture
def run(personas: Personas) -> Run:
    """A run over ten fees, two of which fail."""
    fees = [Fee(number=f"F-{number}", amount=Decimal(number)) for number in range(10)]
    return start_run(actor=SYSTEM, workflow="test-fees", input=Fees(fees=fees)).run


@pytest.fixture
def operator(personas: Personas) -> Client:
    return personas.client("operator")


def items_page(client: Client, run: Run, query: str = "", **extra: Any) -> str:
    response = client.get(f"{reverse('run-items', args=[run.pk, 'collect'])}{query}", **extra)
    assert response.status_code == 200
    return response.content.decode()


def test_the_runs_page_says_how_far_the_items_are(operator: Client, run: Run) -> None:
    advance(run.pk)
    html = operator.get(reverse("run-detail", args=[run.pk])).content.decode()
    assert 'max="10" value="0"' in html
    assert "Working on the items of step 1 of 1 (Collect the fee)" in html
    assert "Running" in html


def test_the_page_of_a_degraded_run_says_what_is_missing_and_its_worth(operator: Client, run: Run) -> None:
    assert take_on(run).status == "degraded"
    html = operator.get(reverse("run-detail", args=[run.pk])).content.decode()
    assert 'max="10" value="10"' in html
    assert "2 failed, worth 10.00" in html
    assert "2 with BusinessRuleViolation" in html
    assert "Collect the fee lacks 2 of 10 items, worth 10.00: F-3 and F-7." in html


def test_the_page_says_that_items_are_kept_when_too_many_have_failed(operator: Client) -> None:
    fees = [Fee(number=number, amount=Decimal(1)) for number in ("F-3", "F-7", *(f"F-1{n}" for n in range(7)))]
    run = take_on(start_run(actor=SYSTEM, workflow="test-fees", input=Fees(fees=fees)).run)
    assert run.status == "failed"
    html = operator.get(reverse("run-detail", args=[run.pk])).content.decode()
    assert "Items that are done are kept; a resume does the others" in html
    assert "is not known" not in html
    assert " left</span>" not in html


def test_the_dialog_of_a_resume_says_that_the_failed_items_are_done_again(operator: Client, run: Run) -> None:
    take_on(run)
    html = operator.get(f"{reverse('run-detail', args=[run.pk])}resume/").content.decode()
    assert "The items of Collect the fee that failed are done again, with fresh tries." in html
    assert "Items that are done: not done again." in html
    assert "Collect the fee: done" not in html


def test_the_items_can_be_narrowed_and_one_read_in_full(operator: Client, run: Run) -> None:
    take_on(run)
    failed = items_page(operator, run, "?view=failed&item=3")
    assert failed.count('<tr id="item-') == 2
    assert f"{run.pk}:collect:0:3" in failed
    assert "Try 1: failed" in failed


def test_the_list_alone_is_sent_to_htmx(operator: Client, run: Run) -> None:
    take_on(run)
    assert items_page(operator, run, headers={"HX-Request": "true"}).lstrip().startswith('<div id="items"')


def test_a_long_list_is_read_a_page_at_a_time(operator: Client, personas: Personas) -> None:
    fees = [Fee(number=f"N-{number:03}", amount=Decimal(1)) for number in range(120)]
    run = start_run(actor=SYSTEM, workflow="test-fees", input=Fees(fees=fees)).run
    advance(run.pk)
    first = items_page(operator, run)
    assert first.count('<tr id="item-') == 50
    assert "after=49" in first
    last = items_page(operator, run, "?after=99")
    assert last.count('<tr id="item-') == 20
    assert "before=100" in last
    assert items_page(operator, run, "?before=100").count('<tr id="item-') == 50


def test_sensitive_values_of_items_are_hidden(personas: Personas, run: Run) -> None:
    take_on(run)
    assert "4242-secret-card" not in items_page(personas.client("viewer"), run, "?item=3")


def test_the_page_of_items_takes_few_queries(
    operator: Client, run: Run, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    take_on(run)
    with django_assert_max_num_queries(12):
        items_page(operator, run, "?item=3")


def test_the_api_lists_items_and_filters_them(personas: Personas, run: Run) -> None:
    take_on(run)
    address = f"/runs/{run.pk}/steps/collect/items/"
    listed = Api(personas.operator).get(f"{address}?status=failed").json["results"]
    named = [(item["index"], item["name"], item["amount"]) for item in listed]
    assert named == [(3, "F-3", "3.00"), (7, "F-7", "7.00")]
    assert listed[0]["error"]["message"] == "F-3 has no card"
    assert Api(personas.operator).get(f"{address}?status=lost").status == 422
    assert Api(personas.operator).get(f"/runs/{run.pk}/steps/nothing/items/").status == 404


def test_the_api_says_what_a_degraded_run_lacks(personas: Personas, run: Run) -> None:
    take_on(run)
    (gap,) = Api(personas.operator).get(f"/runs/{run.pk}/").json["gaps"]
    assert (gap["step"], gap["what"], gap["failed"], gap["worth"]) == ("collect", "items", 2, {"": "10.00"})


def test_the_list_of_runs_says_what_a_degraded_run_lacks(operator: Client, run: Run) -> None:
    take_on(run)
    assert "Collect lacks 2 of 10 items, worth 10.00" in operator.get("/runs/").content.decode()


def test_a_run_that_looks_after_its_items_still_shows_as_at_work_on_them(operator: Client, run: Run) -> None:
    advance(run.pk)
    Run.objects.filter(pk=run.pk).update(status="queued", waiting_reason="", waiting_on="", wake_at=None)
    html = operator.get(reverse("run-detail", args=[run.pk])).content.decode()
    assert "Working on the items of step 1 of 1" in html
    assert 'max="10" value="0"' in html
